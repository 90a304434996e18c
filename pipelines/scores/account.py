"""An account of a comparison, for a reader who doubts it: what was held equal, what was run, what follows, and what does not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from curate.digest import digest_of, short
from curate.record import Run
from eval_fixed_model.cost import cost_of
from eval_fixed_model.score import SeedScore
from eval_fixed_model.statistics import Contrast, Look, TaskSignal, signal_to_noise
from eval_fixed_model.statistics.records import LEAST_DF
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.tables import to_settle
from pipelines.scores.verdicts import Judged, beside


def account(judged: Judged) -> str:
    """The comparison as Markdown, every number from stored scores."""
    done = judged.rests_on
    shown = list(dict.fromkeys(name for pair in [*_pairs(judged), *judged.same] for name in pair if name in done.arms))
    scores = {name: [done.score(name, seed) for seed in arm.scores] for name, arm in done.arms.items()}
    parts = [
        f"# {' and '.join(dict.fromkeys(a for a, _ in [*_pairs(judged), *judged.same]))}: an account",
        *_section("Answers", _answers(judged)),
        *_section("What was held equal", _held(done)),
        *_section("What was trained", _trained(judged, shown)),
        *_section("How the answers follow", _statistics(judged)),
        *_section("Tasks", _tasks(done, shown, scores)),
        *_section("Evaluation items that occur in the data", _leaks(judged)),
        *_section("What cannot be concluded", [f"- {sentence}\n" for sentence in limits(judged)]),
    ]
    return "\n".join(parts)


def limits(judged: Judged) -> Iterator[str]:
    """What the comparison does not show, as far as it can be told from what was done."""
    done, family = judged.evaluation, judged.family
    unit = done.scale.headline.measure
    yield (
        "One pool: the intervals hold for other seeds on these rows. How much another pool, or another draw of this one, would change the "
        "differences is not in them."
    )
    yield "These subsets, not the recipes: another run of a recipe on other rows is another subset."
    yield f"This scale, {done.scale.name}: nothing here says that the order is the same at a larger one (`curate transfer` does)."
    if done.scale.comparable:
        yield f"Not comparable with the public board: {done.scale.comparable}"
    yield "These evaluation items: the intervals of the headline take them as given. Other items of the same kind would move all arms."
    for one in judged.contrasts:
        if one.answer == "cannot tell":
            yield f"{one.candidate} against {one.control}: no difference was shown, and none was excluded. {_beyond(one, unit)}"
    for one in judged.contrasts:
        if said := _sizes(done, one):
            yield said
    if any(arm.kind == "trusted" for arm in done.arms.values()):
        yield "`trusted only` was trained on the rows that a filter learned from: it shows how much of a gain is theirs."
    if judged.changed:
        yield (
            f"Since this pool was first evaluated, how it is judged was changed (then, now): {'; '.join(judged.changed)}. "
            "If that was for what the scores showed, false answers are more frequent than stated."
        )
    looks, unplanned = _looks(done)
    if family.rests_on_bank:
        yield "Own runs were too few to tell their noise: it is taken from runs of other pools at this scale, and may be another here."
    if looks > 1 and family.look is None:
        yield (
            f"The scores were looked at {looks} times with a growing number of seeds, without a schedule fixed beforehand in this verdict: "
            "stopping when an answer pleases makes false answers more frequent than stated."
        )
    if family.look and unplanned:
        yield "The scores were there to be seen before the first look was taken: what was seen then is not in the 5% that looks spend."
    if family.look and any(len(arm.scores) > family.look.schedule[family.look.number - 1] for arm in done.arms.values()):
        yield "Seeds beyond the look were trained, and are not judged: they count at the looks that were fixed, or never."
    if any(_too_few(one, judged) for one in judged.contrasts):
        yield f"Some differences rest on fewer than {LEAST_DF:g} degrees of freedom of run s.d.: they are answered by `cannot tell`."


def _too_few(one: Contrast, judged: Judged) -> bool:
    """Whether the noise that a contrast needs is hardly known: that of fixed arms, of random ones, or of both."""
    arms, spreads = judged.evaluation.arms, judged.family.spreads
    needed = {"random" if name in arms and arms[name].kind == "random" else "fixed" for name in (one.candidate, one.control)}
    return sum(spread.df for kind, spread in spreads.items() if kind in needed) < LEAST_DF


def _pairs(judged: Judged) -> list[tuple[str, str]]:
    return [(one.candidate, one.control) for one in judged.contrasts]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"\n## {title}\n", "".join(lines)]


def _answers(judged: Judged) -> list[str]:
    places = _places(judged.evaluation)
    headline = judged.evaluation.scale.headline
    rows = [
        [
            *(one.candidate, one.control, one.answer, _signed(one.difference, places), _between(one.low, one.high, places)),
            *(_signed(one.detectable, places).lstrip("+"), to_settle(one)),
        ]
        for one in judged.contrasts
    ]
    columns = ["candidate", "against", "answer", "difference", "95% simultaneous", "detectable", "seeds needed"]
    way = "higher" if headline.better == "higher" else "lower"
    said = (
        f"Differences are candidate minus control, in {headline.measure} of the headline, the plain mean of {', '.join(headline.tasks)}; "
        f"{way} is better. Within {headline.delta:g} two subsets are equivalent. `detectable` is the smallest true difference that this "
        "budget finds with 80% power; `seeds needed` of each arm would settle a true difference of the size seen, and are blank beside a "
        f"settled line. Both are blank with fewer than {LEAST_DF:g} degrees of freedom of noise.\n"
    )
    same = [f"\n{a} and {b} train on the same rows: there is nothing to judge.\n" for a, b in judged.same]
    return [_table(columns, rows), "\n", said, *same]


def _held(done: Evaluation) -> list[str]:
    held, scale = done.store.json(f"{done.conditions}/conditions.json"), done.scale
    seen = cost_of(scale)
    facts = {
        "conditions": done.conditions.removeprefix("scores/"),
        "scale": f"{scale.name}, digest {short(held['scale'])}",
        "model": f"{scale.model.name}, {seen.size:,} parameters",
        "budget": f"{scale.steps:,} steps of {scale.batch:,}, {seen.seen:,} {'tokens' if scale.modality == 'text' else 'pairs'} seen, "
        f"{seen.training:.3g} FLOPs a training",
        "precision, device": f"{scale.precision}, {held['device']}",
        "evaluation items": f"digest {short(held['items'])}",
        "initial weights": ", ".join(f"seed {seed}: {short(digest)}" for seed, digest in held["initial weights"].items()),
        "code": f"{len(held['code'])} files of the instrument, digest {short(digest_of(held['code']))}",
        "versions": ", ".join(f"{name} {version}" for name, version in held["versions"].items()),
        "analysis": f"{scale.analysis}, fixed by the scale",
    }
    return [f"- {name}: {fact}\n" for name, fact in facts.items()]


def _trained(judged: Judged, shown: Sequence[str]) -> list[str]:
    done = judged.rests_on
    run, places = Run(done.store, done.run), _places(done)
    rows = []
    for name in shown:
        arm = done.arms[name]
        headlines = [done.score(name, seed).headline for seed in arm.scores]
        records = [done.training(name, seed) for seed in arm.scores]
        sd = f"{np.std(headlines, ddof=1):.{places + 1}f}" if len(headlines) > 1 else ""
        line = [name, arm.kind, f"{arm.rows:,}", _times(_shown_times(done, name)), ", ".join(map(str, arm.scores))]
        rows.append([*line, f"{np.mean(headlines):.{places}f}", sd, f"{np.mean([record['seconds'] for record in records]):,.1f}"])
    columns = ["arm", "kind", "rows", "each shown", "seeds", "mean", "s.d.", "seconds a training"]
    about = (
        f"Pool {done.pool.removeprefix('pools/')} of {run.pool.rows:,} rows; run {done.run.removeprefix('runs/')}, recipe "
        f"{short(run.facts['recipe'])}. {done.rejected:,} rows, empty or unreadable, left every arm alike. Arms of kind `random` are drawn "
        "again for every seed.\n"
    )
    return [about, "\n", _table(columns, rows)]


def _statistics(judged: Judged) -> Iterator[str]:
    family, done = judged.family, judged.evaluation
    places = _places(done) + 1
    critical = "unknown" if family.critical is None else f"{family.critical:.3f}"
    yield f"- What is compared: the mean over seeds of one headline a training; {family.confidence:.0%} intervals of its differences.\n"
    yield f"- Family: {len(family.contrasts)} contrasts of {len(family.arms)} arms, all that were ever evaluated on this pool under these "
    yield f"conditions. All intervals hold at once: they use one critical value, {critical} standard errors (max-t, simulated).\n"
    for kind, spread in family.spreads.items():
        test = "not tested: too few runs" if spread.p is None else f"Brown-Forsythe p {spread.p:.3f}"
        used = "pooled over these arms" if spread.pooled else "unequal, so each contrast keeps its own"
        used = f"with which each arm's own is weighed, arms being alike to {family.alike:g} of them" if family.alike else used
        bank = spread.bank
        lent = "own runs alone"
        if bank is not None:
            lent = f"{'with' if bank.used else 'not needing'} a bank of {bank.runs} runs on {bank.pools} pools, s.d. {bank.sd:.{places}f}"
        yield f"- Run s.d. of {kind} arms: {spread.sd:.{places}f} on {spread.df:g} degrees of freedom, {used} ({test}); {lent}.\n"
    if family.look is not None:
        look = family.look
        yield f"- Look {look.number} of {len(look.schedule)} fixed beforehand, at {', '.join(map(str, look.schedule))} seeds: "
        yield f"{look.spent:.2%} of the 5% is spent by now, and intervals hold for all looks together.\n"
    correlation = family.seed_correlation
    yield f"- Correlation of arms at equal seeds: {'unknown' if correlation is None else f'{correlation:.2f}'}; the analysis is "
    yield f"{done.scale.analysis}.\n- Kept as {judged.file}.\n"


def _tasks(done: Evaluation, shown: Sequence[str], scores: Mapping[str, Sequence[SeedScore]]) -> list[str]:
    rows = []
    found = _signals(done, scores)
    for task, record in done.scale.tasks.items():
        places = 3 if record.kind == "likelihood" else 1
        items, chance = _asked(done, scores, task)
        means = [
            f"{np.mean([s.tasks[task].value for s in scores[name]]):.{places}f} ({np.mean([s.tasks[task].nats for s in scores[name]]):.2f})"
            for name in shown
        ]
        ratio = found[task].ratio
        told = ["" if ratio is None else f"{ratio:.1f}", found[task].missing or "", "" if chance is None else f"{chance:.1f}", f"{items:,}"]
        rows.append([task, "yes" if task in done.scale.headline.tasks else "", *told, *means])
    columns = ["task", "headline", "signal to noise", "without signal", "guess", "items", *[f"{name} (nats)" for name in shown]]
    said = (
        "Values are means over seeds, and in brackets the mean log-probability of what is right. Signal to noise is the s.d. of arms' true "
        "means over that of one run, over all arms evaluated; a task without signal orders subsets by chance.\n"
    )
    return [_table(columns, rows), "\n", said]


def _signals(done: Evaluation, scores: Mapping[str, Sequence[SeedScore]]) -> dict[str, TaskSignal]:
    values = {
        task: {name: {score.seed: score.tasks[task].value for score in of_arm} for name, of_arm in scores.items()}
        for task in done.scale.tasks
    }
    chances = {task: _asked(done, scores, task)[1] for task in values}
    return signal_to_noise(values, {task: chance for task, chance in chances.items() if chance is not None})


def _asked(done: Evaluation, scores: Mapping[str, Sequence[SeedScore]], task: str) -> tuple[int, float | None]:
    """Items of a task, and the points that a guess makes."""
    items = next(iter(scores.values()))[0].tasks[task].items
    return items, done.scale.chance(task, items)


def _leaks(judged: Judged) -> list[str]:
    done, places = judged.rests_on, _places(judged.evaluation)
    if not done.leaked:
        return ["No evaluation item was found among the rows that any arm could show.\n"]
    rows = []
    for a, b in _pairs(judged):
        if a in done.arms and b in done.arms:
            every, clean = (_difference(done, a, b, without) for without in (False, True))
            rows.append([a, b, _signed(every, places), _signed(clean, places)])
    said = (
        f"{len(done.leaked):,} evaluation items occur among the rows of the pool or the trusted ones. The differences with and without:\n\n"
    )
    return [said, _table(["candidate", "against", "all items", "without them"], rows)]


def _difference(done: Evaluation, a: str, b: str, without_leaks: bool) -> float:
    means = [np.mean([done.score(name, seed, without_leaks).headline for seed in done.arms[name].scores]) for name in (a, b)]
    return float(means[0] - means[1])


def _looks(done: Evaluation) -> tuple[int, bool]:
    """At how many different numbers of seeds a candidate of this run was evaluated, for it or for another run on this pool; and whether one
    was evaluated with several seeds before its first look."""
    numbers: dict[str, list[tuple[int, Look | None]]] = {arm.id: [] for arm in done.arms.values() if arm.kind == "candidate"}
    for one in beside(done):
        for arm in {arm.id: arm for arm in one.arms.values() if arm.kind == "candidate" and arm.id in numbers}.values():
            numbers[arm.id].append((len(arm.scores), one.look))
    unplanned = any(of_arm and of_arm[0][1] is None and of_arm[0][0] > 1 for of_arm in numbers.values())
    return max((len({count for count, _ in of_arm}) for of_arm in numbers.values()), default=0), unplanned


def _shown_times(done: Evaluation, name: str) -> tuple[int, int] | None:
    """The fewest and the most times that an arm's rows were shown in a training."""
    if name not in done.arms:
        return None
    repeats: list[Mapping[str, Any]] = [done.training(name, seed).get("repeats", {}) for seed in done.arms[name].scores]
    times = [int(count) for one in repeats for count in one]
    return (min(times), max(times)) if times else None


def _sizes(done: Evaluation, one: Contrast) -> str | None:
    """What a contrast says of size as well: of rows, else of tokens where documents are of other lengths; None where sizes are equal."""
    a, b = (_shown_times(done, name) for name in (one.candidate, one.control))
    if not a or not b or a == b:
        return None
    rows, of_control = (done.arms[name].rows for name in (one.candidate, one.control))
    shown = f"the first shows each row {_times(a)}, the second {_times(b)}"
    if rows != of_control:
        return (
            f"{one.candidate} and {one.control} are not of one size ({rows:,} and {of_control:,} rows): {shown}. The difference is of rows "
            "and of repetition together; the random control of equal size parts them."
        )
    tokens, other = (_tokens(done, name) for name in (one.candidate, one.control))
    if not tokens or not other or tokens == other:
        return None
    return (
        f"{one.candidate} and {one.control} have {rows:,} rows each, and not as many tokens ({tokens:,} and {other:,}, each counted once): "
        f"{shown}. The difference is of what rows say and of how long they are together."
    )


def _tokens(done: Evaluation, name: str) -> int:
    """Tokens of documents that an arm's trainings showed, each counted once, on average; 0 for pictures."""
    return round(float(np.mean([done.training(name, seed).get("distinct tokens", 0) for seed in done.arms[name].scores])))


def _times(span: tuple[int, int] | None) -> str:
    return "" if span is None else f"{span[0]:,} times" if span[0] == span[1] else f"{span[0]:,} to {span[1]:,} times"


def _beyond(one: Contrast, unit: str) -> str:
    if one.low is None or one.high is None:
        return "There are too few runs for an interval."
    return f"Any difference from {one.low:+.3g} to {one.high:+.3g} {unit} agrees with the scores."


def _places(done: Evaluation) -> int:
    return 1 if done.scale.headline.measure == "points" else 3


def _signed(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:+.{places}f}"


def _between(low: float | None, high: float | None, places: int) -> str:
    return "" if low is None or high is None else f"{low:+.{places}f} to {high:+.{places}f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that reads as text too."""
    table = [list(columns), *[list(row) for row in rows]]
    widths = [max(3, *(len(line[n]) for line in table)) for n in range(len(columns))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)
