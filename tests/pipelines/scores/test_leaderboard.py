import html.parser
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eval_fixed_model.statistics import Answer, Look
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.leaderboard import COLUMNS, Leaderboard, _lines, _looks, cells, leaderboard, markdown, page, remarks, title
from pipelines.scores.verdicts import compare
from pipelines.scores.verified import verified


@pytest.fixture(scope="module")
def board(scored: Evaluation) -> Leaderboard:
    return leaderboard([scored.store.path("")])


def test_lines_are_the_stored_means_best_first_with_the_verdicts_of_compare(scored: Evaluation, board: Leaderboard) -> None:
    (group,) = board.groups
    assert (group.conditions, group.scale) == (scored.conditions.removeprefix("scores/"), scored.scale.name)
    means = [one.mean for one in group.lines]
    assert means == sorted(means, reverse=True)
    by_name = {one.subset: one for one in group.lines}
    assert by_name.keys() == scored.arms.keys()
    assert by_name["long"].mean == pytest.approx(sum(scored.score("long", seed).headline for seed in (0, 1)) / 2)
    judged: dict[str, Answer] = {one.control: one.answer for one in compare(scored, "long").contrasts}
    assert by_name["long"].against_pool == judged["whole pool"]
    assert by_name["long"].against_random == judged[f"random {scored.arms['long'].rows}"]
    assert by_name["whole pool"].against_pool is None
    assert by_name["long"].low is not None
    assert by_name["long"].low < by_name["long"].mean


def test_the_same_scores_in_two_stores_are_one_line(scored: Evaluation, board: Leaderboard, tmp_path: Path) -> None:
    exported = tmp_path / scored.conditions.removeprefix("scores/")
    shutil.copytree(scored.store.path(scored.conditions), exported)
    both = leaderboard([scored.store.path(""), exported])
    assert both.refused == ()
    assert [(one.subset, one.seeds, one.mean) for one in both.groups[0].lines] == [
        (one.subset, one.seeds, one.mean) for one in board.groups[0].lines
    ]
    assert len(both.groups[0].lines[0].where) == 2


def test_what_is_refused_is_named_in_every_form_and_its_arm_is_not_ranked(scored: Evaluation, tmp_path: Path) -> None:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    file = tmp_path / "s" / scored.arms["long"].scores[1] / "items.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    found = leaderboard([tmp_path / "s"])
    assert "long" not in {one.subset for group in found.groups for one in group.lines}
    (refused,) = found.refused
    assert refused.arm == "long"
    for text in (markdown(found), page(found), json.dumps(found.to_json())):
        assert "is not what its digest in train.json says" in text


def test_unequal_conditions_are_apart_and_say_what_differs(scored: Evaluation, tmp_path: Path) -> None:
    """A second store under conditions of another library version, its chain made as the first one's was."""
    other = _under_other_versions(scored, tmp_path / "other")
    found = leaderboard([scored.store.path(""), other])
    assert found.refused == ()
    first, second = found.groups
    assert first.conditions != second.conditions
    assert (first.than, second.than) == (None, first.conditions)
    assert len(second.differs) == 1
    assert "versions torch" in second.differs[0]
    assert any("not ranked with" in remark and "versions torch" in remark for remark in remarks(second))
    assert len(first.lines) == len(second.lines) == len(scored.arms)


def test_another_weight_of_the_same_training_refuses_both(scored: Evaluation, tmp_path: Path) -> None:
    other = _with_other_weights(scored, tmp_path / "other")
    found = leaderboard([scored.store.path(""), other])
    assert [one.arm for one in found.refused] == ["long"]
    assert "other weights than in" in found.refused[0].why
    assert "long" not in {one.subset for one in found.groups[0].lines}


def test_a_pool_that_cannot_be_judged_is_ranked_and_says_why(scored: Evaluation) -> None:
    """Seeds that are pairs, and an arm that lacks one of those looked at."""
    (found,) = verified(scored.store.path(""))
    arms = {arm.name: arm for arm in found.arms}
    arms["unique"] = replace(arms["unique"], scores={0: arms["unique"].scores[0]})
    paired = scored.scale.model_copy(update={"analysis": "paired"})
    looks = {(arm.pool, arm.id): Look((2, 3), 1) for arm in arms.values() if arm.kind == "candidate"}
    lines, unjudged = _lines([(arm, (arm.run,), (arm.where,)) for arm in arms.values()], set(found.contrasts), looks, paired)
    assert {line.subset for line in lines} == set(arms)
    assert [line.against_pool for line in lines if line.subset == "long"] == [None]
    assert len(unjudged) == 1
    assert "looks of a paired scale need every arm at the same seeds" in unjudged[0]


def test_a_subset_looked_at_by_two_schedules_is_ranked_and_not_judged(scored: Evaluation) -> None:
    """Each store refuses another schedule; of the two together neither knows."""
    (found,) = verified(scored.store.path(""))
    key = next((arm.pool, arm.id) for arm in found.arms if arm.name == "long")
    here, there, later = (replace(found, looks={key: look}) for look in (Look((2, 4), 1), Look((2, 3), 1), Look((2, 4), 2)))
    assert _looks([here, later]) == ({key: Look((2, 4), 2)}, set())
    looks, twice = _looks([here, there])
    assert twice == {key}
    arms = [(arm, (arm.run,), (arm.where,)) for arm in found.arms]
    for torn, notes in (((), 0), (twice, 1)):
        lines, unjudged = _lines(arms, set(found.contrasts), looks, scored.scale, torn)
        (line,) = [line for line in lines if line.subset == "long"]
        assert ((line.against_pool, line.against_random) == (None, None)) == bool(torn)
        assert len(unjudged) == notes


def test_the_page_is_one_file_without_references(board: Leaderboard) -> None:
    class Tags(html.parser.HTMLParser):
        found: list[str] = []  # noqa: RUF012
        cells: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append(tag)
            assert not {name for name, _ in attrs} & {"src", "href"}

        def handle_data(self, data: str) -> None:
            self.cells.append(data)

    tags = Tags()
    tags.feed(page(board))
    assert tags.found.count("tr") == 1 + len(board.groups[0].lines)
    assert set(cells(board.groups[0])[0]) - {""} <= set(tags.cells)
    assert "script" not in tags.found


def test_markdown_has_a_line_for_each_subset(board: Leaderboard) -> None:
    lines = markdown(board).splitlines()
    assert f"## {title(board.groups[0])}" in lines
    assert "| " + " | ".join(COLUMNS) + " |" in lines
    for row in cells(board.groups[0]):
        assert "| " + " | ".join(row) + " |" in lines


def test_a_scale_that_says_what_it_differs_in_is_said_not_to_be_comparable(board: Leaderboard) -> None:
    plain = board.groups[0]
    assert remarks(plain) == []
    said = remarks(replace(plain, comparable="rows are sampled without replacement"))
    assert said == ["not comparable with the public board: rows are sampled without replacement"]


def _under_other_versions(scored: Evaluation, place: Path) -> Path:
    from curate.store import Store
    from eval_fixed_model.conditions import conditions_id
    from pipelines.scores.evaluations import enter

    held = scored.store.json(f"{scored.conditions}/conditions.json")
    held["versions"]["torch"] = "0.0"
    folder = f"scores/{conditions_id(held)}"
    store = Store.open(place)
    store.put_json(f"{folder}/conditions.json", held)
    _copy_scores(scored, store.path(folder))
    enter(_moved(scored, store, folder), str(scored.scale._folder / f"{scored.scale.name}.yaml"))
    return place


def _with_other_weights(scored: Evaluation, place: Path) -> Path:
    from curate.store import Store
    from pipelines.scores.evaluations import enter

    store = Store.open(place)
    _copy_scores(scored, store.path(scored.conditions))
    shutil.copy(scored.store.path(scored.conditions) / "conditions.json", store.path(scored.conditions))
    file = store.path(scored.arms["long"].scores[0]) / "train.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "weights": "0" * 64}, indent=1))
    enter(_moved(scored, store, scored.conditions), str(scored.scale._folder / f"{scored.scale.name}.yaml"))
    return place


def _copy_scores(scored: Evaluation, to: Path) -> None:
    for arm in scored.arms.values():
        for key in arm.scores.values():
            shutil.copytree(scored.store.path(key), to.joinpath(*key.split("/")[2:]), dirs_exist_ok=True)


def _moved(scored: Evaluation, store: object, folder: str) -> Evaluation:
    arms = {
        name: replace(arm, scores={seed: key.replace(scored.conditions, folder) for seed, key in arm.scores.items()})
        for name, arm in scored.arms.items()
    }
    return replace(scored, store=store, conditions=folder, arms=arms)  # type: ignore[arg-type]
