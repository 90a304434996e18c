"""Croissant: accepted by mlcroissant, its records read back as exported; and our own check names what mlcroissant lets pass."""

import copy
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.documents.croissant import _licence
from pipelines.documents.croissant_check import blank, check, refuse_faults
from pipelines.documents.document import document


@pytest.fixture(scope="module")
def mlc(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """mlcroissant, which unpacks what it reads into the folder that this variable names when it is imported."""
    os.environ["CROISSANT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    import mlcroissant

    return mlcroissant


PICTURES = """
pool: {path: shards/}
stages:
  fine: {keep: {one_per: near_duplicate_image, prefer: [text_length.chars desc]}}
  long: {after: fine, keep: {top: text_length.chars, count: 120}}
subsets: [long]
"""


@pytest.fixture(scope="module")
def pictures(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return verbs.run(Recipe.parse(PICTURES, where="pictures.yaml", base=place), store=tmp_path_factory.mktemp("s"), executor=InProcess())


def described(run: Run, subset: str, folder: Path, layout: str, **more: Any) -> dict[str, Any]:
    """Exported and documented; the document."""
    verbs.export(run.subset(subset), folder, layout, **more)
    document(run, subset, folder, ["croissant"])
    found: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert check(found) == []
    return found


def records(mlc: ModuleType, folder: Path, name: str) -> list[dict[str, Any]]:
    """Records as mlcroissant reads them, texts decoded."""
    data = mlc.Dataset(str(folder / "croissant.json"))
    assert not data.metadata.issues.errors
    return [
        {key.removeprefix(f"{name}/"): value.decode() if isinstance(value, bytes) else value for key, value in one.items()}
        for one in data.records(name)
    ]


def same_picture(read: Image.Image, data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        return read.size == image.size and read.convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_rows_of_parquet_are_read_back_with_their_images_and_evidence(mlc: ModuleType, pictures: Run, tmp_path: Path) -> None:
    described(pictures, "long", tmp_path / "x", "parquet", evidence={"chars": "text_length.chars"})
    written = pl.read_parquet(tmp_path / "x" / "*.parquet")
    read = records(mlc, tmp_path / "x", "rows")
    assert len(read) == written.height == 120
    plain = [name for name in written.columns if name != "image"]
    assert [{name: one[name] for name in plain} for one in read] == written.select(plain).to_dicts()
    assert all(same_picture(one["image"], image["bytes"]) for one, image in zip(read, written["image"], strict=True))


def test_members_of_tars_are_read_back(mlc: ModuleType, pictures: Run, tmp_path: Path) -> None:
    made = described(pictures, "long", tmp_path / "x", "webdataset")
    with tarfile.open(tmp_path / "x" / "00000.tar") as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    seen = 0
    for name in [one["@id"] for one in made["recordSet"]]:
        for one in records(mlc, tmp_path / "x", name):
            data = members[f"{one['key']}.{name}"]
            assert same_picture(one["content"], data) if name in ("jpg", "png") else one["content"] == data.decode()
            seen += 1
    assert seen == len(members) == 360


def test_uids_are_read_back_as_often_as_they_are_used(mlc: ModuleType, texts: Run, tmp_path: Path) -> None:
    described(texts, "often", tmp_path / "x", "uids")
    read = [one["uid"] for one in records(mlc, tmp_path / "x", "rows")]
    assert read == [uid for uid in texts.subset("often").hex for _ in range(3)]


def test_several_files_are_one_record_set_for_equal_columns(mlc: ModuleType, texts: Run, tmp_path: Path) -> None:
    made = described(texts, "said", tmp_path / "x", "parquet")
    files = sorted((tmp_path / "x").glob("*.parquet"))
    assert [one["@id"] for one in made["recordSet"]] == ["rows", "rows-2"]  # the second shard has a column more
    for name, path in zip(("rows", "rows-2"), files, strict=True):
        assert records(mlc, tmp_path / "x", name) == pl.read_parquet(path).to_dicts()
    for number in (2, 3):  # as a larger export would have it: files of the same columns
        rows = pl.read_parquet(files[1]).with_columns(source=pl.lit(f"file {number}"))
        pq.write_table(rows.to_arrow().cast(pq.read_schema(files[1])), tmp_path / "x" / f"said-{number:05d}.parquet")
    document(texts, "said", tmp_path / "x", ["croissant"])
    told = json.loads((tmp_path / "x" / "croissant.json").read_text(encoding="utf-8"))
    assert check(told) == []
    assert told["distribution"][-1]["includes"] == [f"said-{number:05d}.parquet" for number in (1, 2, 3)]
    many = pl.concat([pl.read_parquet(one) for one in sorted((tmp_path / "x").glob("*.parquet"))[1:]])
    assert records(mlc, tmp_path / "x", "rows-2") == many.to_dicts()


def test_compressed_lines_validate(mlc: ModuleType, texts: Run, tmp_path: Path) -> None:
    made = described(texts, "often", tmp_path / "x", "jsonl.zst")
    assert not mlc.Dataset(str(tmp_path / "x" / "croissant.json")).metadata.issues.errors
    assert {field["name"] for field in made["recordSet"][0]["field"]} == {"uid", "copies", "text", "license", "source", "flag", "seen"}


def test_a_changed_file_is_noticed(mlc: ModuleType, pictures: Run, tmp_path: Path) -> None:
    described(pictures, "long", tmp_path / "x", "parquet")
    path = next((tmp_path / "x").glob("*.parquet"))
    pl.read_parquet(path).head(5).write_parquet(path)
    with pytest.raises(mlc.GenerationError, match="Download") as raised:
        records(mlc, tmp_path / "x", "rows")
    assert "is not identical" in str(raised.value.__cause__)


def test_only_what_people_say_is_left_open(texts: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "creator: Ada\nurl: https://data.example/\npublished: 2026-01-02\nlicence: CC-BY-4.0\n", encoding="utf-8"
    )
    made = described(texts, "said", tmp_path / "x", "uids")
    assert blank(made) == ["creator", "url", "published"]
    assert "creator" not in made
    done = document(texts, "said", tmp_path / "x", ["croissant"], answers=tmp_path / "a.yaml")
    assert done.required == ()
    made = json.loads((tmp_path / "x" / "croissant.json").read_text(encoding="utf-8"))
    assert made["license"][0] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert made["datePublished"] == "2026-01-02"
    assert check(made) == []


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("apache-2.0", "https://spdx.org/licenses/Apache-2.0.html"),
        ("other", "other"),
        ("odbl", "odbl"),
        ("https://x.example/", "https://x.example/"),
    ],
)
def test_only_what_spdx_lists_points_to_spdx(said: str, wanted: str) -> None:
    assert _licence(said) == wanted


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda made: made.pop(name) and None


def _file(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda made: made["distribution"][0].update({key: value})


def _field(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda made: made["recordSet"][0]["field"][0].update({key: value})


FAULTS = {
    "name is missing": _without("name"),
    "description is missing": _without("description"),
    "distribution is missing": _without("distribution"),
    "conformsTo lacks http://mlcommons.org/croissant/RAI/1.0": lambda made: made["conformsTo"].pop(),
    "@context lacks terms": lambda made: made["@context"].pop("cr") and None,
    "@type is not sc:Dataset": lambda made: made.update({"@type": "Thing"}),
    "datePublished is no date": lambda made: made.update(datePublished="soon"),
    "has no SHA-256": _file("sha256", "abc"),
    "lacks contentUrl": _file("contentUrl", ""),
    "is neither cr:FileObject": _file("@type", "File"),
    "lies in nowhere": _file("containedIn", {"@id": "nowhere"}),
    "has no dataType": _field("dataType", None),
    "does not say what of its file": _field("source", {"fileObject": {"@id": "uids.txt"}}),
    "is taken from other.txt": _field("source", {"fileObject": {"@id": "other.txt"}, "extract": {"column": "x"}}),
    "is no cr:Field of rows": _field("@id", "other/uid"),
    "is none of its fields": lambda made: made["recordSet"][0].update(key={"@id": "rows/none"}),
    "has no fields": lambda made: made["recordSet"][0].update(field=[]),
    "is not unique": lambda made: made["distribution"].append(made["distribution"][0]),
}


@pytest.fixture(scope="module")
def fine(texts: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return described(texts, "said", tmp_path_factory.mktemp("fine") / "x", "uids")


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fine: dict[str, Any], fault: str) -> None:
    made = copy.deepcopy(fine)
    FAULTS[fault](made)
    assert any(fault in found for found in check(made))
    with pytest.raises(CeterisError, match="no Croissant"):
        refuse_faults(made, "here")


def test_the_time_of_collection_is_of_days_in_whatever_words_they_are_said(texts: Run, tmp_path: Path) -> None:
    for number, (said, wanted) in enumerate((("2013-01-01 to 2020-12-31, mostly", ["2013-01-01", "2020-12-31"]), ("long ago", None))):
        (tmp_path / "answers.yaml").write_text(f"timeframe: {said}\n", encoding="utf-8")
        folder = tmp_path / str(number)
        document(texts, "said", folder, ["croissant", "datasheet"], answers=tmp_path / "answers.yaml")
        found = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
        assert found.get("rai:dataCollectionTimeframe") == wanted
        assert said in (folder / "datasheet.md").read_text(encoding="utf-8")
