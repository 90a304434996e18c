"""Evaluation sets in a folder: all kinds of task, held against the same pictures scored without any reader."""

import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from open_clip import build_zero_shot_classifier

from curate.errors import CeterisError
from eval_fixed_model.image_text import ask, build
from eval_fixed_model.records import Classification
from eval_fixed_model.rows.images import pixels, tokenise
from eval_fixed_model.scale import SHIPPED, ImageTextScale, load_scale
from eval_fixed_model.score import task_scores
from eval_fixed_model.tasks.items import items_digest, items_of
from eval_fixed_model.tasks.webdataset_items import PLACE, missing, partial

NAMES = ("square", "disc", "cross")
TEMPLATES = ("a {c}", "one {c} on grey")
TASKS: dict[str, dict[str, Any]] = {
    "plain": {"kind": "classification", "folder": "wds_plain_test", "chance": 33.3},
    "classes": {"kind": "classification", "folder": "wds_plain_test", "metric": "mean_per_class_recall", "chance": 33.3},
    "f1": {"kind": "classification", "folder": "wds_plain_test", "metric": "macro_f1"},
    "worst": {"kind": "classification", "folder": "wds_groups_test", "objective": "shape", "metric": "worst_group", "groups": 1},
    "objective": {"kind": "classification", "folder": "wds_groups_test", "objective": "shape", "labels": 0, "reported_only": True},
    "captions": {"kind": "retrieval", "folder": "wds_captions_test"},
    "table": {"kind": "retrieval", "folder": "flickr"},
    "cues": {"kind": "retrieval", "folder": "winogavil", "metric": "jaccard", "candidates": 5, "chance": 20},
}


class Sets(NamedTuple):
    """The folder, the scale over it, and what lies in it: pictures, shapes, groups, captions."""

    folder: Path
    scale: ImageTextScale
    images: list[bytes]
    shapes: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    captions: list[list[str]]

    def shown(self, places: Any) -> torch.Tensor:
        """Pictures as the network takes them."""
        return torch.from_numpy(np.stack([pixels(self.images[i], self.scale.image.resolution) for i in places]))


def _tar(file: Path, samples: list[dict[str, bytes]], first: int) -> None:
    with tarfile.open(file, "w") as tar:
        for number, sample in enumerate(samples, first):
            for ending, data in sample.items():
                about = tarfile.TarInfo(f"s{number:07}.{ending}")
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))


def _set(folder: Path, samples: list[dict[str, bytes]], **texts: str) -> None:
    (folder / "test").mkdir(parents=True)
    half = len(samples) // 2
    _tar(folder / "test" / "0.tar", samples[:half], 0)
    _tar(folder / "test" / "1.tar", samples[half:], half)
    (folder / "test" / "nshards.txt").write_text("2\n")
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)


def _npy(*numbers: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(numbers))
    return file.getvalue()


@pytest.fixture(scope="module")
def sets(world, tmp_path_factory: pytest.TempPathFactory) -> Sets:
    folder, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    images, texts = world.images[:60], world.texts[:60]
    shapes = np.array([NAMES.index(text.split()[2]) for text in texts])
    groups = rng.integers(0, 3, 60)
    captions = [[text + f" {i}", *[f"number {i} {j}" for j in range(rng.integers(3))]] for i, text in enumerate(texts)]
    lines, asked = "\n".join(NAMES), "\n".join(TEMPLATES)
    plain = [{"png": image, "cls": str(shape).encode()} for image, shape in zip(images, shapes, strict=True)]
    _set(folder / "wds_plain_test", plain, classnames=lines, zeroshot_classification_templates=asked)
    grouped = [{**sample, "npy": _npy(shape, group)} for sample, shape, group in zip(plain, shapes, groups, strict=True)]
    both = "\n".join([f"shape:{name}" for name in NAMES] + ["colour:red", "colour:blue"])
    told = "\n".join([f"shape:{template}" for template in TEMPLATES] + ["colour:a {c} disc"])
    _set(folder / "wds_groups_test", grouped, classnames=both, zeroshot_classification_templates=told)
    said = [{"png": image, "txt": "\n".join(own).encode()} for image, own in zip(images, captions, strict=True)]
    _set(folder / "wds_captions_test", said, dataset_type="retrieval")
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": image, "path": None} for image in images]
    (folder / "flickr").mkdir()
    pq.write_table(pa.table({"image": pa.array(cells, picture), "caption": captions}), folder / "flickr" / "0.parquet", row_group_size=17)
    (folder / "winogavil").mkdir()
    sizes = [5, 6, 4, 5]
    names = [[f"p{i}" for i in range(sum(sizes[:row]), sum(sizes[: row + 1]))] for row in range(4)]
    table = pa.table(
        {
            "cue": ["Square", "owl", "disc", "cross"],
            "candidates": names,
            "associations": [[each[1], each[3]] for each in names],
            "candidate_images": pa.array([[cells[int(name[1:])] for name in each] for each in names], pa.list_(picture)),
        }
    )
    pq.write_table(table, folder / "winogavil" / "test.parquet", row_group_size=3)
    record = world.scale.model_dump(mode="json") | {"items": {"folder": str(folder)}, "tasks": TASKS, "perturbed": None}
    record["headline"] |= {"tasks": [name for name, task in TASKS.items() if not task.get("reported_only")]}
    return Sets(folder, ImageTextScale.model_validate(record), images, shapes, groups, captions)


@pytest.fixture(scope="module")
def answers(sets: Sets) -> pl.DataFrame:
    return ask(build(sets.scale, 0).eval(), sets.scale, "test")


@pytest.fixture(scope="module")
def by_hand(sets: Sets) -> dict[str, float]:
    """Every task's main metric, from the pictures in memory."""
    network = build(sets.scale, 0).eval()

    def told(texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(tokenise(texts, sets.scale.tokens).astype(np.int64))

    heads = build_zero_shot_classifier(network, told, NAMES, [t.replace("{c}", "{}") for t in TEMPLATES])
    flat = [text for own in sets.captions for text in own]
    owner = np.repeat(np.arange(60), [len(own) for own in sets.captions])
    with torch.inference_mode():
        features = network.encode_image(sets.shown(range(60)), True)
        answer = (features @ heads).argmax(1).numpy()
        cosines = (features @ network.encode_text(told(flat), True).T).numpy()
        jaccards = []
        for sentence, first, size in (("A square", 0, 5), ("An owl", 5, 6), ("A disc", 15, 0), ("A cross", 15, 5)):
            if size:
                near = network.encode_image(sets.shown(range(first, first + size)), True) @ network.encode_text(told([sentence]), True)[0]
                chosen = set(near.argsort(descending=True)[:2].tolist())
                jaccards.append(len(chosen & {1, 3}) / len(chosen | {1, 3}))
    right = answer == sets.shapes
    recalls = [right[sets.shapes == kind].mean() for kind in range(3)]
    f1 = [2 * right[sets.shapes == kind].sum() / ((answer == kind).sum() + (sets.shapes == kind).sum()) for kind in range(3)]
    to_text = np.mean([owner[cosines[i].argmax()] == i for i in range(60)])
    to_image = np.mean([cosines[:, j].argmax() == owner[j] for j in range(len(flat))])
    return {
        "plain": 100 * right.mean(),
        "classes": 100 * float(np.mean(recalls)),
        "f1": 100 * float(np.mean(f1)),
        "worst": 100 * min(right[sets.groups == group].mean() for group in range(3)),
        "objective": 100 * right.mean(),
        "captions": 50 * (to_text + to_image),
        "table": 50 * (to_text + to_image),
        "cues": 100 * float(np.mean(jaccards)),
    }


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("captions", "table", "worst")])
def test_a_set_scores_what_its_pictures_score(sets: Sets, answers: pl.DataFrame, by_hand: dict[str, float], task: str) -> None:
    assert task_scores(answers, sets.scale)[task].value == pytest.approx(by_hand[task])


def test_the_worst_group_is_among_those_of_its_column(sets: Sets, answers: pl.DataFrame, by_hand: dict[str, float]) -> None:
    assert task_scores(answers, sets.scale)["worst"].value == pytest.approx(by_hand["worst"])
    assert set(answers.filter(task="worst")["group"]) == {"0", "1", "2"}
    other = Classification(kind="classification", folder="wds_groups_test", groups=9)
    with pytest.raises(CeterisError, match="a label or a group cannot be read"):
        items_of(sets.scale.model_copy(update={"tasks": {"x": other}}), "test")


def test_captions_are_scored_alike_from_tars_and_tables(sets: Sets, answers: pl.DataFrame, by_hand: dict[str, float]) -> None:
    tars, tables = (answers.filter(task=name).drop("task", "item") for name in ("captions", "table"))
    assert tars.equals(tables)
    assert task_scores(answers, sets.scale)["captions"].value == pytest.approx(by_hand["captions"])
    assert by_hand["captions"] > 0


def test_items_are_numbered_on_from_task_to_task(sets: Sets, answers: pl.DataFrame) -> None:
    counts = {"plain": 60, "classes": 60, "f1": 60, "worst": 60, "objective": 60, "captions": 60, "table": 60, "cues": 3}
    listed = answers.group_by("task", maintain_order=True).agg(
        pl.col("item").min().alias("first"), pl.col("item").n_unique().alias("count")
    )
    assert dict(zip(listed["task"], listed["count"], strict=True)) == counts
    assert listed["first"].to_list() == np.cumsum([0, *counts.values()])[:-1].tolist()


def test_missing_sets_are_named_and_the_rest_is_another_scale(sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(sets.scale) == []
    assert partial(sets.scale) is sets.scale
    for name in ("wds_plain_test", "winogavil"):
        (tmp_path / name).symlink_to(sets.folder / name)
    monkeypatch.setenv(PLACE, str(tmp_path))
    with pytest.raises(CeterisError, match="4 evaluation sets are missing: worst, objective, captions, table") as caught:
        items_of(sets.scale, "test")
    assert "download_evalsets" in str(caught.value)
    left = partial(sets.scale)
    assert (left.name, tuple(left.tasks), left.headline.tasks) == ("small-partial", ("plain", "classes", "f1", "cues"), tuple(left.tasks))
    assert "partial: 4 of 7 headline tasks; missing: worst, objective, captions, table" in str(left.comparable)
    assert left.digest != sets.scale.digest
    assert set(task_scores(ask(build(left, 0).eval(), left, "test"), left)) == set(left.tasks)
    monkeypatch.setattr("eval_fixed_model.scale.shipped", lambda: {"small": sets.scale})
    assert load_scale("small-partial").digest == left.digest
    monkeypatch.setenv(PLACE, str(tmp_path / "nothing"))
    with pytest.raises(CeterisError, match="none of the scale's evaluation sets"):
        partial(sets.scale)


def test_the_digest_is_of_the_files(sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = items_digest(sets.scale)
    for folder in sets.folder.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv(PLACE, str(tmp_path))
    assert items_digest(sets.scale) == before, "wherever they lie"
    (tmp_path / "wds_plain_test").unlink()
    _set(
        tmp_path / "wds_plain_test",
        [{"png": sets.images[0], "cls": b"0"}] * 2,
        classnames="square",
        zeroshot_classification_templates="a {c}",
    )
    assert items_digest(sets.scale) != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cls": b"3"}, "labels reach from 3 to 3, of 3 classes"),
        ({"cls": b"x"}, "a label or a group cannot be read"),
        ({"txt": b"no label"}, r"a sample has no \.cls"),
        ({"cls": b"0", "png": None}, "a sample has no picture"),
        ({"cls": b"0", "png": b"no picture"}, "does not decode"),
    ],
)
def test_broken_samples_are_refused(
    sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    sample = {name: data for name, data in ({"png": sets.images[0]} | change).items() if data is not None}
    _set(tmp_path / "wds_plain_test", [sample] * 4, classnames="\n".join(NAMES), zeroshot_classification_templates="a {c}")
    monkeypatch.setenv(PLACE, str(tmp_path))
    one = sets.scale.model_copy(update={"tasks": {"plain": sets.scale.tasks["plain"]}})
    with pytest.raises(CeterisError, match=message):
        ask(build(one, 0).eval(), one, "test")


def test_broken_sets_are_refused(sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    one = sets.scale.model_copy(update={"tasks": {"plain": sets.scale.tasks["plain"]}})
    _set(tmp_path / "wds_plain_test", [{"png": sets.images[0], "cls": b"0"}] * 4, classnames="square")
    with pytest.raises(CeterisError, match=r"templates\.txt: the set has no such file"):
        items_of(one, "test")
    with pytest.raises(CeterisError, match="no validation split"):
        items_of(one, "validation")
    (tmp_path / "wds_plain_test" / "test" / "nshards.txt").write_text("3")
    with pytest.raises(CeterisError, match=r"2\.tar: the shard cannot be read"):
        items_of(one.model_copy(update={"name": "other"}), "test")
    (tmp_path / "wds_plain_test" / "dataset_type.txt").write_text("retrieval")
    with pytest.raises(CeterisError, match="the set is for retrieval, the task for classification"):
        items_of(one.model_copy(update={"name": "another"}), "test")


def test_a_picture_without_captions_is_refused(sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    _set(
        tmp_path / "wds_captions_test",
        [{"png": sets.images[0], "txt": b"one"}, {"png": sets.images[1], "txt": b""}],
        dataset_type="retrieval",
    )
    (tmp_path / "flickr").mkdir()
    table = pa.table({"image": pa.array([{"bytes": image} for image in sets.images[:2]]), "caption": [["one"], None]})
    pq.write_table(table, tmp_path / "flickr" / "0.parquet")
    for name in ("captions", "table"):
        one = sets.scale.model_copy(update={"tasks": {name: sets.scale.tasks[name]}})
        with pytest.raises(CeterisError, match="picture 1 has no caption"):
            items_of(one, "test")


@pytest.fixture
def datacomp(world, write_scale, tmp_path: Path) -> ImageTextScale:
    """The small world's judge, asked DataComp's tasks."""
    tasks = str(SHIPPED.parent / "tasks" / "datacomp.yaml")
    mean = list(load_scale("datacomp-small").headline.tasks)
    changes = {"items": {"folder": str(tmp_path / "sets")}, "headline__tasks": mean, "perturbed": None, "tokens__context": 8}
    return load_scale(write_scale(tmp_path / "small.yaml", tasks=tasks, **changes))


def test_datacomps_sets_are_a_scales_tasks(datacomp: ImageTextScale) -> None:
    mean = [name for name, task in datacomp.tasks.items() if not getattr(task, "reported_only", False)]
    assert mean == list(datacomp.headline.tasks)
    assert len(mean) == 38
    assert {task.folder for task in datacomp.tasks.values() if task.reported_only} == {"wds_fairface_test", "wds_utkface_test"}
    assert sum(getattr(task, "near_chance", False) for task in datacomp.tasks.values()) == 5
    by_metric = pl.Series([datacomp.tasks[name].metric for name in mean]).value_counts()
    assert dict(by_metric.iter_rows()) == {
        "accuracy": 27,
        "mean_per_class_recall": 4,
        "macro_f1": 1,
        "worst_group": 2,
        "worst_group_at_5": 1,
        "recall_at_1": 2,
        "jaccard": 1,
    }
    with pytest.raises(CeterisError, match="42 evaluation sets are missing"):
        items_of(datacomp, "test")


def test_all_of_datacomps_tasks_run_once_their_sets_are_there(world, datacomp: ImageTextScale, tmp_path: Path) -> None:
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": image, "path": None} for image in world.images[:12]]
    classes = [f"{kind}:{name}" for kind in ("gender", "age") for name in "abcdef"]
    for task in datacomp.tasks.values():
        folder = tmp_path / "sets" / task.folder
        if folder.exists():
            continue
        if isinstance(task, Classification):
            samples = [{"jpg": cell["bytes"], "cls": f"{i % 6}".encode(), "npy": _npy(i % 5, i % 2, i % 3)} for i, cell in enumerate(cells)]
            names = classes if task.objective else [name for name in "abcdef"]
            templates = "gender:a {c}\nage:an {c}" if task.objective else "a {c}"
            _set(folder, samples, classnames="\n".join(names), zeroshot_classification_templates=templates)
        else:
            names = [f"p{i}" for i in range(12)]
            columns = {"image": pa.array(cells, picture), "caption": [[f"number {i}", f"no {i}"] for i in range(12)]}
            if task.metric == "jaccard":
                asked = {"cue": ["fox"], "candidates": [names], "associations": [names[3:5]]}
                columns = asked | {"candidate_images": pa.array([cells], pa.list_(picture))}
            folder.mkdir()
            pq.write_table(pa.table(columns), folder / "test.parquet")
    scores = task_scores(ask(build(datacomp, 0).eval(), datacomp, "test"), datacomp)
    assert list(scores) == list(datacomp.tasks)
    for name, task in datacomp.tasks.items():
        assert next(iter(scores[name].measures)) == task.metric
        assert 0 <= scores[name].value <= 100
        assert scores[name].items == (1 if task.metric == "jaccard" else 12)


def test_a_scale_that_brings_its_items_is_never_partial() -> None:
    with pytest.raises(CeterisError, match="the items of scale tiny-image-text come with it"):
        load_scale("tiny-image-text-partial")
