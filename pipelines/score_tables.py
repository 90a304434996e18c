"""Scores and verdicts as people see them."""

from eval_fixed_model.statistics import Contrast
from pipelines.evaluations import Evaluation
from pipelines.show import line, table
from pipelines.verdicts import Judged


def scores(done: Evaluation) -> None:
    """Every arm's mean over its seeds, task by task, each in its own measure."""
    tasks = list(done.scale.tasks)
    shown = 1 if done.scale.headline.measure == "points" else 3
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
    line(f"{len(done.leaked)} evaluation items occur in an arm; {done.rejected} rows cannot be read and left every arm alike")


def verdict(judged: Judged) -> None:
    """Who is better than what, with the interval, in the headline's measure."""
    headline = judged.evaluation.scale.headline
    shown = 1 if headline.measure == "points" else 3
    rows = [
        [
            one.candidate,
            one.control,
            one.answer,
            _number(one.difference, shown),
            _interval(one, shown),
            _number(one.detectable, shown),
            one.seeds_needed,
        ]
        for one in judged.contrasts
    ]
    columns = ["candidate", "against", "answer", "difference", "95% simultaneous", "detectable", "seeds needed"]
    way = "" if headline.better == "higher" else ", lower is better"
    table(f"verdict at {judged.evaluation.scale.name}, {headline.measure} of the headline{way}", columns, rows, right=(3, 4, 5, 6))
    for candidate, control in judged.same:
        line(f"{candidate} and {control} train on the same rows")
    family = judged.family
    spreads = "; ".join(
        f"{kind} arms {spread.sd:.{shown + 1}f} ({spread.df} df{'' if spread.pooled else ', unequal: each its own'})"
        for kind, spread in family.spreads.items()
    )
    critical = "unknown" if family.critical is None else f"{family.critical:.2f}"
    size = f"{len(family.contrasts)} contrasts in the family"
    line(f"run s.d.: {spreads}; {size}, critical value {critical}, equivalent within {family.delta:g}")


def _number(value: float | None, shown: int) -> str:
    return "" if value is None else f"{value:+.{shown}f}" if value < 0 else f"{value:.{shown}f}"


def _interval(one: Contrast, shown: int) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:+.{shown}f} to {one.high:+.{shown}f}"
