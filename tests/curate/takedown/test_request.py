"""Take-down: what a request names, what leaves the store, what stays refused, and that it happens whole or not at all."""

import html
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curate import failpoint, frames
from curate.audit import why
from curate.digest import hex_of, sha256, words_of_hex
from curate.errors import StoreError
from curate.executor import InProcess
from curate.exports.export import export
from curate.exports.parquet import write_parquet
from curate.ledger import check
from curate.plan import POOL, REVOKED
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome, run
from curate.store import Part, Store
from curate.takedown.named_rows import Plain
from curate.takedown.request import Found, look, take_down
from curate.takedown.revoked import ERROR, must_be_made_again, revoked
from curate.takedown.tombstones import hosts, key_of, keyed_uids, parents, read_tombstones
from pipelines.catalog import catalogue
from pipelines.provenance.verify import verify

RECIPE = """
stages:
  basic: {keep: "text_length.words > 3"}
  unique: {after: basic, keep: {one_per: near_duplicate_text, prefer: [pool.quality desc]}}
  best: {after: unique, keep: {top: pool.quality, fraction: 0.4}}
  rest: {minus: [basic, best]}
subsets: [basic, best, rest]
"""
ROWS, SHARDS = 180, 3
GONE = tuple(range(0, ROWS, 9))
WORDS = "river park green three tall dogs running old bridge market winter garden letter window orchestra".split()  # noqa: SIM905


def _rows() -> pl.DataFrame:
    draw = random.Random(8)
    texts = [f"{' '.join(draw.choices(WORDS, k=draw.randint(2, 16)))} number {row}" for row in range(ROWS)]
    texts[1] = texts[0].replace("number 0", "number 0 again")  # a near copy of one that leaves
    return pl.DataFrame(
        {
            "uid": [draw.randbytes(16).hex() for _ in texts],
            "text": texts,
            "url": [f"https://www.host{row % 9}.example.org/page/{row:05d}.html" for row in range(ROWS)],
            "quality": [None if row % 13 == 0 else round(draw.random(), 3) for row in range(ROWS)],
        }
    )


def _write(rows: pl.DataFrame, folder: Path, shards: int = SHARDS) -> Pool:
    folder.mkdir(parents=True)
    for shard in range(shards):
        rows[shard::shards].write_parquet(folder / f"{shard}.parquet", row_group_size=32)
    return Pool.open(folder)


def _run(pool: Pool, store: Store) -> Outcome:
    return run(Recipe.parse(RECIPE), pool, catalogue(), store, InProcess(), lambda *_: None)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return _rows()


@pytest.fixture(scope="module")
def pool(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return _write(rows, tmp_path_factory.mktemp("takedown") / "pool")


@pytest.fixture(scope="module")
def before(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with one run, and what the run is called."""
    folder = tmp_path_factory.mktemp("takedown-store") / "store"
    return folder, _run(pool, Store.open(folder)).folder


@pytest.fixture
def store(before: tuple[Path, str], tmp_path: Path) -> Store:
    shutil.copytree(before[0], tmp_path / "store")
    return Store.open(tmp_path / "store")


def _urls(rows: pl.DataFrame) -> Plain:
    return Plain(urls=frozenset(rows["url"][list(GONE)].to_list()))


def _done(store: Store, plain: Plain) -> dict[str, Any]:
    return take_down(look(store, plain), who="somebody", reason="asked", time="2026-01-02T03:04:05+00:00")


@pytest.fixture(scope="module")
def after(before: tuple[Path, str], rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store after the take-down of 20 addresses."""
    folder = tmp_path_factory.mktemp("taken") / "store"
    shutil.copytree(before[0], folder)
    _done(Store.open(folder), _urls(rows))
    return Store.open(folder)


def _uids(rows: pl.DataFrame) -> list[str]:
    return rows["uid"][list(GONE)].to_list()


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
    made, old, gone = Run(after, before[1]), Run(Store.open(before[0]), before[1]), set(_uids(rows))
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


def test_tombstones_are_keyed_hashes_under_a_key_that_only_its_owner_reads(after: Store, rows: pl.DataFrame) -> None:
    assert stat.S_IMODE(after.path("revocations/key").stat().st_mode) == 0o600
    facts = after.json("revocations/000001/tombstone.json")
    assert (facts["who"], facts["reason"], facts["rows"], facts["asked"]["url"]) == ("somebody", "asked", len(GONE), len(GONE))
    stones = read_tombstones(after)
    assert stones.of_uids(words_of_hex(_uids(rows))).tolist() == [1] * len(GONE)
    assert not stones.of_uids(words_of_hex(rows["uid"][1:9].to_list())).any()
    other = keyed_uids(b"x" * 32, words_of_hex(_uids(rows)))
    assert not stones.known("uid", other).any()  # under another key they say nothing
    pool = Pool.open(Run.latest(after).pool.root)
    stored = Run.latest(after).uids()[revoked(after).of_pool(pool)]
    assert sorted(hex_of(stored)) == sorted(hex_of(keyed_uids(key_of(after), words_of_hex(_uids(rows)))))


def test_the_same_recipe_refuses_them_measures_nothing_and_says_what_a_pool_without_them_says(
    after: Store, pool: Pool, rows: pl.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    outcome = _run(pool, store)
    assert outcome.effort.measured == {}
    again = Run(store, outcome.folder)
    assert [r["rows"] for line in again.funnel() for r in line["reasons"] if r["kind"] == REVOKED] == [len(GONE)]
    kept = rows.filter(~pl.col("uid").is_in(_uids(rows)))
    never = Store.open(tmp_path / "never")
    bare = _run(_write(kept, tmp_path / "pool", shards=2), never)
    assert outcome.subsets == bare.subsets  # the whole pool too
    out = export(again, "basic", tmp_path / "out", "uids")
    assert not set(_uids(rows)) & set((tmp_path / "out" / "uids.txt").read_text().split())
    assert out["rows"] == bare.decided["basic"].kept


def test_why_says_revoked_when_and_by_which_request(after: Store, rows: pl.DataFrame, before: tuple[Path, str]) -> None:
    made = Run(after, before[1])
    for uid in _uids(rows)[:4]:
        story = why(made, uid)
        assert set(story) & {"text", "url"} == set()
        assert story["values"] == {}
        verdict = story["stages"][REVOKED]
        assert (verdict["kind"], verdict["request"], verdict["time"]) == (REVOKED, 1, "2026-01-02T03:04:05+00:00")
    assert why(made, rows["uid"][1])["text"] == rows["text"][1]


def test_another_pool_with_the_rows_refuses_them_whatever_they_are_called_there(after: Store, rows: pl.DataFrame, tmp_path: Path) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    store, draw = Store.open(tmp_path / "store"), random.Random(1)
    renamed = rows.with_columns(uid=pl.Series([draw.randbytes(16).hex() for _ in range(ROWS)]))[::-1]
    outcome = _run(_write(renamed, tmp_path / "renamed", shards=2), store)  # known by address
    made = Run(store, outcome.folder)
    held = {line["stage"]: line for line in made.funnel()}
    assert held[REVOKED]["kept"] == ROWS - len(GONE)
    gone = {uid for uid, url in renamed.select("uid", "url").rows() if url in set(rows["url"][list(GONE)])}
    assert not gone & set(made.subset("pool").hex)
    assert not gone & set(hex_of(made.uids()))  # no uid of theirs is kept
    moved = _run(_write(rows.drop("url"), tmp_path / "no-address", shards=1), store)  # known by uid
    assert len(Run(store, moved.folder).subset("pool")) == ROWS - len(GONE)
    assert not set(_uids(rows)) & set(hex_of(Run(store, moved.folder).uids()))


def test_long_texts_are_known_by_themselves_and_short_ones_are_not(pool: Pool, tmp_path: Path) -> None:
    long = "a text of more than a hundred characters that stands in two pools under other names, so that it is known there by what it says"
    some = pl.DataFrame({"uid": [f"{n:032x}" for n in range(6)], "text": [long, "short", "short", "b", "c", "d"]})
    other = pl.DataFrame({"text": ["e", long, "short", long]})
    store = Store.open(tmp_path / "store")
    recipe = Recipe.parse("{stages: {all: {keep: 'text_length.words > 0'}}, subsets: [all]}")
    for name, frame in (("some", some), ("other", other)):
        run(recipe, _write(frame, tmp_path / name, shards=1), catalogue(), store, InProcess(), lambda *_: None)
    found = look(store, Plain(words_of_hex([f"{0:032x}", f"{1:032x}"])))
    assert (found.kinds, found.count) == ({"uid": 2, "copies": 2}, 4)
    assert look(store, Plain(words_of_hex([f"{0:032x}"])), copies=False).count == 1
    take_down(found, who="w", reason="r", time="t")
    later = run(
        recipe,
        _write(pl.DataFrame({"text": ["x", long, "short"]}), tmp_path / "later", shards=1),
        catalogue(),
        Store.open(tmp_path / "store"),
        InProcess(),
        lambda *_: None,
    )
    assert later.decided[REVOKED].counts == (2, 1)


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (Plain(domains=frozenset(["host4.example.org"])), set(range(4, ROWS, 9))),
        (Plain(domains=frozenset(["www.host4.example.org"])), set(range(4, ROWS, 9))),
        (Plain(domains=frozenset(["example.org"])), set(range(ROWS))),
        (Plain(domains=frozenset(["ample.org", "org.example"])), set()),
        (Plain(urls=frozenset(["https://www.host1.example.org/page/00001.html"])), {1}),
        (Plain(urls=frozenset(["https://www.host1.example.org/page/00001"])), set()),
    ],
)
def test_what_names_name(store: Store, rows: pl.DataFrame, plain: Plain, expected: set[int]) -> None:
    assert _named(look(store, plain), rows) == expected


def _named(found: Found, rows: pl.DataFrame) -> set[int]:
    if not found.count:
        return set()
    places = {uid: number for number, uid in enumerate(rows["uid"])}
    return {places[uid] for uid in hex_of(found.gone.every)}


def test_uids_and_hashes_of_texts_name_rows(store: Store, rows: pl.DataFrame) -> None:
    plain = Plain(words_of_hex(rows["uid"][5:7].to_list()), texts=frozenset([bytes.fromhex(sha256(rows["text"][70].encode()))]))
    assert _named(look(store, plain), rows) == {5, 6, 70}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/a", "example.org"),
        ("http://user:pass@example.org:8080/a?b=//other.org", "example.org"),
        ("//example.org/a", "example.org"),
        ("example.org/a", "example.org"),
        ("https://example.org.", "example.org"),
        ("https://example.org?x=1", "example.org"),
        (r"https://example.org\@other.org", "example.org"),
        ("example.org:8080/a", "example.org"),
        ("http://a@b@example.org/", "example.org"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]"),
        (" https:/example.org/a@b", "example.org"),
        ("https://evil-example.org/example.org", "evil-example.org"),
    ],
)
def test_hosts(url: str, host: str) -> None:
    assert hosts(pl.Series([url, None])).to_list() == [host, None]


def test_a_host_belongs_to_its_domains() -> None:
    assert parents("a.b.Example.org") == ["a.b.example.org", "b.example.org", "example.org", "org"]
    assert parents("bücher.example") == ["xn--bcher-kva.example", "example"]
    assert parents("BÜCHER.example")[0] == parents("bu\u0308cher\u3002example")[0] == "xn--bcher-kva.example"
    assert parents("straße.example")[0] == "xn--strae-oqa.example"  # another owner's than strasse.example


def _state(store: Store) -> Any:
    """What a store says, whatever its files are called."""
    made = Run.latest(store)
    groups = {}
    for folder in {group["folder"] for group in made.facts["groups"].values()}:
        for scope, parts in store.parts(folder).items():
            groups[folder, scope] = pl.concat([store.frame(part) for part in sorted(parts, key=lambda part: part.start)]).to_dicts()
    evidence = {name: made.evidence(name).to_dicts() for name in made.facts["measures"]}
    subsets = {name: made.subset(name).hex for name in made.facts["subsets"]}
    decided = {name: made.codes(name).tolist() for name in made.facts["nodes"] if name != POOL}
    refused = {digest: rows[0].tolist() for digest, rows in revoked(store).by_shard.items()}
    heads = len(store.storage.list("ledger/"))
    return [groups, evidence, subsets, decided, refused, made.funnel(), made.uids().tolist(), heads]


def _parts_by_folder(store: Path) -> dict[str, int]:
    return {str(path.relative_to(store)): len(list(path.iterdir())) for path in store.rglob("parts")}


class _Died(BaseException):
    pass


def test_ended_anywhere_it_is_as_before_or_done_by_whoever_comes_next(
    before: tuple[Path, str], after: Store, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(after.address, tmp_path / "done")
    key = tmp_path / "done" / "revocations" / "key"
    passed: list[str] = []

    def attempt(folder: Path, at: int) -> None:
        """A take-down under the same key that dies at its at-th step."""
        shutil.copytree(before[0], folder)
        (folder / "revocations").mkdir()
        shutil.copy2(key, folder / "revocations" / "key")
        found = look(Store.open(folder), _urls(rows))
        passed.clear()

        def reach(point: str) -> None:
            passed.append(point)
            if len(passed) == at:
                raise _Died(f"died at {point}")

        with monkeypatch.context() as patch:
            for module in ("curate.storage", "curate.store", "curate.journal", "curate.subset"):
                patch.setattr(f"{module}.reach", reach)
            take_down(found, who="somebody", reason="asked", time="2026-01-02T03:04:05+00:00")

    attempt(tmp_path / "whole", 10**9)
    steps = list(passed)
    commit = steps.index("revoke.after_commit") + 1
    assert {"revoke.before_commit", "revoke.applying", "revoke.before_head", "revoke.before_finish"} <= set(steps)
    old, new = _state(Store.open(before[0])), _state(Store.open(tmp_path / "whole"))
    assert new == _state(after)
    chosen = sorted({1, commit - 1, commit, commit + 1, len(steps) - 1, len(steps), *range(commit + 9, len(steps), len(steps) // 6)})
    for at in chosen:
        folder = tmp_path / f"at-{at}"
        with pytest.raises(_Died, match="died at"):
            attempt(folder, at)
        found = _state(Store.open(folder))
        assert found == (new if at >= commit - 1 and (folder / "revocations/000001/tombstone.json").is_file() else old), steps[at - 1]
        assert not (folder / "revocations/pending.json").exists()
        if found == old:
            _done(Store.open(folder), _urls(rows))
            assert _state(Store.open(folder)) == new
            assert _parts_by_folder(folder) == _parts_by_folder(tmp_path / "whole")  # what the ended attempt wrote is gone
        shutil.rmtree(folder)


@pytest.mark.parametrize("point", ["revoke.after_commit", "revoke.applying:20"])
def test_killed_it_is_done_by_the_next_command(
    point: str, before: tuple[Path, str], rows: pl.DataFrame, after: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(before[0], folder)
    (folder / "revocations").mkdir()
    shutil.copy2(after.path("revocations/key"), folder / "revocations" / "key")
    (tmp_path / "urls.txt").write_text("\n".join(rows["url"][list(GONE)]), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from curate.store import Store; from curate.takedown.request import look, take_down\n"
        "from curate.takedown.named_rows import Plain\n"
        "found = look(Store.open(sys.argv[1]), Plain(urls=frozenset(Path(sys.argv[2]).read_text().split())))\n"
        "take_down(found, who='somebody', reason='asked', time='2026-01-02T03:04:05+00:00')\n"
    )
    environment = {**os.environ, "CETERIS_FAILPOINT": point, "PYTHONPATH": str(Path(failpoint.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "urls.txt")]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert (folder / "revocations/pending.json").is_file()
    assert _state(Store.open(folder)) == _state(after)


def test_who_reads_while_it_is_done_is_refused(store: Store) -> None:
    store.put_json("revocations/pending.json", {"records": {}, "texts": {}, "delete": [], "head": ["runs/x", "0"]})
    with store.writer(), pytest.raises(StoreError, match="being written"):
        Store.open(store.address)


def test_a_second_request_goes_on_from_the_first(after: Store, before: tuple[Path, str], rows: pl.DataFrame, tmp_path: Path) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    more = [1, 9, 20]  # 9 left before
    found = look(store, Plain(words_of_hex(rows["uid"][more].to_list())))
    assert (found.count, found.already) == (2, 0)  # nothing in the store says that 9 is what was taken down, but that it is refused
    again = look(store, Plain(urls=frozenset(rows["url"][more].to_list())))
    assert (again.count, again.already) == (2, 1)
    shutil.copytree(before[0], tmp_path / "first")  # what was exported before the first request has the rows of the second, too
    export(Run(Store.open(tmp_path / "first"), before[1]), "pool", tmp_path / "early", "uids")
    shutil.copytree(tmp_path / "first" / "exports", tmp_path / "store" / "exports")
    told = _done(store, Plain(urls=frozenset(rows["url"][more].to_list())))
    assert [one["folder"] for one in told["touched"]["exports"]] == [str(tmp_path / "early")]
    made = Run(Store.open(tmp_path / "store"), before[1])
    assert len(made.subset("pool")) == ROWS - len(GONE) - 2
    assert {line["stage"]: line["kept"] for line in made.funnel()}[REVOKED] == ROWS - len(GONE) - 2
    assert why(made, rows["uid"][20])["stages"][REVOKED]["request"] == 2
    assert why(made, rows["uid"][9])["stages"][REVOKED]["request"] == 1
    assert must_be_made_again(store) == {}


def test_a_pool_that_was_away_for_a_request_is_held_against_it_when_it_is_back(rows: pl.DataFrame, tmp_path: Path) -> None:
    store, url = Store.open(tmp_path / "store"), rows["url"].to_list()
    _run(_write(rows[:60], tmp_path / "here", 1), store)
    _run(_write(rows[60:], tmp_path / "gone", 1), store)
    (tmp_path / "gone").rename(tmp_path / "away")
    told = _done(store, Plain(urls=frozenset([url[5], url[100]])))
    assert told["count"] == 1
    (tmp_path / "away").rename(tmp_path / "gone")
    found = look(store, Plain(urls=frozenset([url[7]])))
    assert not found.unread
    take_down(found, who="w", reason="", time="t")
    made = Run(store, _run(Pool.open(tmp_path / "gone"), store).folder)
    assert made.decided(REVOKED).counts == (119, 1)
    assert rows["uid"][100] not in made.subset("pool").hex


def test_a_store_in_memory_takes_rows_down_by_what_their_pool_says_of_them(rows: pl.DataFrame, tmp_path: Path) -> None:
    store = Store.open(f"memory:{tmp_path}")
    outcome = _run(_write(rows[:60], tmp_path / "pool", 1), store)
    found = look(store, Plain(urls=frozenset([rows["url"][5]])))
    assert (found.count, found.unread) == (1, {})
    take_down(found, who="w", reason="", time="t")
    assert rows["uid"][5] not in Run(store, outcome.folder).subset("pool").hex


def test_a_pool_that_came_since_the_look_is_not_overlooked(store: Store, rows: pl.DataFrame, tmp_path: Path) -> None:
    found = look(store, _urls(rows))
    _run(_write(rows.with_columns(uid=pl.col("uid").str.reverse()), tmp_path / "other", 1), store)
    with pytest.raises(StoreError, match="since the rows were looked for"):
        take_down(found, who="w", reason="", time="t")
    assert not revoked(store)


def test_an_export_under_way_while_rows_are_taken_down_comes_to_nothing(
    store: Store, before: tuple[Path, str], rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> list[str]:
        files = write_parquet(*arguments)
        _done(store, _urls(rows))
        return files

    monkeypatch.setattr("curate.exports.export.write_parquet", slowly)
    with pytest.raises(StoreError, match="while they were written"):
        export(Run(store, before[1]), "pool", tmp_path / "out", "parquet")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    assert not store.storage.list("exports/")


def test_what_ended_commands_left_in_tmp_leaves(store: Store, rows: pl.DataFrame) -> None:
    store.storage.put("tmp/uids/parts/a", rows["uid"][0].encode())
    _done(store, _urls(rows))
    assert not store.storage.list("tmp/")


def test_a_report_that_shows_a_row_leaves(store: Store, rows: pl.DataFrame) -> None:
    shown = f"<td>{rows['text'][9]}</td>"
    store.storage.put("reports/one.html", shown.encode())
    store.storage.put("report.html", shown.encode())
    store.storage.put("reports/two.html", b"<td>nothing of it</td>")
    store.put_json(f"scores/{'0' * 16}/conditions.json", {"task": rows["text"][9]})  # so named by chance: scores are not lost by it
    store.storage.put("packages/three/uids.txt", rows["uid"][18].encode())
    told = _done(store, _urls(rows))
    assert told["touched"]["other files"] == ["packages/three/uids.txt", "report.html", "reports/one.html"]
    assert store.storage.list("reports/") == ["reports/two.html"]
    assert not store.storage.list("packages/")
    assert store.storage.list("scores/")


def test_torn_lists_of_training_rows_leave_or_are_named(store: Store, rows: pl.DataFrame) -> None:
    for folder in ("unfinished", "done"):
        store.storage.put(f"rows/{folder}/rejected.parquet", b"")
        store.storage.put(f"rows/{folder}/uids.npy", b"\x93NUMPY\x01")
    store.put_json("rows/done/rows.json", {})
    found = look(store, _urls(rows))
    with pytest.raises(StoreError, match="is damaged") as raised:
        take_down(found, who="w", reason="", time="t")
    assert raised.value.fix
    assert raised.value.where.startswith(f"{store.address}/rows/done/")
    shutil.rmtree(store.path("rows/done"))
    take_down(found, who="w", reason="", time="t")
    assert not store.storage.list("rows/")


def test_a_text_is_found_wherever_it_stands_in_a_file_and_however_it_is_escaped(pool: Pool, tmp_path: Path) -> None:
    store, texts = Store.open(tmp_path / "store"), ['<b> & "then" it said so', "and then it said so", "a short one"]
    frame = pl.DataFrame(
        {"text": texts, "url": ["https://a.example/1", "https://b.example/2", "https://c.example/3"], "quality": [0.1, 0.2, 0.3]}
    )
    _run(_write(frame, tmp_path / "pool", 1), store)
    needles = look(store, Plain(urls=frozenset(frame["url"].to_list()))).needles
    for text in (texts[0], texts[1], *frame["url"]):
        for before in range(9):
            for after in ("", "!" * 9):
                assert needles.within(f"{'-' * before}{text}{after}".encode())
    assert needles.within(html.escape(texts[0]).encode())
    assert needles.within(json.dumps({"at": frame["url"][0]}).replace("/", "\\/").encode())
    for other in (b"", b"said so", b"or then it said so", b"a short one", b"https://a.example/12"[:-2], texts[1][:-1].encode()):
        assert not needles.within(other)


def test_samples_of_a_pool_leave_out_what_is_refused(pool: Pool, after: Store) -> None:
    shown = [row["url"] for row in pool.describe()["sample"]]
    left = [row["url"] for row in pool.describe(revoked(after).rows)["sample"]]
    assert shown[0].endswith("/00000.html")
    assert len(left) == 3
    assert left[:2] == shown[1:]


def test_a_shard_that_comes_back_in_another_pool_is_refused_and_its_uids_are_not_kept(
    after: Store, pool: Pool, rows: pl.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    (tmp_path / "one").mkdir()
    shutil.copy2(pool.root / pool.shards[0].path, tmp_path / "one" / "0.parquet")
    store = Store.open(tmp_path / "store")
    outcome = _run(Pool.open(tmp_path / "one"), store)
    gone = set(_uids(rows)) & set(rows["uid"][::SHARDS].to_list())
    assert outcome.decided[REVOKED].counts == (ROWS // SHARDS - len(gone), len(gone))
    assert not gone & set(hex_of(Run(store, outcome.folder).uids()))
    assert outcome.effort.measured == {}  # the shard's evidence is there


def test_nothing_is_held_against_rows_taken_down_and_models_are_made_without_them(tmp_path: Path) -> None:
    texts = [f"{word} {other} and more of it" for word in WORDS for other in WORDS[:4]]
    mine = pl.DataFrame({"uid": [f"{n:032x}" for n in range(40)], "text": texts[:40]})
    other = pl.DataFrame({"uid": [f"{n + 900:032x}" for n in range(20)], "text": texts[30:50]})
    _write(other, tmp_path / "other", shards=1)
    recipe = Recipe.parse(
        "models: {counts: {passage_counts: {}}}\nsignals: {again: {repeated_text: {model: counts}}}\n"
        "stages:\n  new: {keep: {one_per: exact_duplicate, against: other}}\n"
        "  own: {after: new, keep: 'again.repeated < 0.5'}\nsubsets: [new, own]",
        base=tmp_path,
    )
    pool, store = _write(mine, tmp_path / "mine", shards=1), Store.open(tmp_path / "store")

    def select() -> Outcome:
        return run(recipe, pool, catalogue(), Store.open(tmp_path / "store"), InProcess(), lambda *_: None)

    first = select()
    assert first.decided["new"].kept == 30
    take_down(look(store, Plain(words_of_hex([f"{n + 900:032x}" for n in range(4)])), copies=False), who="w", reason="r", time="t")
    again = select()
    assert again.decided["new"].kept == 34
    dropped = why(Run(store, first.folder), f"{30:032x}")["stages"]["new"]
    assert (dropped["kind"], dropped["survivor"]) == ("dropped", ERROR)
    assert verify(Store.open(tmp_path / "store"), executor=InProcess()).findings == []
    assert REVOKED not in again.decided  # none of this pool's own rows was named
    assert {one.id for one in again.plan.models.values()} == {one.id for one in first.plan.models.values()}
    take_down(look(Store.open(tmp_path / "store"), Plain(words_of_hex([f"{5:032x}"]))), who="w", reason="r", time="t")
    third = select()
    assert third.decided["new"].kept == 33
    assert {one.id for one in third.plan.models.values()} != {one.id for one in first.plan.models.values()}
    made = {
        one.folder: store.json(f"{one.folder}/model.json")["card"]["documents"] for o in (first, third) for one in o.plan.models.values()
    }
    assert sorted(made.values()) == [39, 40]
    assert set(must_be_made_again(store)) == {one.folder for one in first.plan.models.values()}


def test_a_grouping_whose_code_changed_is_held_against_links_that_are_left(after: Store, pool: Pool, tmp_path: Path) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    for key in [key for key in store.storage.list("signals/") if "/code/" in key and "near_duplicate_text" in key]:
        value = store.json(key)
        store.storage.delete(key)
        store.put_json(key, {**value, "source": "another"})  # as if the code were another since
    facts = [json.loads(line) for line in store.storage.get(f"{_run(pool, store).folder}/ledger.jsonl").decode().splitlines()]
    assert [fact["adopted"] for fact in facts if fact["what"] == "run"] == [["near_duplicate_text.sketch"]]
