import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.digest import hex_of, words_of_hex
from curate.errors import CeterisError
from curate.exports import parquet as exporting
from curate.exports.export import Redaction, export
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run


def uids_of(pool):
    return sorted(hex_of(np.concatenate([pool.uids(shard)[0] for shard in pool.shards])))


def test_uids_are_a_sorted_list(finished, tmp_path):
    about = export(finished, "best", tmp_path / "out", "uids")
    assert (tmp_path / "out" / "uids.txt").read_text().split() == finished.subset("best").hex
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == about
    assert (about["rows"], about["digest"], about["files"]) == (4, finished.facts["subsets"]["best"], ["uids.txt"])


def test_npy_is_datacomps_sorted_pairs_of_words(finished, tmp_path):
    (tmp_path / "out").mkdir()
    export(finished, "best", tmp_path / "out", "npy")
    found = np.load(tmp_path / "out" / "subset.npy", allow_pickle=False)
    assert found.dtype == np.dtype("u8,u8")
    pairs = [tuple(map(int, pair)) for pair in found]
    assert pairs == sorted(pairs) == [tuple(pair) for pair in words_of_hex(finished.subset("best").hex).tolist()]


@pytest.mark.parametrize("per_file", [1, 3, 65_536])
@pytest.mark.parametrize("subset", ["best", "rest", "pool"])
def test_parquet_is_the_pools_own_rows_and_opens_as_a_pool_of_the_same_uids(finished, texts, tmp_path, monkeypatch, subset, per_file):
    monkeypatch.setattr(exporting, "ROWS_PER_FILE", per_file)
    about = export(finished, subset, tmp_path / "out", "parquet")
    out = pl.concat([pl.read_parquet(tmp_path / "out" / name) for name in about["files"]])
    whole = pl.concat([pl.read_parquet(texts.root / shard.path) for shard in texts.shards]).with_columns(
        uid=pl.Series(hex_of(finished.uids()))
    )
    mask = np.ones(12, bool) if subset == "pool" else finished.codes(subset) == 0
    assert out.equals(whole.filter(mask))
    pool = Pool.open(tmp_path / "out")
    assert uids_of(pool) == finished.subset(subset).hex
    assert pool.roles == {**texts.roles, "uid": "uid"}
    assert len(about["files"]) == (1 if per_file > 12 else len(about["files"])) > 0


def run_on(
    frames,
    do,
    store,
    folder,
    recipe='{stages: {a: {keep: "length.chars > 1"}}, subsets: [a]}',
    write=pl.DataFrame.write_parquet,
    ending="parquet",
):
    folder.mkdir()
    for number, frame in enumerate(frames):
        write(frame, folder / f"{number}.{ending}")
    return Run(store, do(recipe, Pool.open(folder), store).folder)


def test_files_of_other_columns_stay_as_they_are(do, store, tmp_path):
    frames = [pl.DataFrame({"text": ["ab", "cd"], "extra": [1, 2]}), pl.DataFrame({"other": ["x", "y"], "text": ["ef", "g"]})]
    run = run_on(frames, do, store, tmp_path / "pool")
    about = export(run, "a", tmp_path / "out", "parquet")
    found = [pl.read_parquet(tmp_path / "out" / name) for name in about["files"]]
    assert [frame.columns for frame in found] == [["text", "extra", "uid"], ["other", "text", "uid"]]
    assert [frame["text"].to_list() for frame in found] == [["ab", "cd"], ["ef"]]


def test_json_lines_leave_as_their_roles_and_columns(do, store, tmp_path):
    frames = [pl.DataFrame({"text": ["ab", "c", "de"], "n": [1, 2, 3]})]
    run = run_on(frames, do, store, tmp_path / "pool", write=pl.DataFrame.write_ndjson, ending="jsonl")
    export(run, "a", tmp_path / "out", "parquet")
    out = pl.read_parquet(tmp_path / "out" / "a-00000.parquet")
    assert out.select("text", "n").rows() == [("ab", 1), ("de", 3)]
    assert uids_of(Pool.open(tmp_path / "out")) == run.subset("a").hex


def test_a_role_under_another_columns_name_collides_with_nothing(do, store, tmp_path):
    (tmp_path / "pool").mkdir()
    pl.DataFrame({"text": ["x", "y"], "body": ["ab", "cd"]}).write_ndjson(tmp_path / "pool" / "a.jsonl")
    pool = Pool.open(tmp_path / "pool", roles={"text": "body"})
    run = Run(store, do('{stages: {a: {keep: "length.chars > 1"}}, subsets: [a]}', pool, store).folder)
    export(run, "a", tmp_path / "out", "parquet")
    assert pl.read_parquet(tmp_path / "out" / "a-00000.parquet").select("text", "body").rows() == [("x", "ab"), ("y", "cd")]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_the_pools_own_ids_are_kept_beside_ours(do, store, tmp_path, ending):
    write = pl.DataFrame.write_parquet if ending == "parquet" else pl.DataFrame.write_ndjson
    hexed = "0123456789abcdef" * 2
    frames = [pl.DataFrame({"uid": [hexed], "text": ["ef"]}), pl.DataFrame({"uid": ["x1", "x2"], "text": ["ab", "cd"]})]
    run = run_on(frames, do, store, tmp_path / "pool", write=write, ending=ending)
    about = export(run, "a", tmp_path / "out", "parquet")
    assert about["files"] == ["a-00000.parquet"]
    out = pl.read_parquet(tmp_path / "out" / "a-00000.parquet")
    assert out.select("original_uid", "text").rows() == [(hexed, "ef"), ("x1", "ab"), ("x2", "cd")]
    assert out["uid"].to_list() == hex_of(run.uids())
    again = run_on([out], do, store, tmp_path / "again")
    export(again, "a", tmp_path / "out2", "parquet")
    assert sorted(pl.read_parquet(tmp_path / "out2")["original_uid"]) == [hexed, "x1", "x2"]


def test_a_column_called_uid_that_is_not_the_uid_is_kept_under_a_free_name(do, store, tmp_path):
    (tmp_path / "pool").mkdir()
    frame = pl.DataFrame({"uid": [1, 1], "original_uid": ["p", "q"], "text": ["ab", "cd"]})
    frame.write_parquet(tmp_path / "pool" / "a.parquet")
    run = Run(store, do("{stages: {a: {}}, subsets: [a]}", Pool.open(tmp_path / "pool", roles={"uid": ""}), store).folder)
    export(run, "a", tmp_path / "out", "parquet")
    out = pl.read_parquet(tmp_path / "out" / "a-00000.parquet")
    assert out.rename({"original_original_uid": "x"}).select("x", "original_uid", "text").rows() == [(1, "p", "ab"), (1, "q", "cd")]
    assert out["uid"].to_list() == hex_of(run.uids())


def test_a_damaged_row_group_is_named(do, store, tmp_path):
    (tmp_path / "pool").mkdir()
    table = pl.DataFrame({"text": ["ab", "cd"] * 50, "noise": list(range(100))}).to_arrow()
    path = tmp_path / "pool" / "a.parquet"
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 4] ^= 0xFF
    path.write_bytes(data)
    run = Run(store, do('{stages: {a: {keep: "length.chars > 1"}}, subsets: [a]}', Pool.open(tmp_path / "pool"), store).folder)
    with pytest.raises(CeterisError, match="row group 0 cannot be copied") as raised:
        export(run, "a", tmp_path / "out", "parquet")
    assert raised.value.where == str(path)
    assert raised.value.fix


def test_only_an_empty_place_and_a_known_layout_are_taken(finished, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for place in (tmp_path / "full", tmp_path / "full" / "x"):
        with pytest.raises(CeterisError, match="the place to export to is not empty") as raised:
            export(finished, "best", place, "uids")
        assert raised.value.where == str(place)
    with pytest.raises(CeterisError, match="cannot write there: Not a directory") as raised:
        export(finished, "best", tmp_path / "full" / "x" / "out", "uids")
    assert raised.value.where == str(tmp_path / "full" / "x" / "out")
    with pytest.raises(CeterisError, match="no export layout csv") as raised:
        export(finished, "best", tmp_path / "new", "csv")
    assert raised.value.fix == "one of parquet, uids, npy, webdataset, jsonl.zst"
    with pytest.raises(CeterisError, match="no subset bset"):
        export(finished, "bset", tmp_path / "new", "uids")
    assert not (tmp_path / "new").exists()


def test_an_empty_subset_is_exported_as_nothing(do, store, tmp_path):
    run = run_on(
        [pl.DataFrame({"text": ["a"]})], do, store, tmp_path / "pool", '{stages: {none: {keep: "length.chars > 9"}}, subsets: [none]}'
    )
    assert export(run, "none", tmp_path / "a", "parquet")["files"] == []
    export(run, "none", tmp_path / "b", "npy")
    assert np.load(tmp_path / "b" / "subset.npy").shape == (0,)


def test_the_whole_pool_is_without_the_rows_that_models_trained_on(do, store, texts, tmp_path):
    pl.DataFrame({"text": ["abc", "q"]}).write_parquet(tmp_path / "trusted.parquet")
    text = "{errors_at_most: 1.0, models: {m: {net: {trusted: trusted.parquet, width: 1}}}, stages: {a: {}}, subsets: [pool, a]}"
    run = Run(store, do(Recipe.parse(text, base=tmp_path), texts, store).folder)
    about = export(run, "pool", tmp_path / "out", "parquet")
    assert (about["rows"], pl.read_parquet(tmp_path / "out" / "*.parquet").height) == (9, 9)
    assert uids_of(Pool.open(tmp_path / "out")) == run.subset("pool").hex == run.subset("a").hex


def hushed(texts):
    return texts.str.replace_all("l", "_"), {"ells": texts.str.count_matches("l").sum()}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_texts_leave_redacted_and_what_was_taken_is_told_beside_them(do, store, tmp_path, ending):
    write = pl.DataFrame.write_parquet if ending == "parquet" else pl.DataFrame.write_ndjson
    frames = [
        pl.DataFrame({"text": ["all", None, "l", "none"], "url": ["l", "m", "n", "l"]}),
        pl.DataFrame({"text": ["hello"], "url": ["l"]}),
    ]
    run = run_on(frames, do, store, tmp_path / "pool", write=write, ending=ending)
    before = {path: path.read_bytes() for path in (tmp_path / "pool").iterdir()}
    about = export(run, "pool", tmp_path / "out", "parquet", Redaction("ells", hushed))
    out = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert out.select("text", "url").rows() == [("a__", "l"), (None, "m"), ("_", "n"), ("none", "l"), ("he__o", "l")]
    assert (about["redaction"], about["redacted"], about["redacted_rows"]) == ("ells", {"ells": 5}, 3)
    assert json.loads((tmp_path / "out" / "export.json").read_text()) == about
    assert json.loads(pq.read_schema(tmp_path / "out" / about["files"][0]).metadata[b"ceteris"])["redaction"] == "ells"
    assert {path: path.read_bytes() for path in (tmp_path / "pool").iterdir()} == before
    assert uids_of(Pool.open(tmp_path / "out")) == run.subset("pool").hex


def test_a_text_column_keeps_its_type_and_place(do, store, tmp_path):
    (tmp_path / "pool").mkdir()
    table = pa.table({"n": [1, 2], "text": pa.array(["al", "b"]).dictionary_encode(), "m": [3, 4]})
    pq.write_table(table, tmp_path / "pool" / "a.parquet")
    run = Run(store, do("{stages: {a: {}}, subsets: [a]}", Pool.open(tmp_path / "pool"), store).folder)
    export(run, "a", tmp_path / "out", "parquet", Redaction("ells", hushed))
    found = pq.read_table(tmp_path / "out" / "a-00000.parquet")
    assert found.column_names == ["n", "text", "m", "uid"]
    assert found["text"].to_pylist() == ["a_", "b"]


def test_what_holds_no_text_cannot_be_redacted(finished, tmp_path):
    with pytest.raises(CeterisError, match="nothing can be redacted: the layout uids holds no text") as raised:
        export(finished, "best", tmp_path / "out", "uids", Redaction("ells", hushed))
    assert raised.value.fix
    assert not (tmp_path / "out").exists()


def test_evidence_leaves_as_columns_under_the_names_given(do, store, texts, tmp_path):
    text = "{errors_at_most: 1.0, stages: {a: {keep: 'pool.quality > 0.5 and length.chars > 0'}, b: {}}, subsets: [a, b]}"
    run = Run(store, do(text, texts, store).folder)
    about = export(run, "b", tmp_path / "out", "parquet", evidence={"size": "length.chars", "length.kind": "length.kind"})
    assert about["evidence"] == {"size": "length.chars", "length.kind": "length.kind"}
    found = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert (found.schema["size"], found.schema["length.kind"], found.height) == (pl.UInt32, pl.String, 12)
    for line in found.iter_rows(named=True):
        measured = line["quality"] is not None and line["quality"] > 0.5
        known = measured and line["text"] is not None
        assert line["size"] == (len(line["text"]) if known else None)
        assert line["length.kind"] == (("long" if line["size"] > 5 else "short") if known else None)


@pytest.mark.parametrize(
    ("evidence", "layout", "what"),
    [
        ({"size": "length.size"}, "parquet", "this run has no evidence length.size"),
        ({"size": "nothing"}, "parquet", "this run has no evidence nothing"),
        ({"text": "length.chars"}, "parquet", "the rows have a column text already"),
        ({"size": "length.chars"}, "npy", "the layout npy takes no columns of evidence"),
    ],
)
def test_evidence_that_cannot_leave_is_refused(finished, tmp_path, evidence, layout, what):
    with pytest.raises(CeterisError, match=what) as raised:
        export(finished, "best", tmp_path / "out", layout, evidence=evidence)
    assert raised.value.fix
    assert not (tmp_path / "out").exists()
