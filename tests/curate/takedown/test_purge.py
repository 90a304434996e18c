"""What leaves a store with rows that are taken down, and what stays as it was."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate import frames
from curate.digest import sha256, words_of_hex
from curate.errors import StoreError
from curate.ledger import check
from curate.plan import POOL, REVOKED
from curate.record import Run
from curate.store import Part, Store
from curate.takedown.request import look, take_down
from curate.takedown.revoked import ERROR, revoked
from tests.curate.takedown.small_store import GONE, ROWS, done, uids_of, urls_of


def _said(store: Store) -> Iterator[tuple[str, bytes]]:
    """Every file of a store as it lies; of Parquet files also every value in it, uids' words put together."""
    for key in store.storage.list(""):
        data = store.storage.get(key)
        yield key, data
        if key.endswith(".parquet"):
            frame = frames.from_bytes(data, where=key)
            for column in frame.get_columns():
                if column.dtype in (pl.String, pl.Binary):
                    yield key, b"\n".join(v.encode() if isinstance(v, str) else v for v in column.drop_nulls().to_list())
            if {"high", "low"} <= set(frame.columns):
                yield key, frame.select("high", "low").to_numpy().astype(">u8").tobytes()


def test_no_file_of_the_store_holds_uid_address_or_text_of_a_row_that_was_taken_down(
    before: tuple[Path, str], after: Store, rows: pl.DataFrame
) -> None:
    gone = rows[list(GONE)]
    words = words_of_hex(gone["uid"].to_list())
    raw = [bytes.fromhex(uid) for uid in gone["uid"]] + [w.tobytes() for w in words.astype("<u8")]
    needles = [*raw, *(uid.encode() for uid in gone["uid"]), *(url.encode() for url in gone["url"]), *(t.encode() for t in gone["text"])]

    def found(store: Store) -> set[str]:
        return {key for key, data in _said(store) for needle in needles if needle in data}

    assert any(key.startswith("pools/") for key in found(Store.open(before[0])))
    assert any(key.startswith("subsets/") for key in found(Store.open(before[0])))
    assert found(after) == set()
    assert len(gone) == len(GONE)


def test_evidence_says_revoked_and_decisions_and_funnels_count_it(after: Store, before: tuple[Path, str], rows: pl.DataFrame) -> None:
    made, old = Run(after, before[1]), Run(Store.open(before[0]), before[1])
    numbers = made.pool and revoked(after).of_pool(made.pool)
    lengths = made.evidence("text_length")
    assert lengths.height == old.evidence("text_length").height  # nobody is to measure them again
    blank = lengths.filter(pl.col("row").is_in(numbers.astype(np.uint64)))
    assert blank["error"].to_list() == [ERROR] * len(GONE)
    assert blank["words"].null_count() == len(GONE)
    assert lengths.filter(~pl.col("row").is_in(numbers.astype(np.uint64))).equals(
        old.evidence("text_length").filter(~pl.col("row").is_in(numbers.astype(np.uint64)))
    )
    indexed = after.json(f"{made.facts['pool']}/indexed.json")
    for stage in made.facts["nodes"]:
        if stage == POOL:
            continue
        decided, codes = made.decided(stage), made.codes(stage)
        kinds = [reason.kind for reason in decided.reasons]
        assert {kinds[code] for code in codes[numbers]} == {REVOKED}
        assert np.bincount(codes, minlength=len(kinds)).tolist() == list(decided.counts)
        assert [sum(pair[word] for pair in decided.sums) % (1 << 64) for word in (0, 1)] == indexed["sums"]
        for code in range(len(kinds)):
            assert [int(x) for x in made.uids()[codes == code].sum(axis=0, dtype=np.uint64)] == list(decided.sums[code])
        others = np.setdiff1d(np.arange(codes.size), numbers)
        if stage != REVOKED:  # of all others it is said what was said
            assert [old.decided(stage).reasons[code] for code in old.codes(stage)[others]] == [decided.reasons[c] for c in codes[others]]
    lines = {line["stage"]: line for line in made.funnel()}
    assert [(reason["kind"], reason["rows"]) for reason in lines[REVOKED]["reasons"]] == [(REVOKED, len(GONE))]
    assert lines["basic"]["in"] == ROWS - len(GONE) == lines["basic"]["kept"] + sum(r["rows"] for r in lines["basic"]["reasons"])


def test_subsets_lose_the_rows_and_get_digests_of_their_own(after: Store, before: tuple[Path, str], rows: pl.DataFrame) -> None:
    made, old, gone = Run(after, before[1]), Run(Store.open(before[0]), before[1]), set(uids_of(rows))
    for name in old.facts["subsets"]:
        assert made.subset(name).hex == [uid for uid in old.subset(name).hex if uid not in gone]
        assert made.facts["subsets"][name] != old.facts["subsets"][name]
    (ledger,) = [key for key in after.storage.list("revocations/") if key.endswith("ledger.jsonl")]
    facts = [json.loads(line) for line in after.storage.get(ledger).decode().splitlines()]
    told = {name: pair for fact in facts if fact["what"] == "run revised" for name, pair in fact["subsets"].items()}
    assert told == {name: [old.facts["subsets"][name], made.facts["subsets"][name]] for name in old.facts["subsets"]}


def test_the_ledger_tells_every_file_that_changed_from_what_to_what(after: Store, before: tuple[Path, str]) -> None:
    old = Store.open(before[0])
    (key,) = [key for key in after.storage.list("revocations/") if key.endswith("ledger.jsonl")]
    text = after.storage.get(key)
    check(text.decode(), where=key)
    purged = [json.loads(line) for line in text.decode().splitlines() if '"what":"purged"' in line]
    left, new = set(old.storage.list("")) - set(after.storage.list("")), set(after.storage.list("")) - set(old.storage.list(""))
    kept = set(old.storage.list("")) & set(after.storage.list(""))
    changed = {name for name in kept if old.storage.get(name) != after.storage.get(name)} - {"lock"}
    assert left | changed <= {fact["file"] for fact in purged}
    for fact in purged:
        if fact["before"]:
            assert sha256(old.storage.get(fact["file"])) == fact["before"]
        if fact["after"]:
            assert sha256(after.storage.get(fact["file_after"])) == fact["after"]
    told = {fact["file_after"] for fact in purged} | {part.key for folder in ("revoked", *_links(after)) for part in _parts(after, folder)}
    assert {name for name in new if name.split("/")[0] in ("signals", "links", "runs", "revoked", "subsets")} <= told
    heads = [after.json(name) for name in after.storage.list("ledger/")]
    assert (heads[-1]["run"], heads[-1]["head"]) == (key, sha256(text))


def _links(store: Store) -> set[str]:
    return {group["folder"] for group in Run.latest(store).facts["groups"].values()}


def _parts(store: Store, folder: str) -> list[Part]:
    return [part for parts in store.parts(folder).values() for part in parts]


def test_what_ended_commands_left_in_tmp_leaves(store: Store, rows: pl.DataFrame) -> None:
    store.storage.put("tmp/uids/parts/a", rows["uid"][0].encode())
    done(store, urls_of(rows))
    assert not store.storage.list("tmp/")


def test_torn_lists_of_training_rows_leave_or_are_named(store: Store, rows: pl.DataFrame) -> None:
    for folder in ("unfinished", "done"):
        store.storage.put(f"rows/{folder}/rejected.parquet", b"")
        store.storage.put(f"rows/{folder}/uids.npy", b"\x93NUMPY\x01")
    store.put_json("rows/done/rows.json", {})
    found = look(store, urls_of(rows))
    with pytest.raises(StoreError, match="is damaged") as raised:
        take_down(found, who="w", reason="", time="t")
    assert raised.value.fix
    assert raised.value.where.startswith(f"{store.address}/rows/done/")
    shutil.rmtree(store.path("rows/done"))
    take_down(found, who="w", reason="", time="t")
    assert not store.storage.list("rows/")
