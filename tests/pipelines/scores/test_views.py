import pytest

from eval_fixed_model.statistics.ratings import Rating, Win
from eval_fixed_model.statistics.transfer import transfer
from pipelines.scores import views as score_views
from pipelines.scores.rank_transfer import RankTransfer
from pipelines.scores.standings import Standings


def _transfer(count: int) -> RankTransfer:
    small = {f"s{i}": {0: float(i), 1: i + 0.1} for i in range(count)}
    large = {name: {seed: -score if name == "s0" else score for seed, score in scores.items()} for name, scores in small.items()}
    large["s0"] = {0: 1.5, 1: 1.6}
    means = {name: (small[name][0], large[name][0]) for name in small}
    return RankTransfer("small", "large", "pools/0", ("scores/0", "scores/1"), means, transfer(small, large, [("s0", "s1")]))


def test_transfer_shows_what_it_is_of_and_which_pairs_disagree(capsys: pytest.CaptureFixture[str]) -> None:
    score_views.transfer(_transfer(6))
    shown = capsys.readouterr().out
    assert "small against large, 6 subsets" in shown
    assert "decision accuracy, all pairs" in shown
    assert "0.93" in shown  # 14 of 15 pairs
    assert "in another order: s0 (0, 1.5) and s1 (1, 1)" in shown
    assert "too few" not in shown


def test_four_subsets_are_said_to_be_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    score_views.transfer(_transfer(4))
    shown = capsys.readouterr().out
    assert "4 subsets are too few to conclude" in shown
    assert "answer: cannot tell" in shown


def test_standings_without_intervals_and_with_equal_arms(capsys: pytest.CaptureFixture[str]) -> None:
    wins = (Win("a", "b", 0.75, None, None, {"one": 0.75}),)
    rated = (Rating("a", 95.0, None, None, 1), Rating("b", -95.0, None, None, 1))
    score_views.standings(Standings("runs/r", "pools/p", "tiny", "scores/c", ("one",), 40, 3, wins, rated, {"a": ("other/a",)}))
    shown = capsys.readouterr().out
    assert "75%" in shown
    assert "25%" in shown
    assert "a trains on the same rows as other/a" in shown
    assert "3 items that occur in an arm are left out" in shown
