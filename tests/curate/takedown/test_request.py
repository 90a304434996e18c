"""What a request names, in which pools, and what is said of it."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from curate.audit import why
from curate.digest import hex_of, sha256, words_of_hex
from curate.executor import InProcess
from curate.exports.export import export
from curate.plan import REVOKED
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import run
from curate.store import Store
from curate.takedown.named_rows import Plain, uids_of
from curate.takedown.request import Found, look, take_down
from curate.takedown.revoked import must_be_made_again, revoked
from curate.verify.store import Asked, verify_store
from pipelines.catalog import catalogue
from tests.curate.takedown.small_store import GONE, ROWS, done, select, write


def test_long_texts_are_known_by_themselves_and_short_ones_are_not(pool: Pool, tmp_path: Path) -> None:
    long = "a text of more than a hundred characters that stands in two pools under other names, so that it is known there by what it says"
    some = pl.DataFrame({"uid": [f"{n:032x}" for n in range(6)], "text": [long, "short", "short", "b", "c", "d"]})
    other = pl.DataFrame({"text": ["e", long, "short", long]})
    store = Store.open(tmp_path / "store")
    recipe = Recipe.parse("{stages: {all: {keep: 'text_length.words > 0'}}, subsets: [all]}")
    for name, frame in (("some", some), ("other", other)):
        run(recipe, write(frame, tmp_path / name, shards=1), catalogue(), store, InProcess(), lambda *_: None)
    found = look(store, Plain(words_of_hex([f"{0:032x}", f"{1:032x}"])))
    assert (found.kinds, found.count) == ({"uid": 2, "copies": 2}, 4)
    assert look(store, Plain(words_of_hex([f"{0:032x}"])), copies=False).count == 1
    take_down(found, who="w", reason="r", time="t")
    later = run(
        recipe,
        write(pl.DataFrame({"text": ["x", long, "short"]}), tmp_path / "later", shards=1),
        catalogue(),
        Store.open(tmp_path / "store"),
        InProcess(),
        lambda *_: None,
    )
    assert later.decided[REVOKED].counts == (2, 1)


def test_copies_leave_every_pool_that_the_tombstones_would_name_them_in(tmp_path: Path) -> None:
    long = "a text of more than a hundred characters, which is a document of one pool, a caption of another, and is known by what it says"
    frames = {
        "documents": pl.DataFrame({"text": ["a", long], "url": ["https://a.example/0", "https://a.example/1"]}),
        "captions": pl.DataFrame({"URL": ["https://a.example/0", "https://a.example/2"], "TEXT": ["b", long]}),
    }
    recipe = Recipe.parse("{stages: {all: {keep: 'text_length.words > 0'}}, subsets: [all]}")
    store, pools = Store.open(tmp_path / "store"), {name: write(frame, tmp_path / name, shards=1) for name, frame in frames.items()}
    for pool in pools.values():
        run(recipe, pool, catalogue(), store, InProcess(), lambda *_: None)
    for number, (name, row) in enumerate((("documents", 1), ("captions", 0)), 1):  # by its text; by its address
        found = look(store, Plain(uids_of(store, pools[name], 0)[[row]]))
        assert (found.kinds, found.count) == ({"uid": 1, "copies": 1}, 2)
        take_down(found, who="w", reason="r", time="t")
        assert {name: list(revoked(store).rows(pool.shards[0])) for name, pool in pools.items()} == (
            {"documents": [1], "captions": [1]} if number == 1 else {"documents": [0, 1], "captions": [0, 1]}
        )
    found_wrong = verify_store(Store.open(tmp_path / "store"), Asked(full=True), InProcess(), lambda *_: None)[0].findings
    assert found_wrong == []


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
    told = done(store, Plain(urls=frozenset(rows["url"][more].to_list())))
    assert [one["folder"] for one in told["touched"]["exports"]] == [str(tmp_path / "early")]
    made = Run(Store.open(tmp_path / "store"), before[1])
    assert len(made.subset("pool")) == ROWS - len(GONE) - 2
    assert {line["stage"]: line["kept"] for line in made.funnel()}[REVOKED] == ROWS - len(GONE) - 2
    assert why(made, rows["uid"][20])["stages"][REVOKED]["request"] == 2
    assert why(made, rows["uid"][9])["stages"][REVOKED]["request"] == 1
    assert must_be_made_again(store) == {}


def test_a_pool_that_was_away_for_a_request_is_held_against_it_when_it_is_back(rows: pl.DataFrame, tmp_path: Path) -> None:
    store, url = Store.open(tmp_path / "store"), rows["url"].to_list()
    select(write(rows[:60], tmp_path / "here", 1), store)
    select(write(rows[60:], tmp_path / "gone", 1), store)
    (tmp_path / "gone").rename(tmp_path / "away")
    told = done(store, Plain(urls=frozenset([url[5], url[100]])))
    assert told["count"] == 1
    (tmp_path / "away").rename(tmp_path / "gone")
    found = look(store, Plain(urls=frozenset([url[7]])))
    assert not found.unread
    take_down(found, who="w", reason="", time="t")
    made = Run(store, select(Pool.open(tmp_path / "gone"), store).folder)
    assert made.decided(REVOKED).counts == (119, 1)
    assert rows["uid"][100] not in made.subset("pool").hex


def test_a_store_in_memory_takes_rows_down_by_what_their_pool_says_of_them(rows: pl.DataFrame, tmp_path: Path) -> None:
    store = Store.open(f"memory:{tmp_path}")
    outcome = select(write(rows[:60], tmp_path / "pool", 1), store)
    found = look(store, Plain(urls=frozenset([rows["url"][5]])))
    assert (found.count, found.unread) == (1, {})
    take_down(found, who="w", reason="", time="t")
    assert rows["uid"][5] not in Run(store, outcome.folder).subset("pool").hex
