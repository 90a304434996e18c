"""The demo's pool holds the defects it states at the rates it states, and shares with other data only what it plants."""

import ast
import io
import re
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.demo import captions, scenes, sources
from pipelines.demo.defects import RATES
from pipelines.demo.evaluation_set import SPLITS, handwritten, leakable, make_evaluation_set
from pipelines.demo.make_pool import TRUSTED_ROWS, make_pool

ROWS = 3_000
ROOT = Path(__file__).parents[2]
EVALUATION = ROOT / "eval_fixed_model" / "tasks" / "tiny_image_text.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo")
    make_pool(made, rows=ROWS, seed=3, shards=4)
    return made


@pytest.fixture(scope="module")
def pool(folder: Path) -> pl.DataFrame:
    frame = pl.concat([pl.read_parquet(path) for path in sorted((folder / "shards").glob("*.parquet"))])
    return frame.with_columns(bytes=pl.col("image").struct.field("bytes"))


@pytest.fixture(scope="module")
def truth(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "truth.parquet")


def thumbnail(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((12, 12), Image.Resampling.BOX), np.float32).ravel()


def thumbnails(images: list[bytes]) -> np.ndarray:
    return np.stack([thumbnail(image) for image in images])


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square difference in levels, shape (some, others)."""
    squares = (some**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * some @ others.T
    return np.sqrt(squares.clip(0) / some.shape[1])


def test_layout_of_the_pool(folder: Path, pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    assert len(list((folder / "shards").glob("*.parquet"))) == 4
    schema = pq.read_schema(next((folder / "shards").glob("*.parquet")))
    assert schema.names == ["uid", "image", "text", "url", "license", "source"]
    assert {field.name for field in schema.field("image").type} == {"bytes", "path"}
    assert pool.height == truth.height == ROWS
    assert pool["uid"].to_list() == truth["uid"].to_list()
    assert pool["uid"].n_unique() == ROWS
    assert pool["uid"].str.contains("^[0-9a-f]{32}$").all()


def test_same_seed_same_pool_other_seed_other_pool(folder: Path, tmp_path: Path) -> None:
    make_pool(tmp_path / "again", rows=ROWS, seed=3, shards=4)
    for path in sorted(folder.rglob("*.parquet")):
        assert pl.read_parquet(path).equals(pl.read_parquet(tmp_path / "again" / path.relative_to(folder))), path
    make_pool(tmp_path / "other", rows=50, seed=4, shards=1)
    other = pl.read_parquet(tmp_path / "other" / "shards")
    first = pl.read_parquet(folder / "shards" / "part-00000.parquet").head(50)
    assert not set(other["uid"]) & set(first["uid"])
    assert other["text"].to_list() != first["text"].to_list()


@pytest.mark.parametrize("name", sorted(RATES))
def test_effective_rates_are_the_stated_ones(truth: pl.DataFrame, name: str) -> None:
    column = {
        "foreign": pl.col("language").is_not_null() & (pl.col("language") != "en"),
        "copies": pl.col("copy_of").is_not_null(),
        "leaked": pl.col("leak_of").is_not_null(),
        "broken": pl.col("broken").is_not_null(),
    }.get(name, pl.col(name))
    assert truth.select(column.sum()).item() == round(RATES[name] * ROWS)


def test_good_rows_have_no_defect_and_are_about_a_third(truth: pl.DataFrame) -> None:
    good = truth.filter("good")
    assert 0.30 < good.height / ROWS < 0.37
    flags = ["mismatched", "boilerplate", "miscounted", "captionless", "tiny", "stretched"]
    assert not good.select(pl.any_horizontal(flags).any()).item()
    assert good["broken"].null_count() == good["leak_of"].null_count() == good.height
    assert set(good["language"]) == {"en"}


def test_pictures_are_as_the_truth_says(pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    formats, rows = set(), pool.join(truth, on="uid", maintain_order="left")
    for data, tiny, stretched, broken in rows.select("bytes", "tiny", "stretched", "broken").iter_rows():
        if broken is not None:
            with pytest.raises(OSError, match=r"cannot identify|truncated"):
                Image.open(io.BytesIO(data)).load()
            continue
        with Image.open(io.BytesIO(data)) as image:
            formats.add(image.format)
            short, long = sorted(image.size)
            assert tiny == (long < 32)
            assert stretched == (long / short > 3)
            assert tiny or stretched or short == long in (64, 72, 80, 96)
    assert formats == {"PNG", "JPEG"}


def test_copies_show_their_originals(pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    images = dict(zip(pool["uid"], pool["bytes"], strict=True))
    copies = truth.filter(pl.col("copy_of").is_not_null()).select("uid", "copy_of", "copy_kind")
    assert 0.45 < (copies["copy_kind"] == "exact").mean() < 0.55
    assert set(copies["copy_kind"]) == {"exact", "noised", "shifted", "re-encoded"}
    for uid, original, kind in copies.iter_rows():
        assert (images[uid] == images[original]) == (kind == "exact")
        assert np.sqrt(np.mean((thumbnail(images[uid]) - thumbnail(images[original])) ** 2)) < 12
    heads = copies["copy_of"].value_counts(sort=True)["count"]
    assert heads[0] > 5 * heads.median()


def test_captions_are_as_the_truth_says(pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    rows = pool.join(truth, on="uid").filter(pl.col("leak_of").is_null())
    said = rows["text"].fill_null("").str.strip_chars() != ""
    assert (said != rows["captionless"]).all()
    assert set(rows.filter("captionless")["text"]) == {None, "", "   "}
    told = rows.filter((pl.col("language") == "en") & pl.col("relation").is_null())
    number = told["count"].replace_strict({1: r"\b(an?|one) ", 2: r"\btwo ", 3: r"\bthree ", 4: r"\bfour "})
    several = {name: captions.plural(thing) for thing, name in enumerate(scenes.OBJECTS)}
    name = pl.when(pl.col("count") > 1).then(pl.col("thing").replace_strict(several)).otherwise("thing")
    thing = told.select(pl.format("{} {}", "colour", name)).to_series()
    named = [phrase in text for phrase, text in zip(thing, told["text"], strict=True)]
    counted = [bool(re.search(n + c, text)) for n, c, text in zip(number, told["colour"], told["text"], strict=True)]
    told = told.with_columns(named=pl.Series(named), right=pl.Series(named) & pl.Series(counted))
    true = ~pl.col("mismatched") & ~pl.col("miscounted")
    assert told.filter(true)["right"].all()
    assert not told.filter(~true)["right"].any()
    letters = {"ko": "[가-힣]", "zh": "[一-鿿]", "ru": "[а-я]"}
    for language, pattern in letters.items():
        assert rows.filter(pl.col("language") == language)["text"].str.contains(pattern).all()
    assert set(rows["language"].drop_nulls()) == {"en", *captions.FOREIGN}


def test_leaks_are_test_items_and_nothing_else_is(pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    items = pl.read_parquet(EVALUATION)
    rows = pool.join(truth, on="uid", maintain_order="left").filter(pl.col("broken").is_null() & ~pl.col("stretched") & ~pl.col("tiny"))
    near = distances(thumbnails(rows["bytes"].to_list()), thumbnails(items["image"].unique(maintain_order=True).to_list())).min(1)
    leaked = rows["leak_of"].is_not_null().to_numpy()
    assert near[leaked].max() < 6 < near[~leaked].min()
    for text, number in rows.filter(pl.Series(leaked)).select("text", "leak_of").iter_rows():
        item = items.row(number, named=True)
        assert (item["split"], item["text"]) == ("test", text)


def test_trusted_pairs_are_clean_and_not_in_pool_or_evaluation(folder: Path, pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    trusted = pl.read_parquet(folder / "trusted" / "trusted.parquet")
    assert trusted.height == TRUSTED_ROWS
    assert trusted["text"].null_count() == 0
    assert not set(trusted["uid"]) & set(pool["uid"])
    images = thumbnails(trusted["image"].struct.field("bytes").to_list())
    sound = pool.filter(truth["broken"].is_null())["bytes"].to_list()
    assert distances(images, thumbnails(sound)).min() > 3
    assert distances(images, thumbnails(pl.read_parquet(EVALUATION)["image"].unique().to_list())).min() > 3


def test_templates_of_pool_trusted_and_evaluation_differ(folder: Path, pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    sets = [set(t.counts) | set(t.relations) for t in (captions.POOL, captions.TRUSTED, captions.EVALUATION)]
    assert sum(map(len, sets)) == len(set.union(*sets))
    bare = [{re.sub(r"\{\w\}", "", template).strip() for template in one} for one in sets]
    assert not bare[0] & bare[1] | bare[0] & bare[2] | bare[1] & bare[2]
    texts = set(pool.filter(truth["leak_of"].is_null())["text"].drop_nulls())
    trusted = set(pl.read_parquet(folder / "trusted" / "trusted.parquet")["text"])
    items = set(pl.read_parquet(EVALUATION)["text"].drop_nulls())
    assert not texts & trusted | texts & items | trusted & items


def test_no_string_of_the_generator_occurs_in_filters() -> None:
    tongues = list(captions.FOREIGN.values())
    sentences = [*captions.BOILERPLATE, *captions.FILE_NAMES, *(s for t in tongues for s in (*t.counts, *t.relations))]
    sentences += [s for t in (captions.POOL, captions.TRUSTED, captions.EVALUATION) for s in (*t.counts, *t.relations)]
    words = [word for t in tongues for word in (*t.shapes, *t.colours, *t.sides)]
    english = {*scenes.OBJECTS, *scenes.COLOURS, *scenes.RELATIONS, *captions.COUNT_WORDS}  # words of any language, "orange" and "cross"
    parts = {part.strip(" :,.()") for sentence in sentences for part in re.split(r"\{[^}]*\}", sentence)} | set(words) - english
    # One plain word of an English sentence ("with", "large", "above") says nothing; a phrase, or any foreign word, does.
    phrases = {part.casefold() for part in parts if len(part) >= 4 and (" " in part or not part.isascii() or part in words)}
    assert len(phrases) > 150
    files = sorted((ROOT / "filters").rglob("*.py"))
    assert files
    for file in files:
        # Strings, however they are split, and names; a comment decides nothing.
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        strings = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        text = "\n".join([*strings, *(node.id for node in nodes if isinstance(node, ast.Name))]).casefold()
        found = {phrase for phrase in phrases if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text)}
        if file.name == "_caption_words.py":  # what English captions say: colours that other tongues call alike are among it
            found = {phrase for phrase in found if " " in phrase}
        assert not found, (file, found)


def test_licences_of_every_class_are_written(pool: pl.DataFrame, truth: pl.DataFrame) -> None:
    meant = truth["license_class"].value_counts()
    assert set(meant["license_class"]) == set(sources.LICENCES)
    assert meant["count"].min() >= 5
    written = pool.select("license", truth["license_class"]).filter(pl.col("license_class") == "permissive")
    assert set(written["license"]) <= set(sources.LICENCES["permissive"])
    assert pool["license"].null_count() > 0
    hosts = pool["url"].str.extract(r"^https://([^/]+)/")
    assert (hosts == pool["source"]).all()


def test_evaluation_set_has_its_splits_tasks_and_labels() -> None:
    assert EVALUATION.stat().st_size <= 5_000_000
    items = pl.read_parquet(EVALUATION)
    assert items.columns == ["task", "split", "kind", "image", "text", "label"]
    for split in SPLITS:
        part = items.filter(split=split)
        assert set(part.filter(task="shape")["label"]) == set(scenes.OBJECTS)
        assert set(part.filter(task="colour")["label"]) == set(scenes.COLOURS)
        assert set(part.filter(task="count")["label"]) == set(captions.COUNT_WORDS)
        assert set(part.filter(task="relation")["label"]) == set(scenes.RELATIONS)
        assert part.filter(kind="retrieval")["text"].n_unique() == part.filter(task="retrieval").height >= 300
        assert part.filter(kind="classification")["text"].null_count() == part.filter(kind="classification").height
    shared = set(items.filter(split="validation")["image"]) & set(items.filter(split="test")["image"])
    assert not shared
    assert {Image.open(io.BytesIO(data)).size for data in items["image"].head(50)} == {(64, 64)}


def test_evaluation_set_is_what_its_program_writes(tmp_path: Path) -> None:
    make_evaluation_set(tmp_path / "again.parquet")
    again, committed = pl.read_parquet(tmp_path / "again.parquet"), pl.read_parquet(EVALUATION)
    # What is drawn may move by a few levels with Pillow's release; what it is about may not.
    assert again.drop("image").equals(committed.drop("image"))
    assert np.abs(thumbnails(again["image"].to_list()) - thumbnails(committed["image"].to_list())).mean() < 3


def test_leakable_items_are_the_test_pairs() -> None:
    items = pl.read_parquet(EVALUATION)
    assert [item.row for item in leakable()] == items.with_row_index().filter(task="retrieval", split="test")["index"].to_list()


def test_handwritten_digits_are_those_of_uci(tmp_path: Path) -> None:
    items = pl.read_parquet(EVALUATION).filter(task="handwritten_digits")
    counts = items["label"].value_counts().sort("label")["count"].to_list()
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], "as its description counts them"
    # Red falls from 245 (paper) to 40 (ink) in sixteen steps.
    red = np.stack([np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))[..., 0] for image in items["image"]]).astype(float)
    ink = np.rint((245 - red) * 16 / 205).astype(int)
    assert ink.shape[1:] == (12, 12)
    assert ink[:, [0, 1, 10, 11]].max() == ink[:, :, [0, 1, 10, 11]].max() == 0, "a margin of two pixels"
    assert ink[0, 2:4, 2:10].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]], "the first line of its file, a 0"
    pixels = ink[:, 2:10, 2:10].reshape(-1, 64)
    lines = [",".join(map(str, [*row, int(label[-1])])) for row, label in zip(pixels, items["label"], strict=True)]
    (tmp_path / "optdigits.tes").write_text("\n".join(lines))
    assert pl.DataFrame(handwritten(tmp_path / "optdigits.tes"), schema=items.schema).equals(items)
