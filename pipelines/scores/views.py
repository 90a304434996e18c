"""Ratings, transfer, effects, costs and the leaderboard as people see them."""

from collections.abc import Mapping

from eval_fixed_model.statistics.calibration import Rate
from eval_fixed_model.statistics.transfer import LEAST, Estimate
from pipelines.scores import leaderboard as boards
from pipelines.scores.calibrate import Calibrated
from pipelines.scores.costs import ArmCost
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.rank_transfer import RankTransfer
from pipelines.scores.stage_effects import StageEffects
from pipelines.scores.standings import Standings
from pipelines.show import line, table


def standings(found: Standings) -> None:
    """Ratings, and how often each arm beats each."""
    names = [one.arm for one in found.ratings]
    rated: list[list[str]] = [[one.arm, f"{one.rating:+.0f}", _span(one.low, one.high, "+.0f"), str(one.runs)] for one in found.ratings]
    table(f"ratings at {found.scale} on {found.items:,} items", ["arm", "rating", "95% each", "runs"], rated, right=(1, 2, 3))
    grid: list[list[str]] = []
    for a in names:
        wins = [None if a == b else found.of(a, b) for b in names]
        grid.append([a, *["" if win is None else f"{win.chance:.0%}{_percents(win.low, win.high)}" for win in wins]])
    table("how often the line beats the column on an item, and 95% of each alone", ["", *names], grid, right=range(1, len(names) + 1))
    for name, others in found.same.items():
        line(f"{name} trains on the same rows as {', '.join(others)}")
    left = f"; {found.left_out} items that occur in an arm are left out" if found.left_out else ""
    line(f"400 points are odds of 10 to 1; 0 is the arms' mean; tasks count the same: {', '.join(found.tasks)}{left}")
    line("who beats whom on an item is no verdict on the headline: curate compare")


def transfer(found: RankTransfer) -> None:
    """Whether one scale predicts the other."""
    told = found.found
    rows: list[list[object]] = [
        ["decision accuracy, all pairs", told.pairs, *_estimate(told.accuracy)],
        ["of pairs that the larger scale tells apart", told.settled_pairs, *_estimate(told.settled)],
        ["of the other pairs", told.pairs - told.settled_pairs, "" if told.unsettled is None else f"{told.unsettled:.2f}", ""],
        ["to expect of the larger scale, run again", told.pairs, "" if told.repeat is None else f"{told.repeat:.2f}", ""],
        ["Kendall's tau", "", *_estimate(told.kendall)],
        ["Spearman's rho", "", *_estimate(told.spearman)],
    ]
    table(f"{found.small} against {found.large}, {len(told.subsets)} subsets", ["", "pairs", "value", "95%"], rows, right=(1, 2, 3))
    line(f"answer: {told.answer}; p of unrelated rankings {told.p:.3g}")
    if len(told.subsets) < LEAST:
        line(f"{len(told.subsets)} subsets are too few to conclude: of four, even equal rankings may be chance; evaluate {LEAST} or more")
    for better, worse in told.disagreeing:
        a, b = found.means[better], found.means[worse]
        line(f"in another order: {better} ({a[0]:.4g}, {a[1]:.4g}) and {worse} ({b[0]:.4g}, {b[1]:.4g})")


def effects(found: StageEffects) -> None:
    """What each stage adds at the end."""
    headline = found.evaluation.scale.headline
    places = 1 if headline.measure == "points" else 3
    rows = []
    for one in found.effects:
        told = ["same rows", "", ""]
        if one.contrast is not None:
            told = [
                one.contrast.answer,
                f"{one.contrast.difference:+.{places}f}",
                _span(one.contrast.low, one.contrast.high, f"+.{places}f"),
            ]
        cost = [f"{one.seconds:,.3g}", f"{one.alone:,.3g}"]
        rows.append([one.stage, one.rule, f"{one.rows:,}", f"{one.rows_without:,}", *told, *cost])
    way = "" if headline.better == "higher" else ", lower is better"
    columns = ["stage", "rule", "rows", "without it", "with it", "with minus without", "95% simultaneous", "seconds", "its alone"]
    title = f"{found.subset} minus {found.subset} without the stage, {headline.measure} at {found.evaluation.scale.name}{way}"
    table(title, columns, rows, right=(2, 3, 5, 6, 7, 8))
    line("an effect is of this stage among the others: effects do not add up; seconds are of one core, as measured on this pool")


def costs(done: Evaluation, found: Mapping[str, ArmCost]) -> None:
    """What each arm cost, and brought."""
    headline = done.scale.headline
    rows = [
        [
            name,
            f"{one.flops:.3g}",
            f"{one.seconds:,.1f}",
            "" if one.curation is None else f"{one.curation:,.3g}",
            "" if one.gain is None else f"{one.gain + 0.0:+.3g}",
            "" if one.gain_per_hour is None else f"{one.gain_per_hour:+,.3g}",
        ]
        for name, one in found.items()
    ]
    columns = ["arm", "FLOPs a training", "seconds a training", "seconds of curation", "gain", "gain for an hour of curation"]
    table(f"costs at {done.scale.name}; gain over the whole pool in {headline.measure}", columns, rows, right=(1, 2, 3, 4, 5))
    line("seconds of curation are of one core, as measured; a gain is positive where the arm is better; its interval: `curate compare`")
    line("gain for an hour of curation: the gain over the seconds of curation, times 3,600; not what another hour would bring")


def leaderboard(board: boards.Leaderboard) -> None:
    """Every group, and what was refused."""
    for group in board.groups:
        table(boards.title(group), boards.COLUMNS, boards.cells(group), right=boards.RIGHT)
        for remark in boards.remarks(group):
            line(remark)
    if board.refused:
        table(f"{len(board.refused)} refused", ["where", "arm", "why"], boards.refusals(board))


def _estimate(one: Estimate | None) -> list[str]:
    return ["", ""] if one is None else [f"{one.value:.2f}", _span(one.low, one.high, ".2f")]


def _span(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _percents(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({100 * low:.0f}-{100 * high:.0f})"


def calibration(found: Calibrated) -> None:
    """What the verdict did where the truth is known, one line for each shape of a family."""
    columns = ["candidates", "seeds", "false verdicts", "all intervals hold", "found", "found the wrong way", "equal when it is not"]
    rows = [
        [
            str(one.candidates),
            str(one.seeds),
            *(_rate(rate) for rate in (one.false_verdicts, one.coverage, one.power, one.wrong_way, one.equivalent_at_delta)),
        ]
        for one in found.found
    ]
    scale = found.evaluation.scale
    table(f"calibration at {scale.name}, with 95% of the simulation", columns, rows, right=range(7))
    line(f"runs: {', '.join(f'{name} {count} (s.d. {found.sds[name]:.3g})' for name, count in found.runs.items())}; kept in {found.file}")
    if found.alike:
        told, taken = found.alike, "equal" if scale.alike is None else f"{scale.alike:g}"
        line(
            f"arms' variances are alike to {told.df:.3g} degrees of freedom, 95% {told.low:.3g} to {told.high:.3g}; the scale takes {taken}"
        )
    for one in found.found:
        sizes = ", ".join(f"{size:.3g} against {control}" for control, size in one.planted.items())
        line(f"{one.candidates} candidates, {one.seeds} seeds: planted {sizes} {scale.headline.measure}; {one.families:,} families")
    line("wanted: 5%, 95%, 80%, 0%, at most 2.5%")


def _rate(rate: Rate) -> str:
    return f"{rate.share:.1%} ({rate.low:.1%} to {rate.high:.1%})"
