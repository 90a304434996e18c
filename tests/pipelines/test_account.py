import re
from collections.abc import Sequence

import pytest

from pipelines.account import account, limits, signal
from pipelines.evaluations import Evaluation
from pipelines.verdicts import Judged, compare


@pytest.fixture(scope="module")
def judged_pair(scored: Evaluation) -> Judged:
    return compare(scored, "long")


def test_every_number_of_the_answer_is_the_verdicts(judged_pair: Judged) -> None:
    text = account(judged_pair)
    for one in judged_pair.contrasts:
        (line,) = [line for line in text.splitlines() if re.match(rf"\| long +\| {re.escape(one.control)} +\| {one.answer} +\|", line)]
        assert f"{one.difference:+.1f}" in line
        assert one.low is not None
        assert f"{one.low:+.1f} to {one.high:+.1f}" in line


def test_conditions_seeds_family_repeats_and_noise_are_said(judged_pair: Judged, scored: Evaluation) -> None:
    text = account(judged_pair)
    held = scored.store.json(f"{scored.conditions}/conditions.json")
    for said in (
        scored.conditions.removeprefix("scores/"),
        held["scale"][:16],
        held["items"][:16],
        held["device"],
        f"torch {held['versions']['torch']}",
        f"{len(judged_pair.family.contrasts)} contrasts of {len(judged_pair.family.arms)} arms",
        "| 0, 1 ",
        f"{judged_pair.family.critical:.3f} standard errors",
        f"{judged_pair.family.spreads['fixed'].sd:.2f} on {judged_pair.family.spreads['fixed'].df} degrees of freedom",
        judged_pair.file,
    ):
        assert said in text, said
    times = [int(count) for count in scored.training("long", 0)["repeats"]]
    assert f"{min(times)} to {max(times)} times" in text


def test_differences_without_leaked_items_stand_beside(judged_pair: Judged, scored: Evaluation) -> None:
    assert scored.leaked
    section = account(judged_pair).split("## Evaluation items that occur in the data")[1].split("##")[0]
    clean = [sum(scored.score(name, seed, without_leaks=True).headline for seed in (0, 1)) / 2 for name in ("long", "whole pool")]
    (line,) = [line for line in section.splitlines() if line.startswith("| long") and "whole pool" in line]
    assert f"{clean[0] - clean[1]:+.1f}" in line


def test_limits_name_what_these_scores_cannot_show(judged_pair: Judged) -> None:
    said = " ".join(limits(judged_pair))
    for word in ("One pool", "not the recipes", "two-tasks", "These evaluation items"):
        assert word in said
    unknown = [one for one in judged_pair.contrasts if one.answer == "cannot tell"]
    assert said.count("no difference was shown, and none was excluded") == len(unknown)
    assert "long and whole pool are not of one size" in said
    assert f"long and random {judged_pair.evaluation.arms['long'].rows} are not of one size" not in said


@pytest.mark.parametrize(
    ("runs", "ratio", "below"),
    [([[1, 2], [11, 12], [21, 22]], 20 / 0.5**0.5, 0.05), ([[1, 5], [2, 4], [3, 3.5]], None, None), ([[1], [2]], None, None)],
)
def test_signal_is_the_span_of_arms_over_the_noise_of_runs(
    runs: Sequence[Sequence[float]], ratio: float | None, below: float | None
) -> None:
    found, p = signal(runs)
    if ratio is not None:
        assert found == pytest.approx(ratio)
        assert p is not None
        assert below is not None
        assert p < below
    elif len(runs[0]) > 1:
        assert p is not None
        assert p > 0.05
    else:
        assert (found, p) == (None, None)
