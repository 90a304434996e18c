"""Scores and verdicts as people see them."""

from collections.abc import Sequence

from eval_fixed_model.scale import Scale
from eval_fixed_model.statistics import Contrast, Verdict
from eval_fixed_model.statistics.records import LEAST_DF
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import Judged
from pipelines.show import line, table


def scores(done: Evaluation) -> None:
    """Every arm's mean over its seeds, task by task, each in its own measure."""
    tasks = list(done.scale.tasks)
    shown = _places(done.scale)
    rows = []
    for name, arm in done.arms.items():
        seeds = [done.score(name, seed) for seed in arm.scores]
        clean = [done.score(name, seed, without_leaks=True).headline for seed in arm.scores]
        means = [sum(seed.tasks[task].value for seed in seeds) / len(seeds) for task in tasks]
        places = [3 if done.scale.tasks[task].kind == "likelihood" else 1 for task in tasks]
        headline = sum(seed.headline for seed in seeds) / len(seeds)
        cells = [f"{headline:.{shown}f}", f"{sum(clean) / len(clean):.{shown}f}"]
        rows.append([name, arm.rows, *cells, *[f"{mean:.{count}f}" for mean, count in zip(means, places, strict=True)]])
    title = f"{done.scale.name}, {done.scale.headline.measure}, {len(seeds)} seeds ({done.trained} trainings now)"
    table(title, ["arm", "rows", "headline", "without leaks", *tasks], rows, right=range(1, 4 + len(tasks)))
    listed = " (uids and codes: rejected.parquet under rows/ of the store)" if done.rejected else ""
    line(f"{len(done.leaked)} evaluation items occur in an arm; {done.rejected} rows, empty or unreadable, left every arm{listed}")


def verdict(judged: Judged) -> None:
    """Who is better than what, with the interval, in the headline's measure."""
    scale, family = judged.evaluation.scale, judged.family
    _contrasts(f"verdict at {scale.name}", judged.contrasts, scale, "seeds needed")
    for candidate, control in judged.same:
        line(f"{candidate} and {control} train on the same rows")
    for arm, request in judged.taken_down.items():
        line(f"{arm} was trained on rows that were taken down (request {request}): run the recipe and `curate eval` again")
    if judged.last_look and (open_ := sum(one.answer == "cannot tell" for one in judged.contrasts)):
        line(
            f"no verdict for {open_} of {len(judged.contrasts)} lines, and the last look is taken: more seeds cannot settle them under "
            "this schedule. They may differ by less than this budget finds (`detectable`); judge them on another pool, or at a larger scale"
        )
    if judged.changed:
        line(f"since this pool was first evaluated, how it is judged was changed (then, now): {'; '.join(judged.changed)}")
    if all(len(runs.seeds) < 2 for runs in family.arms.values()):
        line("every arm has one seed, and nothing says how much seeds differ: give --seeds 3, or more")
    elif any(one.detectable is None for one in judged.contrasts):
        line(f"`detectable` is blank where noise rests on fewer than {LEAST_DF:g} degrees of freedom: train more seeds")
    line(_noise(family, scale))


def verdict_over_pools(found: Verdict, scale: Scale) -> None:
    """The same of a recipe on several pools."""
    _contrasts(f"verdict over pools at {scale.name}", found.contrasts, scale, "pools needed")
    levels = found.levels
    if levels and levels.within is not None and levels.between is not None:
        shown = _places(scale) + 1
        within, between = f"of runs within a pool {levels.within:.{shown}f}", f"of an arm's effect between pools {levels.between:.{shown}f}"
        line(f"{levels.pools} pools of {levels.seeds:g} seeds; s.d. {within}, {between}")
    line(_noise(found, scale))


def _contrasts(title: str, lines: Sequence[Contrast], scale: Scale, needed: str) -> None:
    shown = _places(scale)
    rows = [
        [
            one.candidate,
            one.control,
            one.answer,
            _number(one.difference, shown),
            _interval(one, shown),
            _number(one.detectable, shown),
            to_settle(one),
        ]
        for one in lines
    ]
    columns = ["candidate", "against", "answer", "difference", "95% simultaneous", "detectable", needed]
    way = "" if scale.headline.better == "higher" else ", lower is better"
    table(f"{title}, {scale.headline.measure} of the headline{way}", columns, rows, right=(3, 4, 5, 6))


def to_settle(one: Contrast) -> str:
    """Seeds (or pools) that would settle a line; nothing beside one that is settled."""
    return "" if one.seeds_needed is None or one.answer != "cannot tell" else str(one.seeds_needed)


def _noise(family: Verdict, scale: Scale) -> str:
    """What the intervals rest on."""
    shown = _places(scale) + 1
    spreads = [
        f"{kind} arms {spread.sd:.{shown}f} ({spread.df:g} df{'' if spread.pooled else ', unequal: each its own'}"
        f"{', with the bank of other pools' if spread.bank and spread.bank.used else ''})"
        for kind, spread in family.spreads.items()
    ]
    critical = "unknown" if family.critical is None else f"{family.critical:.2f}"
    size = f"{len(family.contrasts)} contrasts in the family"
    look = f"; look {family.look.number} of {len(family.look.schedule)}" if family.look else ""
    weighed = f", each arm's own weighed in (alike to {family.alike:g} df)" if family.alike else ""
    return f"run s.d.: {'; '.join(spreads)}{weighed}; {size}, critical value {critical}{look}, equivalent within {family.delta:g}"


def _places(scale: Scale) -> int:
    return 1 if scale.headline.measure == "points" else 3


def _number(value: float | None, shown: int) -> str:
    return "" if value is None else f"{value:+.{shown}f}" if value < 0 else f"{value:.{shown}f}"


def _interval(one: Contrast, shown: int) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:+.{shown}f} to {one.high:+.{shown}f}"
