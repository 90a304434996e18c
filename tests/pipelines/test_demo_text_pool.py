"""The text demo's pool holds the defects it states at the rates it states, and shares with other data only what it plants."""

import ast
import re
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CeterisError
from curate.pool import Pool
from pipelines.demo.text import defects, web
from pipelines.demo.text.documents import documents
from pipelines.demo.text.make_pool import fingerprint, make_pool

ROWS = 5_000
ROOT = Path(__file__).parents[2]
ITEMS = ROOT / "eval_fixed_model" / "tasks" / "tiny_text.parquet"
FINGERPRINT = "6cbfff1a4f9fe86f19324d982a84cc0ee1075b044b5b52ea840f24b1329e70e4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("demo text")
    make_pool(made)
    return made


@pytest.fixture(scope="module")
def rows(folder: Path) -> pl.DataFrame:
    """The pool with its truth."""
    shards = pl.concat([pl.read_parquet(path) for path in sorted((folder / "shards").glob("*.parquet"))])
    truth = pl.read_parquet(folder / "truth" / "truth.parquet")
    assert shards["id"].to_list() == truth["uid"].to_list()
    return shards.hstack(truth)


def grams(text: str, n: int = 13) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def grams_of(texts: list[str]) -> set[tuple[str, ...]]:
    return set().union(*(grams(text) for text in texts))


def test_the_engine_opens_it(folder: Path) -> None:
    pool = Pool.open(folder / "shards")
    assert (pool.layout, pool.modality, pool.rows, len(pool.shards)) == ("fineweb", "text", ROWS, 4)
    assert pool.roles == {
        "uid": "id", "text": "text", "url": "url", "observed": "date", "license": "license", "source": "source",
    }  # fmt: skip


def test_it_is_the_same_pool_everywhere(folder: Path) -> None:
    assert fingerprint(folder) == FINGERPRINT


def test_another_seed_is_another_pool(rows: pl.DataFrame, tmp_path: Path) -> None:
    make_pool(tmp_path, rows=400, seed=1, shards=2)
    other = pl.read_parquet(tmp_path / "shards" / "*.parquet")
    assert other.height == 400
    assert not set(other["id"]) & set(rows["id"])
    assert other["text"].to_list() != rows["text"].head(400).to_list()


@pytest.mark.parametrize("rows", [1, 7, 20])
def test_small_pools_are_made(tmp_path: Path, rows: int) -> None:
    make_pool(tmp_path, rows=rows, shards=1)
    assert pl.read_parquet(tmp_path / "shards" / "*.parquet").height == rows


def test_a_pool_that_the_snapshot_cannot_fill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match=r"a pool of 9000 rows needs \d+ documents, and the snapshot has 3200"):
        make_pool(tmp_path, rows=9_000)


@pytest.mark.parametrize("kind", sorted(defects.RATES))
def test_effective_rates_are_the_stated_ones(rows: pl.DataFrame, kind: str) -> None:
    assert rows.filter(kind=kind).height == round(defects.RATES[kind] * ROWS)


def test_every_other_row_is_good(rows: pl.DataFrame) -> None:
    assert set(rows.filter(~pl.col("good"))["kind"]) == set(defects.RATES)
    assert set(rows.filter("good")["kind"]) == {"clean"}
    assert abs(rows["good"].mean() - (1 - sum(defects.RATES.values()))) < 1e-3


def test_copies_repeat_rows_of_their_kind(rows: pl.DataFrame) -> None:
    copies = rows.filter(pl.col("copy_of").is_not_null())
    assert copies.height == round(defects.COPIES * ROWS)
    both = copies.join(rows, left_on="copy_of", right_on="uid", suffix="_original")
    assert both.height == copies.height
    assert both["copy_of_original"].null_count() == both.height
    assert (both["kind"] == both["kind_original"]).all()
    same = both["text"] == both["text_original"]
    assert (same == (both["copy_kind"] == "exact")).all()
    assert 0.45 < same.mean() < 0.55
    for text, original in both.filter(~same).filter(kind="clean").select("text", "text_original").iter_rows():
        mine, theirs = grams(text, 3), grams(original, 3)
        assert len(mine & theirs) / len(mine | theirs) > 0.5, text
    heads = copies["copy_of"].value_counts(sort=True)["count"]
    assert heads[0] > 4 * heads.median()


def test_clean_rows_stand_in_the_snapshot(rows: pl.DataFrame) -> None:
    known = {one.name: one for one in documents("pool")}
    first = rows.filter(pl.col("copy_of").is_null(), kind="clean")
    assert first["name"].n_unique() == first.height
    for name, text, source, terms in first.select("name", "text", "source", "license").iter_rows():
        assert (text, source, terms) == (known[name].text, known[name].source, known[name].license)


def test_bad_rows_are_as_the_truth_says(rows: pl.DataFrame) -> None:
    first = rows.filter(pl.col("copy_of").is_null())
    known = {one.name: one.text for one in documents("pool")}
    for name, text in first.filter(kind="shuffled").select("name", "text").iter_rows():
        assert sorted(text.split()) == sorted(known[name].split())
        assert text.split() != known[name].split()
    for name, text in first.filter(kind="scanned").select("name", "text").iter_rows():
        left = set(text.split()) & set(known[name].split())
        assert 0.1 < len(left) / len(set(text.split())) < 0.9
    for name, text in first.filter(kind="spliced").select("name", "text").iter_rows():
        assert known[name].split()[0] == text.split()[0]
        assert known[name] not in text
    assert set(first.filter(kind="blank")["text"]) <= {None, "", "  \n"}
    assert (first.filter(kind="table")["text"].str.count_matches("[0-9]") > 90).all()
    letters = {"ar": "[ء-ي]", "ja": "[ぁ-ヿ]", "ko": "[가-힣]", "zh": "[一-鿿]", "ru": "[а-я]", "uk": "[а-я]"}
    for language, pattern in letters.items():
        assert first.filter(kind="foreign", language=language)["text"].str.contains(pattern).all()
    assert first.filter(kind="foreign")["language"].n_unique() == 18


def test_leaks_are_test_items_and_nothing_else_is(rows: pl.DataFrame) -> None:
    items = pl.read_parquet(ITEMS).with_row_index()
    leaks = rows.filter(kind="leaked")
    for text, number in leaks.select("text", "leak_of").iter_rows():
        item = items.row(number, named=True)
        assert (item["split"], item["task"]) == ("test", "held_out")
        assert item["text"] in text
    verbatim = leaks["text"].is_in(items["text"].implode())
    assert 0.3 < verbatim.mean() < 0.8
    asked = grams_of(items["text"].to_list())
    other = rows.filter(pl.col("kind") != "leaked", pl.col("text").is_not_null())["text"].to_list()
    assert not asked & grams_of(other)


def test_trusted_documents_share_nothing_with_pool_and_items(folder: Path, rows: pl.DataFrame) -> None:
    trusted = pl.read_parquet(folder / "trusted" / "trusted.parquet")
    assert trusted.height > 300
    items = pl.read_parquet(ITEMS)
    assert not set(trusted["source"]) & (set(rows.filter("good")["source"]) | set(items["group"]))
    assert not set(rows.filter("good")["source"]) & set(items["group"])
    apart = grams_of(trusted["text"].to_list())
    assert not apart & grams_of([*rows.filter(kind="clean")["text"], *items["text"]])


def test_what_the_pool_gives_to_keep_out_is_the_test_split(folder: Path) -> None:
    test = pl.read_parquet(ITEMS).filter(split="test")
    given = {path.stem: pl.read_parquet(path)["text"].to_list() for path in (folder / "items").glob("*.parquet")}
    assert set(given) == set(test["task"])
    for task in ("held_out", "out_of_domain"):
        assert given[task] == test.filter(task=task)["text"].to_list()
    for said, (text, choices, label) in zip(
        given["cloze"], test.filter(task="cloze").select("text", "choices", "label").rows(), strict=True
    ):
        assert said == f"{text} {choices[label]}"


def test_no_sentence_of_the_generator_occurs_in_filters() -> None:
    parts = {part.strip(" .,:").casefold() for sentence in web.SENTENCES for part in re.split(r"\{\w+\}|[.,]", sentence)}
    phrases = {part for part in parts if part.count(" ") >= 2}
    assert len(phrases) > 40
    files = sorted((ROOT / "filters").rglob("*.py"))
    assert files
    for file in files:
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        text = "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)).casefold()
        assert not {phrase for phrase in phrases if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text)}, file
