"""What the page says of scores, against the verdict and the scores themselves."""

import html
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curate.record import Run
from eval_fixed_model.statistics import Contrast
from pipelines.report.page import about
from pipelines.report.scores import MOST, Scored, heads, said
from pipelines.report.serve import Server
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.leaderboard import leaderboard
from pipelines.scores.verdicts import compare


@pytest.fixture(scope="module")
def told(scored: Evaluation) -> Scored:
    """Of a recipe's subset and its controls, two seeds each."""
    found = about(Run(scored.store, scored.run))["scores"]
    assert isinstance(found, Scored)
    return found


def test_lines_are_those_of_compare(scored: Evaluation, told: Scored) -> None:
    judged = compare(scored)
    assert [line.contrast for line in told.lines] == list(judged.contrasts)
    assert told.contrasts == len(judged.family.contrasts)
    assert told.candidate == "long"
    for line in told.lines:
        assert line.difference in line.said
        assert line.contrast.answer in line.said
        assert told.axis[0] <= line.contrast.difference <= told.axis[1]


def test_every_candidate_is_said_against_the_whole_pool(told: Scored) -> None:
    assert told.heads == told.lead == told.lines  # one candidate: against all its controls
    of = {
        name: [replace(line, contrast=replace(line.contrast, candidate=name)) for line in reversed(told.lines)]
        for name in ("open", "unique", "short", "new", "long")
    }
    found = heads([line for lines in of.values() for line in lines], "long")
    assert [line.contrast.candidate for line in found] == ["long", "open", "unique", "short"]
    assert len(found) == MOST
    assert {line.contrast.control for line in found} == {"whole pool"}


def test_every_seed_of_every_arm_is_drawn(scored: Evaluation, told: Scored) -> None:
    board = {line.subset: line for line in leaderboard([Path(scored.store.address)]).groups[0].lines}
    for name, rows, mean, span, _ in told.headline_rows:
        line = board[name]
        assert (rows, mean) == (f"{line.rows:,}", f"{line.mean:.1f}")
        assert span == f"{line.low:.1f} to {line.high:.1f}"
    labels = [html.unescape(one) for one in re.findall(r'aria-label="([^"]*)"', told.headline)]
    for name, arm in scored.arms.items():
        for seed in arm.scores:
            value = scored.score(name, seed).headline
            assert f"{name}, seed {seed}: {value:.2f} points" in labels
            for task in told.tasks:
                at = scored.score(name, seed).tasks[task.name].value
                assert f"{name}, seed {seed}: {at:.2f} points" in html.unescape(task.chart)


def test_seeds_of_other_evaluations_that_an_answer_rests_on_are_drawn(scored: Evaluation, told: Scored) -> None:
    """Were this the evaluation of one seed, the page would be the same: an answer rests on every training that the store has of an arm."""
    fewer = replace(scored, arms={name: replace(arm, scores={0: arm.scores[0]}) for name, arm in scored.arms.items()})
    assert {len(arm.scores) for arm in compare(fewer).evaluation.arms.values()} == {told.seeds} == {2}


def test_differences_by_task_are_those_of_the_scores(scored: Evaluation, told: Scored) -> None:
    assert {control for _, control, _ in told.differences} == {b for a, b in scored.contrasts if a == "long"}
    for candidate, control, lines in told.differences:
        for task, difference, interval, _ in lines:
            means = [
                np.mean([scored.score(arm, seed).tasks[task].value for seed in scored.arms[arm].scores]) for arm in (candidate, control)
            ]
            assert float(difference) == pytest.approx(means[0] - means[1], abs=0.051)
            low, high = map(float, interval.split(" to "))
            assert low <= float(difference) <= high


def test_conditions_and_what_cannot_be_concluded_are_there(told: Scored) -> None:
    assert [title for title, _ in told.sections] == [
        "What was held equal",
        "What was trained",
        "How the answers follow",
        "Tasks",
        "Evaluation items that occur in the data",
    ]
    assert "each shown" in told.sections[1][1]
    assert told.limits[0].startswith("One pool:")
    assert told.again == ()
    assert "Kept as runs/" in told.sections[2][1]


@pytest.mark.parametrize(
    ("answer", "low", "wanted"),
    [
        ("better", 1.0, "a is <strong>better</strong> than the whole pool: +2 points (+1 to +3)."),
        ("worse", 1.0, "a is <strong>worse</strong> than the whole pool: +2 points (+1 to +3)."),
        ("equivalent", 1.0, "a and the whole pool are <strong>equivalent</strong>, within 1 points of each other: +2 points (+1 to +3)."),
        (
            "cannot tell",
            None,
            "Whether a or the whole pool is better, <strong>we cannot tell</strong>: +2 points, from too few runs for an interval.",
        ),
    ],
)
def test_answers_in_words(answer: str, low: float | None, wanted: str) -> None:
    one = Contrast("a", "whole pool", answer, 2.0, low, None if low is None else 3.0, 4.0, None, None)  # type: ignore[arg-type]
    found = said(one, "+2 points", "+1 to +3" if low else "", "1 points")
    assert str(found).replace("<b>a</b>", "a") == wanted


def test_a_served_report_with_scores_leaves_the_store_as_it_was(scored: Evaluation, tmp_path: Path) -> None:
    store = Path(shutil.copytree(scored.store.address, tmp_path / "store"))
    for verdict in (store / scored.run).glob("verdict-*"):
        verdict.unlink()
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with Server(str(store)) as served:
        path = f"/{served.token}/runs/{scored.run.removeprefix('runs/')}"
        while "is being drawn" in (body := served.answer("GET", path, f"127.0.0.1:{served.port}").body):
            pass
        assert "What cannot be concluded" in body
        assert "Kept as" not in body
        assert scored.conditions.removeprefix("scores/") in served.answer("GET", f"/{served.token}/scores", f"127.0.0.1:{served.port}").body
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
