"""A scale with `order: blocked` from end to end: open_clip's own model, of tiny width, on a small pool that is read where it lies."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from curate.errors import CeterisError
from curate.executor import InProcess, Ray
from curate.recipe import Recipe
from curate.record import Run
from eval_fixed_model.conditions import differences
from eval_fixed_model.cost import Device, cost_of
from eval_fixed_model.leaks.images import leaked_pairs
from eval_fixed_model.loops import loop_of
from eval_fixed_model.rows.images import materialise
from eval_fixed_model.rows.survey import Survey
from eval_fixed_model.scale import ImageTextScale, load_scale
from pipelines import verbs
from pipelines.scores import gangs, reading, training
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.training import evaluate

RECIPE = """
pool: {path: shards/}
models: {matcher: {filter_network: {trusted: trusted/, seed: 0, samples: 128}}}
signals: {match: {clip_score: {model: matcher}}}
stages:
  best: {keep: {top: match.score, count: 80}}
  often: {after: best, keep: {repeat: 2}}
subsets: [often]
"""
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"width": 16, "heads": 2, "layers": 1},
}
LIKE = {
    "order": "blocked",
    "model": {"name": "open_clip", "architecture": "tiny", "config": CONFIG, "temperature_most": 100.0},
    "tokens": {"tokenizer": "clip", "vocabulary": 49408, "context": 12},
    "batch": 32,
    "samples_seen": 256,
}


@pytest.fixture(scope="module")
def blocked(two_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, eight steps of 32 pairs."""
    record = YAML(typ="safe", pure=True).load(two_tasks.read_text(encoding="utf-8"))[two_tasks.stem] | LIKE
    record["items"] = {"file": str(two_tasks.with_name("items.parquet"))}
    path = tmp_path_factory.mktemp("scale") / "blocked.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"blocked": record}, file)
    return path


@pytest.fixture(scope="module")
def selected(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    store = tmp_path_factory.mktemp("blocked") / ".ceteris"
    return verbs.run(Recipe.parse(RECIPE, base=place), store=store, executor=InProcess())


@pytest.fixture(scope="module")
def done(selected: Run, blocked: Path) -> Evaluation:
    return evaluate(selected, scale=str(blocked), seeds=1, executor=InProcess())


def test_rows_stay_where_they_lie_and_are_those_that_would_have_been_made(
    done: Evaluation, selected: Run, blocked: Path, tmp_path: Path
) -> None:
    (folder,) = done.store.path("rows").iterdir()
    assert {file.name for file in folder.iterdir()} == {
        *(
            "blocks.parquet",
            "files.json",
            "leaks.parquet",
            "members",
            "numbers.npy",
            "pools.json",
            "rejected.parquet",
            "rows.json",
            "uids.npy",
        )
    }
    scale = load_scale(blocked)
    assert isinstance(scale, ImageTextScale)
    rows, made = Survey.open(folder), materialise(reading.reads(selected, ["image", "text"], lambda *_: None), scale, tmp_path / "rows")
    assert rows.uids.tolist() == made.uids.tolist()
    assert rows.rejected.rows() == made.rejected.rows()
    assert rows.rejected.height == done.rejected == 2
    key = ["item", "row"]
    assert rows.leaks.sort(key).rows() == leaked_pairs(made, scale).sort(key).rows() != []
    assert done.leaked == set(rows.leaks["item"].to_list())


def test_arms_are_streamed_with_their_copies(done: Evaluation) -> None:
    best, often, trusted = (done.training(name, 0) for name in ("best", "often", "trusted only"))
    assert (best["rows"], best["copies"], often["rows"], often["copies"]) == (80, 80, 80, 160)
    assert sum(int(times) * rows for times, rows in often["repeats"].items()) == 256
    assert trusted["rows"] == 1500
    assert len({one["weights"] for one in (best, often, trusted)}) == 3
    assert all(one["loss"][-1] < one["loss"][0] for one in (best, often))


def test_again_nothing_is_looked_at_or_trained(
    done: Evaluation, selected: Run, blocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "survey", None)
    assert evaluate(selected, scale=str(blocked), seeds=1, executor=InProcess()).trained == 0
    judged = evaluate(selected, scale=str(blocked), seeds=1, only=["best"], judges=tmp_path / "judges", executor=InProcess())
    assert judged.trained == 1, "the same weights, else it would be refused"


def test_other_items_are_looked_for_again(done: Evaluation, selected: Run, blocked: Path, two_tasks: Path) -> None:
    held = done.store.json(f"{done.conditions}/conditions.json")
    other = held | {"items": "0" * 64}
    for file, again in ((blocked, True), (two_tasks, False)):
        scale = load_scale(file)
        names = [training._rows_id(selected, loop_of(scale), scale, each) for each in (held, other)]
        assert (names[0] != names[1]) == again, "pictures are held against items each time, where they are at hand"


def test_two_processes_in_pieces_train_what_one_does(done: Evaluation, selected: Run, blocked: Path) -> None:
    shared = evaluate(selected, scale=str(blocked), seeds=1, only=["best"], processes=2, micro=8, executor=InProcess())
    alone, told = done.training("best", 0), shared.training("best", 0)
    assert (told["processes"], told["rows at once"], alone["processes"], alone["rows at once"]) == (2, 8, 1, 32)
    assert told["loss"] == pytest.approx(alone["loss"], abs=2e-4)
    assert told["repeats"] == alone["repeats"]
    held = [selected.store.json(f"{one.conditions}/conditions.json") for one in (done, shared)]
    assert differences(*held) == ["determinism processes: absent, 2", "determinism rows at once: absent, 8"]
    assert [path.name for path in shared.store.path(shared.arms["best"].scores[0]).parent.iterdir()] == ["seed-0"]


@pytest.mark.ray
def test_ray_train_shares_a_training_too(done: Evaluation, selected: Run, blocked: Path, ray_of_two: Ray) -> None:
    shared = evaluate(selected, scale=str(blocked), seeds=1, only=["often"], processes=2, executor=ray_of_two)
    told = shared.training("often", 0)
    assert (told["processes"], told["rows at once"]) == (2, 16)
    assert told["loss"] == pytest.approx(done.training("often", 0)["loss"], abs=2e-4)
    assert [path.name for path in shared.store.path(shared.arms["often"].scores[0]).parent.iterdir()] == ["seed-0"]


def test_pieces_follow_from_memory() -> None:
    small = load_scale("datacomp-small")
    cost = cost_of(small)
    rows = gangs.held(small, 1, Device("a GPU", 24 * 10**9, None, 1))
    assert 1 < rows < small.batch
    assert small.batch % rows == 0
    assert cost.state + rows * cost.saved < 24e9 < cost.state + small.batch * cost.saved
    assert gangs.held(small, 4, Device("a GPU", 24 * 10**9, None, 1)) <= small.batch // 4
    with pytest.raises(CeterisError, match=r"by the estimate a training needs [\d.]+ GB of a GPU, which has 2\.0"):
        gangs.held(small, 1, Device("a GPU", 2 * 10**9, None, 1))


def test_a_share_in_one_piece_is_no_condition(blocked: Path) -> None:
    scale = load_scale(blocked)
    assert gangs.sharing(scale, "cpu", 2, 16) == gangs.Sharing("cpu", 2, None)
    assert gangs.sharing(scale, "cpu", 2, 15).micro == 15
    assert gangs.sharing(scale, "cpu").micro is None
    with pytest.raises(CeterisError, match="a batch of 32 cannot be shared by 3 processes"):
        gangs.sharing(scale, "cpu", 3)
