import re
from dataclasses import replace

import pytest

from eval_fixed_model.statistics import BankUse, LookTaken, signal_to_noise
from pipelines.scores.account import account, limits
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import Judged, compare


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
        f"{judged_pair.family.spreads['fixed'].sd:.2f} on {judged_pair.family.spreads['fixed'].df:g} degrees of freedom",
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


def test_tasks_carry_the_signal_that_the_statistics_find(judged_pair: Judged, scored: Evaluation) -> None:
    section = account(judged_pair).split("## Tasks")[1].split("##")[0]
    values = {
        task: {name: {seed: scored.score(name, seed).tasks[task].value for seed in arm.scores} for name, arm in scored.arms.items()}
        for task in scored.scale.tasks
    }
    for task, found in signal_to_noise(values).items():
        (line,) = [line for line in section.splitlines() if line.startswith(f"| {task} ")]
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[3] == f"{found.ratio:.1f}"
        assert found.missing is None or cells[4]  # one that is at chance has another reason


def test_seeds_added_as_it_pleased_are_told_also_where_another_run_added_them(
    judged_pair: Judged, scored: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {name: replace(arm, scores={0: arm.scores[0]}) for name, arm in scored.arms.items()}
    assert not any("growing number" in one for one in limits(judged_pair))
    for arms in (fewer, {name: arm for name, arm in fewer.items() if arm.kind != "candidate"}):
        known = [replace(scored, run="runs/other", arms=arms), scored]
        monkeypatch.setattr("pipelines.scores.account.beside", lambda _, known=known: known)
        assert any("looked at 2 times with a growing number" in one for one in limits(judged_pair)) == (arms is fewer)


def test_a_bank_and_looks_are_told_where_the_verdict_rests_on_them(judged_pair: Judged) -> None:
    plain = judged_pair.family
    bank = BankUse(0.5, 90.0, 100, 20, None, True)
    spreads = {kind: replace(spread, bank=bank) for kind, spread in plain.spreads.items()}
    look = LookTaken((3, 5), 1, 0.01, (3.0, 2.5))
    text = account(replace(judged_pair, family=replace(plain, spreads=spreads, look=look)))
    assert "with a bank of 100 runs on 20 pools, s.d. 0.50" in text
    assert "Own runs were too few to tell their noise" in text
    assert "Look 1 of 2 fixed beforehand, at 3, 5 seeds: 1.00% of the 5%" in text
    assert "Own runs were too few" not in account(judged_pair)


@pytest.mark.parametrize(
    ("control", "fixed", "random", "told"),
    [("whole pool", 8, 2, False), ("whole pool", 2, 8, True), ("random", 2, 2, False), ("random", 1, 2, True)],
)
def test_noise_that_is_hardly_known_is_told_where_a_difference_rests_on_it(
    judged_pair: Judged, control: str, fixed: int, random: int, told: bool
) -> None:
    (asked,) = (one for one in judged_pair.contrasts if one.control.startswith(control))
    df = {"fixed": float(fixed), "random": float(random)}
    spreads = {kind: replace(spread, df=df[kind]) for kind, spread in judged_pair.family.spreads.items()}
    judged = replace(judged_pair, contrasts=(asked,), family=replace(judged_pair.family, spreads=spreads))
    assert any("fewer than 4 degrees of freedom" in line for line in limits(judged)) is told


@pytest.mark.parametrize(
    ("rows", "tokens", "told"),
    [
        (
            40,
            900,
            "long and whole pool are not of one size (40 and 50 rows): the first shows each row 2 to 3 times, the second 3 to 4 times",
        ),
        (50, 700, "long and whole pool have 50 rows each, and not as many tokens (700 and 900, each counted once)"),
        (50, 900, None),
    ],
)
def test_sizes_are_those_of_rows_and_where_they_are_equal_of_tokens(
    judged_pair: Judged, monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int, told: str | None
) -> None:
    (asked,) = (one for one in judged_pair.contrasts if one.control == "whole pool")
    done = judged_pair.evaluation
    arms = {**done.arms, "long": replace(done.arms["long"], rows=rows), "whole pool": replace(done.arms["whole pool"], rows=50)}
    shown = {
        "long": {"repeats": {"2": 5, "3": 5}, "distinct tokens": tokens},
        "whole pool": {"repeats": {"3": 5, "4": 5}, "distinct tokens": 900},
    }
    monkeypatch.setattr(Evaluation, "training", lambda _, arm, __: shown[arm])
    said = [
        line for line in limits(replace(judged_pair, contrasts=(asked,), evaluation=replace(done, arms=arms))) if " the second " in line
    ]
    assert len(said) == (told is not None)
    assert not said or said[0].startswith(str(told))
    assert ("random control of equal size" in " ".join(said)) is (rows == 40)
