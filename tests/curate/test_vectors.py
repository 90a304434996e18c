"""Vectors beside rows: Parquet lists and DataComp's `.npz`, whole, damaged, hostile, and what may use them."""

import io
import pickle
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import PoolError, RecipeError
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import make_plan
from curate.vectors import arrays_of

ROWS, SHAPES = 300, {"l14_img": 12, "l14_txt": 12, "b32_img": 8, "b32_txt": 8}


def arrays(seed=0, rows=ROWS, dtype=np.float16):
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=(rows, length)).astype(dtype) for name, length in SHAPES.items()}


def datacomp(folder, seed=0, rows=ROWS, save=np.savez, **more):
    folder.mkdir(exist_ok=True)
    table = pa.table(
        {
            "uid": [f"{1000 * seed + n:032x}" for n in range(rows)],
            "url": [f"https://a.b/{n}" for n in range(rows)],
            "text": [f"caption {n}" for n in range(rows)],
            "original_width": list(range(rows)),
        }
    )
    pq.write_table(table, folder / f"{seed:05d}.parquet", row_group_size=100)
    found = {**arrays(seed, rows), **more}
    if save:
        save(folder / f"{seed:05d}.npz", **found)
    return found


def numbers(series):
    return [None if value is None else np.frombuffer(value, "<f2").tolist() for value in series]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_datacomps_features_are_vectors_of_the_rows_they_number(tmp_path, save):
    first, second = datacomp(tmp_path / "pool", 0, save=save), datacomp(tmp_path / "pool", 1, save=save)
    pool = Pool.open(tmp_path / "pool")
    assert (pool.layout, pool.vectors, pool.unreadable) == ("datacomp-commonpool", SHAPES, ())
    assert [pool.columns[name] for name in SHAPES] == [pl.Binary()] * 4
    assert pool.describe()["columns"]["l14_img"] == "vector of 12"
    for shard, held in zip(pool.shards, [first, second], strict=True):
        read = pool.read(shard, columns=["l14_img", "b32_txt"])
        assert read.faults == {}
        assert numbers(read.frame["pool.l14_img"]) == held["l14_img"].tolist()
        assert numbers(read.frame["pool.b32_txt"]) == held["b32_txt"].tolist()
    for rows in ([5], [0, 99, 100, 299], range(150, 260), [3]):  # backwards too
        found = pool.read(pool.shards[1], columns=["b32_img"], rows=list(rows)).frame["pool.b32_img"]
        assert numbers(found) == second["b32_img"][list(rows)].tolist()
    assert Pool.from_json(pool.to_json()) == pool


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_lists_of_floats_are_vectors(tmp_path, dtype, kind):
    values = np.random.default_rng(0).normal(size=(200, 6)).astype(dtype)
    rows = [None if n % 7 == 3 else row.tolist() for n, row in enumerate(values)]
    arrow = pa.from_numpy_dtype(dtype)
    type_ = {"list": pa.list_(arrow), "large_list": pa.large_list(arrow), "fixed": pa.list_(arrow, 6)}[kind]
    pq.write_table(pa.table({"text": ["a"] * 200, "emb": pa.array(rows, type_)}), tmp_path / "a.parquet", row_group_size=64)
    pool = Pool.open(tmp_path)
    assert (pool.vectors, pool.columns["emb"]) == ({"emb": 6}, pl.Binary())
    read = pool.read(pool.shards[0], columns=["emb"])
    assert numbers(read.frame["pool.emb"]) == [None if row is None else np.array(row).astype(np.float16).tolist() for row in rows]
    assert read.faults == {}
    assert numbers(pool.read(pool.shards[0], columns=["emb"], rows=[3, 62, 64, 198]).frame["pool.emb"])[1:] == [
        values[n].astype(np.float16).tolist() for n in (62, 64, 198)
    ]


def test_vectors_that_are_none_have_a_code(tmp_path):
    good = [[1.0, 2.0]] * 100
    bad = [[np.nan, 1.0], [np.inf, 1.0], [1e6, 1.0], [None, 1.0], [1.0], [1.0, 2.0, 3.0], [], None]
    table = pa.table({"text": ["a"] * 108, "emb": pa.array(good + bad, pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "a.parquet")
    pool = Pool.open(tmp_path)
    read = pool.read(pool.shards[0], columns=["emb"], start=99)
    assert numbers(read.frame["pool.emb"]) == [[1.0, 2.0]] + [None] * 8
    codes = [None] + ["not_finite"] * 4 + ["wrong_length"] * 3 + [None]
    assert read.faults["pool.emb"].to_list() == codes


def test_numbers_in_an_npz_that_are_not_finite_have_a_code(tmp_path):
    spoilt = arrays()["l14_img"]
    spoilt[7, 3], spoilt[8, 0] = np.nan, np.inf
    datacomp(tmp_path / "pool", l14_img=spoilt)
    pool = Pool.open(tmp_path / "pool")
    read = pool.read(pool.shards[0], columns=["l14_img"], start=6, stop=10)
    assert read.faults["pool.l14_img"].to_list() == [None, "not_finite", "not_finite", None]
    assert read.frame["pool.l14_img"].null_count() == 2


def test_lists_of_any_length_are_no_vectors(tmp_path):
    ragged = pa.array([[1.0] * (n % 3) for n in range(9)], pa.list_(pa.float64()))
    none = pa.array([None] * 9, pa.list_(pa.float64()))
    empty = pa.array([[]] * 9, pa.list_(pa.float64()))
    whole = pa.array([[1, 2]] * 9, pa.list_(pa.int64()))
    pq.write_table(pa.table({"text": ["a"] * 9, "r": ragged, "n": none, "e": empty, "w": whole}), tmp_path / "a.parquet")
    pool = Pool.open(tmp_path)
    assert pool.columns == {"text": pl.String()}


def test_a_shard_without_a_vector_has_no_column_and_another_length_is_drift(tmp_path):
    datacomp(tmp_path / "pool", 0)
    datacomp(tmp_path / "pool", 1, save=None)
    pool = Pool.open(tmp_path / "pool")
    assert pool.read(pool.shards[1], columns=["l14_img"]).faults["pool.l14_img"].to_list() == ["no_column"] * ROWS
    np.savez(tmp_path / "pool" / "00001.npz", l14_img=np.zeros((ROWS, 5), np.float16))
    with pytest.raises(PoolError, match=r"column 'l14_img' drifts: found vector of 5, expected vector of 12"):
        Pool.open(tmp_path / "pool")


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def broken(kind, path, tmp_path):
    data = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "text":
        path.write_text("<html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        np.savez(path, l14_img=np.array([Canary(tmp_path / "canary")] * ROWS, dtype=object))
    elif kind == "short":
        np.savez(path, **arrays(rows=ROWS - 1))
    elif kind == "columns first":
        np.savez(path, l14_img=np.asfortranarray(arrays()["l14_img"]))
    elif kind == "lies":
        held = io.BytesIO()
        np.save(held, np.zeros((2, 12), np.float16))
        claims = held.getvalue().replace(b"(2, 12), }  ", b"(300, 12), }")
        assert claims != held.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("l14_img.npy", claims)
    elif kind == "no array":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("l14_img.npy", pickle.dumps([1]))


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "pickle", "short", "columns first", "lies", "no array"])
def test_a_broken_npz_costs_its_vectors_and_no_row(tmp_path, kind):
    datacomp(tmp_path / "pool", 0)
    datacomp(tmp_path / "pool", 1)
    path = tmp_path / "pool" / "00000.npz"
    broken(kind, path, tmp_path)
    cache = tmp_path / "cache.json"
    for _ in range(2):  # the second time from the cache
        pool = Pool.open(tmp_path / "pool", cache=cache)
        assert pool.rows == 2 * ROWS
        if kind == "pickle":  # an array of objects is none of ours
            assert pool.unreadable == ()
        else:
            assert [(each.path, each.code) for each in pool.unreadable] == [("00000.npz", "other_rows" if kind == "short" else "bad_npz")]
        assert pool.read(pool.shards[0], columns=["l14_img"]).faults["pool.l14_img"].null_count() == 0
        assert pool.read(pool.shards[1], columns=["l14_img"]).faults == {}
    assert not (tmp_path / "canary").exists()


def test_the_bytes_of_an_npz_are_part_of_its_shard(tmp_path):
    datacomp(tmp_path / "pool", 0)
    cache = tmp_path / "cache.json"
    before = Pool.open(tmp_path / "pool", cache=cache)
    assert Pool.open(tmp_path / "pool", cache=cache).digest_level == "stat"
    path = tmp_path / "pool" / "00000.npz"
    assert before.shards[0].size == path.stat().st_size + path.with_suffix(".parquet").stat().st_size
    datacomp(tmp_path / "pool", 0, b32_img=arrays(9)["b32_img"])
    after = Pool.open(tmp_path / "pool", cache=cache)
    assert (after.digest_level, after.rows) == ("full", before.rows)
    assert after.shards[0].digest != before.shards[0].digest
    with pytest.raises(PoolError, match=r"holds other content than when it was opened"):
        before.refuse_changes(cache)
    after.refuse_changes(cache)
    path.write_bytes(path.read_bytes()[:-400])
    assert set(after.read(after.shards[0], columns=["b32_img"]).faults["pool.b32_img"]) == {"unreadable"}


def test_an_array_called_like_a_column_is_refused(tmp_path):
    datacomp(tmp_path / "pool", 0, original_width=np.zeros((ROWS, 2)))
    with pytest.raises(PoolError, match=r"both it and 00000.parquet have a column 'original_width'"):
        Pool.open(tmp_path / "pool")


def test_only_rows_of_floats_are_vectors(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.zeros(3), three=np.zeros((3, 2, 2)), whole=np.zeros((3, 2), int), fine=np.zeros((3, 2)))
    assert [(each.name, each.rows, each.length) for each in arrays_of(tmp_path / "a.npz")] == [("fine", 3, 2)]


@pytest.mark.parametrize(
    ("stage", "what"),
    [
        ('{keep: "pool.l14_img > 1"}', r"cannot compare pool.l14_img|pool.l14_img is Binary"),
        ('{keep: "pool.l14_img in [1, 2]"}', r"pool.l14_img"),
        ('{keep: "pool.l14_img + 1 > 2"}', r"expected a number: pool.l14_img is Binary"),
        ("{keep: {top: pool.l14_img, fraction: 0.5}}", r"top needs numbers; pool.l14_img is Binary"),
        ("{keep: {mix: {a: 0.5, b: 0.5}, by: pool.l14_img, seed: 0}}", r"mix needs a column of names; pool.l14_img is Binary"),
        ("{keep: {one_per: same, prefer: [pool.l14_img asc]}}", r"prefer needs what can be ordered; pool.l14_img is Binary"),
    ],
)
def test_rules_cannot_judge_vectors(tmp_path, filters, stage, what):
    datacomp(tmp_path / "pool")
    recipe = Recipe.parse(f"{{stages: {{a: {stage}}}, subsets: [a]}}", where="recipe.yaml")
    with pytest.raises(RecipeError, match=what):
        make_plan(recipe, Pool.open(tmp_path / "pool"), filters(), {}, {})


def test_rules_may_ask_whether_there_is_one(tmp_path, do, store):
    emb = pa.array([[1.0, 2.0], None, [3.0, 4.0], [np.nan, 1.0]] * 8, pa.list_(pa.float32()))
    pq.write_table(pa.table({"text": ["ab"] * 32, "emb": emb}), tmp_path / "a.parquet")
    found = do('{errors_at_most: 0.5, stages: {a: {keep: "pool.emb is not None"}}, subsets: [a]}', Pool.open(tmp_path), store)
    funnel = store.json(f"{found.folder}/funnel.json")
    assert [stage["kept"] for stage in funnel] == [32, 16]
