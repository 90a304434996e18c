"""The gate: what was taken down is refused, whatever it is called and wherever it comes back."""

import json
import random
import shutil
from pathlib import Path

import polars as pl

from curate.audit import why
from curate.digest import hex_of, words_of_hex
from curate.executor import InProcess
from curate.exports.export import export
from curate.plan import REVOKED
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome, run
from curate.store import Store
from curate.takedown.named_rows import Plain, never_shown
from curate.takedown.request import look, take_down
from curate.takedown.revoked import ERROR, must_be_made_again, revoked
from pipelines.catalog import catalogue
from pipelines.provenance.verify import verify
from tests.curate.takedown.small_store import GONE, ROWS, SHARDS, WORDS, select, uids_of, write


def test_the_same_recipe_refuses_them_measures_nothing_and_says_what_a_pool_without_them_says(
    after: Store, pool: Pool, rows: pl.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    outcome = select(pool, store)
    assert outcome.effort.measured == {}
    again = Run(store, outcome.folder)
    assert [r["rows"] for line in again.funnel() for r in line["reasons"] if r["kind"] == REVOKED] == [len(GONE)]
    kept = rows.filter(~pl.col("uid").is_in(uids_of(rows)))
    never = Store.open(tmp_path / "never")
    bare = select(write(kept, tmp_path / "pool", shards=2), never)
    assert outcome.subsets == bare.subsets  # the whole pool too
    out = export(again, "basic", tmp_path / "out", "uids")
    assert not set(uids_of(rows)) & set((tmp_path / "out" / "uids.txt").read_text().split())
    assert out["rows"] == bare.decided["basic"].kept


def test_why_says_revoked_when_and_by_which_request(after: Store, rows: pl.DataFrame, before: tuple[Path, str]) -> None:
    made = Run(after, before[1])
    for uid in uids_of(rows)[:4]:
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
    outcome = select(write(renamed, tmp_path / "renamed", shards=2), store)  # known by address
    made = Run(store, outcome.folder)
    held = {line["stage"]: line for line in made.funnel()}
    assert held[REVOKED]["kept"] == ROWS - len(GONE)
    gone = {uid for uid, url in renamed.select("uid", "url").rows() if url in set(rows["url"][list(GONE)])}
    assert not gone & set(made.subset("pool").hex)
    assert not gone & set(hex_of(made.uids()))  # no uid of theirs is kept
    moved = select(write(rows.drop("url"), tmp_path / "no-address", shards=1), store)  # known by uid
    assert len(Run(store, moved.folder).subset("pool")) == ROWS - len(GONE)
    assert not set(uids_of(rows)) & set(hex_of(Run(store, moved.folder).uids()))


def test_samples_of_a_pool_leave_out_what_is_refused(pool: Pool, after: Store) -> None:
    shown = [row["url"] for row in pool.describe()["sample"]]
    left = [row["url"] for row in pool.describe(revoked(after).rows)["sample"]]
    assert shown[0].endswith("/00000.html")
    assert len(left) == 3
    assert left[:2] == shown[1:]


def test_samples_of_a_pool_that_was_never_run_leave_out_what_requests_name(after: Store, rows: pl.DataFrame, tmp_path: Path) -> None:
    renamed = write(rows.head(4).with_columns(uid=pl.col("uid").str.reverse()), tmp_path / "renamed", 1)  # known by address
    moved = write(rows.head(4).drop("url"), tmp_path / "moved", 1)  # known by uid
    for pool in (renamed, moved):
        assert not revoked(after).rows(pool.shards[0]).size
        texts = [row["text"] for row in pool.describe(never_shown(after, pool))["sample"]]
        assert texts == rows["text"][1:4].to_list()
    nameless = write(rows.head(4).with_columns(uid=pl.Series([None, "a", "b", "c"])), tmp_path / "nameless", 1)
    assert nameless.describe(never_shown(after, nameless))["sample"] == []


def test_a_shard_that_comes_back_in_another_pool_is_refused_and_its_uids_are_not_kept(
    after: Store, pool: Pool, rows: pl.DataFrame, tmp_path: Path
) -> None:
    shutil.copytree(after.address, tmp_path / "store")
    (tmp_path / "one").mkdir()
    shutil.copy2(pool.root / pool.shards[0].path, tmp_path / "one" / "0.parquet")
    store = Store.open(tmp_path / "store")
    outcome = select(Pool.open(tmp_path / "one"), store)
    gone = set(uids_of(rows)) & set(rows["uid"][::SHARDS].to_list())
    assert outcome.decided[REVOKED].counts == (ROWS // SHARDS - len(gone), len(gone))
    assert not gone & set(hex_of(Run(store, outcome.folder).uids()))
    assert outcome.effort.measured == {}  # the shard's evidence is there


def test_nothing_is_held_against_rows_taken_down_and_models_are_made_without_them(tmp_path: Path) -> None:
    texts = [f"{word} {other} and more of it" for word in WORDS for other in WORDS[:4]]
    mine = pl.DataFrame({"uid": [f"{n:032x}" for n in range(40)], "text": texts[:40]})
    other = pl.DataFrame({"uid": [f"{n + 900:032x}" for n in range(20)], "text": texts[30:50]})
    write(other, tmp_path / "other", shards=1)
    recipe = Recipe.parse(
        "models: {counts: {passage_counts: {}}}\nsignals: {again: {repeated_text: {model: counts}}}\n"
        "stages:\n  new: {keep: {one_per: exact_duplicate, against: other}}\n"
        "  own: {after: new, keep: 'again.repeated < 0.5'}\nsubsets: [new, own]",
        base=tmp_path,
    )
    pool, store = write(mine, tmp_path / "mine", shards=1), Store.open(tmp_path / "store")

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
    facts = [json.loads(line) for line in store.storage.get(f"{select(pool, store).folder}/ledger.jsonl").decode().splitlines()]
    assert [fact["adopted"] for fact in facts if fact["what"] == "run"] == [["near_duplicate_text.sketch"]]
