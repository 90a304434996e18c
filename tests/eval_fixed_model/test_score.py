import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from curate.digest import sha256
from curate.errors import CeterisError, NondeterminismError
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.scale import load_scale
from eval_fixed_model.score import Job, SeedScore, task_scores, train_and_score
from eval_fixed_model.tasks.answers import ANSWERS
from tests.eval_fixed_model.trainings import Asked


@pytest.fixture(scope="module")
def job(world, rows_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(rows_folder, str(world.scale_file), world.uids, 0, tmp_path_factory.mktemp("scores") / "deep" / "seed-0")


@pytest.fixture(scope="module")
def score(job: Job) -> SeedScore:
    return train_and_score(job)


def test_two_processes_give_the_same_bits(job: Job, score: SeedScore, tmp_path: Path) -> None:
    np.save(tmp_path / "members.npy", job.members[::-1])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        again = process.submit(train_and_score, replace(job, members=tmp_path / "members.npy", out=tmp_path / "again")).result()
    assert again.weights == score.weights
    assert again.tasks == score.tasks
    assert (tmp_path / "again" / "items.parquet").read_bytes() == (job.out / "items.parquet").read_bytes()


def test_another_seed_is_another_training(job: Job, score: SeedScore, tmp_path: Path) -> None:
    other = train_and_score(replace(job, seed=1, out=tmp_path / "seed-1"))
    assert other.weights != score.weights
    assert other.tasks != score.tasks


def test_only_the_data_differ_and_the_score_falls(world, job: Job, score: SeedScore, tmp_path: Path) -> None:
    turned = [world.texts[i] for i in np.random.default_rng(1).permutation(400)]
    world.materialised(tmp_path / "rows", turned)
    wrong = train_and_score(replace(job, rows=tmp_path / "rows", out=tmp_path / "wrong"))
    assert score.tasks["colour"].value > 90
    assert wrong.headline < score.headline - 30
    assert abs(wrong.corrected) < 15, "captions of other rows teach nothing"
    assert wrong.tasks["colour"].nats < score.tasks["colour"].nats - 1


def test_the_splits_hold_different_items(world, job: Job, tmp_path: Path) -> None:
    train_and_score(replace(job, split="validation", out=tmp_path / "validation"))
    numbers = [set(pl.read_parquet(folder / "items.parquet")["item"]) for folder in (job.out, tmp_path / "validation")]
    assert numbers[0].isdisjoint(numbers[1])
    assert len(numbers[0]) == len(numbers[1]) == 126


def test_the_folder_holds_what_the_summary_says(world, job: Job, score: SeedScore) -> None:
    assert SeedScore.read(job.out, world.scale) == score
    about = json.loads((job.out / "train.json").read_text(encoding="utf-8"))
    assert (about["weights"], about["asked"], about["repeats"]) == (score.weights, 400, {"16": 400})
    answers = pl.read_parquet(job.out / "items.parquet")
    assert score.tasks["colour"].value == pytest.approx(100 * (answers.filter(task="colour", variant="")["rank"] == 1).mean())
    by_direction = answers.filter(task="retrieval", variant="").group_by("direction").agg((pl.col("rank") == 1).mean())["rank"]
    assert score.tasks["retrieval"].value == pytest.approx(100 * by_direction.mean())
    assert score.headline == pytest.approx(np.mean([score.tasks[task].value for task in ("colour", "shape", "retrieval")]))
    assert json.loads(json.dumps(score.to_json()))["tasks"]["shape"]["value"] == score.tasks["shape"].value
    assert [p.name for p in job.out.parent.iterdir()] == ["seed-0"], "no unfinished folder stays"


def test_a_finished_score_is_never_replaced(job: Job, score: SeedScore) -> None:
    before = (job.out / "train.json").read_bytes()
    assert train_and_score(job) == score
    assert (job.out / "train.json").read_bytes() == before
    with pytest.raises(NondeterminismError, match="seed 1 gave other weights"):
        train_and_score(replace(job, seed=1))
    assert (job.out / "train.json").read_bytes() == before


def test_no_score_and_no_rows_are_errors(world, job: Job, tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="no finished score"):
        SeedScore.read(tmp_path, world.scale)
    with pytest.raises(CeterisError, match="an arm without rows"):
        train_and_score(replace(job, members=np.array([[1, 2]], np.uint64), out=tmp_path / "none"))
    assert not list(tmp_path.iterdir())


def test_what_is_no_score_is_not_overwritten(job: Job, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CeterisError, match="what lies here is no score"):
        train_and_score(replace(job, out=tmp_path / "out"))
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "notes.txt"]


def _answers(rows: list[tuple[int, str, str, bool, float]]) -> pl.DataFrame:
    made = [
        {
            "item": item,
            "task": task,
            "variant": "",
            "direction": way,
            "rank": 1 if right else 20,
            "label": 0,
            "answer": int(not right),
            "sure": 0.5,
            "nats": nats,
        }
        for item, task, way, right, nats in rows
    ]
    return pl.DataFrame(made, schema=ANSWERS)


def test_a_score_over_the_last_checkpoints_is_their_mean_also_where_it_was_ended_between_them(
    world, ten_steps: Asked, tmp_path: Path
) -> None:
    record = YAML(typ="safe", pure=True).load(ten_steps.scale.read_text(encoding="utf-8"))["ten"]
    with (tmp_path / "last.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"last": record | {"last_checkpoints": {"count": 3, "every": 2}}}, file)
    scale = load_scale(tmp_path / "last.yaml")
    world._replace(scale=scale).materialised(tmp_path / "rows")
    job = Job(tmp_path / "rows", str(tmp_path / "last.yaml"), world.uids, 0, tmp_path / "seed-0")
    score = train_and_score(job)
    files = ["items-6.parquet", "items-8.parquet", "items.parquet"]
    assert sorted(path.name for path in job.out.glob("*.parquet")) == files
    each = [task_scores(pl.read_parquet(job.out / name), scale) for name in files]
    for task in scale.tasks:
        assert score.tasks[task].value == pytest.approx(np.mean([one[task].value for one in each]))
    assert len({(job.out / name).read_bytes() for name in files}) == 3
    said = json.loads((job.out / "train.json").read_text(encoding="utf-8"))["answers before"]
    assert said == {step: sha256((job.out / f"items-{step}.parquet").read_bytes()) for step in ("6", "8")}
    # An attempt that ended leaves answers behind, also such as are not whole.
    part = tmp_path / ".again.part"
    part.mkdir()
    (part / "items-6.parquet").write_bytes(b"not whole")
    (part / "items-8.tmp").write_bytes(b"not whole")
    again = train_and_score(replace(job, out=tmp_path / "again"))
    assert (again.tasks, again.weights) == (score.tasks, score.weights)
    (job.out / "items-8.parquet").unlink()
    with pytest.raises(CeterisError, match="answers of this score are gone"):
        SeedScore.read(job.out, scale)


def test_leaked_items_are_left_out_as_questions(world) -> None:
    answers = _answers(
        [(0, "colour", "", True, -0.1), (1, "colour", "", False, -3.0), (2, "shape", "", True, 0.0), (3, "shape", "", False, -1.0)]
        + [(i, "retrieval", way, i == 4, -1.0) for i in (4, 5, 6, 7) for way in ("image to text", "text to image")]
    )
    every = task_scores(answers, world.scale)
    assert every["colour"].value == 50
    assert every["colour"].corrected == pytest.approx(100 * (50 - 100 / 6) / (100 - 100 / 6))
    assert every["colour"].nats == pytest.approx(-1.55)
    assert every["retrieval"].value == 25
    assert every["retrieval"].corrected == 0  # one of four is what a guess makes
    clean = task_scores(answers, world.scale, without={1, 4})
    assert (clean["colour"].value, clean["colour"].items) == (100, 1)
    assert (clean["retrieval"].value, clean["retrieval"].items) == (0, 3)
    assert clean["retrieval"].corrected == pytest.approx(100 * -25 / 75), "the choices stay four"
    with pytest.raises(CeterisError, match="task shape has no items left"):
        task_scores(answers, world.scale, without={2, 3})


def test_scores_are_read_with_and_without_items(world, job: Job, score: SeedScore) -> None:
    answers = pl.read_parquet(job.out / "items.parquet")
    right = set(answers.filter(rank=1, task="shape")["item"].head(5))
    clean = SeedScore.read(job.out, world.scale, without=right)
    assert clean.tasks["shape"].value < score.tasks["shape"].value
    assert clean.tasks["colour"] == score.tasks["colour"]
    assert clean.headline < score.headline


def test_rows_open_where_they_are(rows_folder: Path) -> None:
    assert isinstance(Rows.open(rows_folder).images, np.memmap), "workers share the pages"
