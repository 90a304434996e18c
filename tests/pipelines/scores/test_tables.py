"""What a verdict says beside its numbers."""

from dataclasses import replace

import pytest

from eval_fixed_model.statistics import LookTaken
from pipelines.scores import tables
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verdicts import compare


def test_the_last_look_without_a_verdict_says_so(scored: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    judged = compare(scored, "long")
    lines = tuple(replace(one, answer="cannot tell", seeds_needed=None) for one in judged.contrasts)
    for number, told in ((1, False), (2, True)):
        family = replace(judged.family, look=LookTaken((2, 3), number, 0.05, (2.0, 2.0)))
        tables.verdict(replace(judged, family=family, contrasts=lines))
        assert (f"no verdict for {len(lines)} of {len(lines)} lines, and the last look is taken" in capsys.readouterr().out) == told


def test_seeds_that_would_settle_stand_beside_open_lines_only(scored: Evaluation) -> None:
    one = replace(compare(scored, "long").contrasts[0], seeds_needed=7)
    assert tables.to_settle(replace(one, answer="cannot tell")) == "7"
    assert {tables.to_settle(replace(one, answer=answer)) for answer in ("better", "worse", "equivalent")} == {""}


def test_a_blank_detectable_is_explained(scored: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    judged = compare(scored, "long")
    for size in (None, 1.0):
        tables.verdict(replace(judged, contrasts=tuple(replace(one, detectable=size) for one in judged.contrasts)))
        assert ("`detectable` is blank where noise rests on fewer than 4 degrees of freedom" in capsys.readouterr().out) == (size is None)
