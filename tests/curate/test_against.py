"""Rows of a pool held against an earlier pool."""

import json

import polars as pl
import pytest

from curate.audit import why
from curate.errors import CeterisError, NondeterminismError, RecipeError
from curate.grouping import grouping
from curate.parquet_files import probe_parquet
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import resolve
from curate.shard_files import _PROBES
from curate.signal import Evidence, signal

RECIPE = "{stages: {new: {keep: {one_per: alike, against: EARLIER}}}, subsets: [new]}"


def pool_of(folder, column="text", **columns):
    folder.mkdir()
    pl.DataFrame(columns).write_parquet(folder / "0.parquet", row_group_size=2)
    return Pool.open(folder, roles={"text": column} if column != "text" else {})


@pytest.fixture
def earlier(tmp_path):
    """Two that are alike, and stay, and one that is far from all."""
    return pool_of(tmp_path / "earlier", text=["abcd", "abcde", "lorem"], uid=["first", "second", "third"])


@pytest.fixture
def later(tmp_path):
    return pool_of(tmp_path / "later", text=["abcdef", "ABCD", "q", "q", None, "abcdefghijk"], uid=list("rstuvw"))


def kept(run, name="new"):
    originals = dict(zip(run.uids()[:, 1].tolist(), "rstuvw", strict=True))
    return sorted(originals[word] for word in run.subset(name).uids[:, 1].tolist())


def test_rows_like_one_of_the_earlier_pool_leave_for_it_and_the_earlier_pool_is_not_touched(do, store, earlier, later):
    before = {path: path.read_bytes() for path in earlier.root.iterdir()}
    outcome = do(RECIPE.replace("EARLIER", str(earlier.root)), later, store)
    run = Run(store, outcome.folder)
    one_of_two = {"t", "u"} & set(kept(run))
    assert len(one_of_two) == 1
    assert kept(run) == sorted({"v", "w"} | one_of_two)
    story = why(run, "s")["stages"]["new"]
    assert story["rule"] == f"one per alike, preferring uid, against {earlier.root}"
    assert (story["survivor_original"], story["survivor_pool"], story["similarity"]) == ("first", str(earlier.root), 1.0)
    near = why(run, "r")["stages"]["new"]
    assert (near["survivor_original"], near["similarity"]) == ("second", round(5 / 6, 4))
    assert {path: path.read_bytes() for path in earlier.root.iterdir()} == before
    facts = [json.loads(line) for line in store.storage.get(f"{outcome.folder}/ledger.jsonl").splitlines()]
    told = [(fact["stage"], fact["pool"], fact["rows"], fact["held"]) for fact in facts if fact["what"] == "against"]
    assert told == [("new", earlier.id, 3, 3)]


def test_the_earlier_pool_is_sketched_once_and_new_shards_measure_only_themselves(do, store, earlier, later, tmp_path):
    first = do("{stages: {all: {keep: {one_per: alike}}}, subsets: [all]}", earlier, store)
    assert first.effort.linked == {"alike": 3}
    second = do(RECIPE.replace("EARLIER", str(earlier.root)), later, store)
    assert second.effort.measured == {"alike.sketch": 6}
    assert second.effort.linked == {"alike": 3}, "abcd is known"
    more = pool_of(tmp_path / "more", text=["abcdx", "zzz"], uid=["r", "s"])
    third = do(RECIPE.replace("EARLIER", str(earlier.root)), more, store)
    assert (third.effort.measured, third.effort.linked) == ({"alike.sketch": 2}, {"alike": 2})


def test_another_earlier_pool_is_another_stage(do, store, earlier, later, tmp_path):
    other = pool_of(tmp_path / "other", text=["nothing alike"])
    runs = [do(RECIPE.replace("EARLIER", str(pool.root)), later, store) for pool in (earlier, other)]
    assert len({run.subsets["new"] for run in runs}) == 2
    assert len(kept(Run(store, runs[1].folder))) == 5


def test_files_of_the_earlier_pool_that_have_not_changed_are_hashed_once(store, earlier, later, filters, monkeypatch):
    recipe, hashed = Recipe.parse(RECIPE.replace("EARLIER", str(earlier.root))), list[str]()
    monkeypatch.setitem(_PROBES, "parquet", lambda root, path: (hashed.append(path), probe_parquet(root, path))[1])
    plans = [resolve(recipe, later, filters(), store) for _ in range(2)]
    assert hashed == ["0.parquet"]
    assert {plan.references["new"].pool.id for plan in plans} == {earlier.id}
    pl.DataFrame({"text": ["abcd"], "uid": ["first"]}).write_parquet(earlier.root / "0.parquet")
    assert resolve(recipe, later, filters(), store).references["new"].pool.id == Pool.open(earlier.root).id != earlier.id


def test_what_cannot_be_held_against_is_said_while_planning(do, store, later, filters, tmp_path):
    with pytest.raises(RecipeError, match=r"the pool to hold rows against cannot be opened: .*nowhere"):
        do(RECIPE.replace("EARLIER", "nowhere"), later, store)
    pictured = pool_of(tmp_path / "pictured", text=["a"], image=[b"x"])

    @signal(version=1, reads=["image"], writes={"key": pl.Binary})
    def pixels(batch):
        return batch.select(key="image")

    catalogue = filters(pixels=grouping("pixels", version=1, sketch=pixels))
    with pytest.raises(RecipeError, match=r"pixels needs the role image, which .*later lacks"):
        do(RECIPE.replace("EARLIER", str(later.root)).replace("alike", "pixels"), pictured, store, catalogue)


@pytest.mark.parametrize("column", ["text", "caption"])
def test_changed_code_that_would_sketch_the_earlier_pool_otherwise_stops(do, store, later, filters, tmp_path, column):
    @signal(version=1, reads=["text"], writes={"key": pl.Binary})
    def letters(batch):
        return batch.select(key=pl.col("text").str.to_uppercase().cast(pl.Binary))

    earlier = pool_of(tmp_path / "earlier", **{column: ["abcd", "lorem"]})
    recipe = RECIPE.replace("EARLIER", str(earlier.root)).replace("alike", "same")
    do(recipe, later, store, filters())
    more = pool_of(tmp_path / "more", text=["abcdx", "zzz"])
    assert do(recipe, more, store, filters("2")).effort.measured == {"same.sketch": 2}, "adopted: it answers as it did"
    another = pool_of(tmp_path / "another", text=["abcd"])
    with pytest.raises(NondeterminismError, match=r"same\.sketch changed .* measures stored rows differently"):
        do(recipe, another, store, filters("3", same=grouping("same", version=1, sketch=letters)))


def test_rows_of_the_earlier_pool_that_cannot_be_measured_are_told_and_may_not_be_many(do, store, filters, tmp_path):
    @signal(version=1, reads=["text"], writes={"key": pl.Binary})
    def letters(batch):
        return batch.select(key=pl.col("text").cast(pl.Binary), error=pl.when(pl.col("text") == "!").then(pl.lit("shouted")))

    known = filters(same=grouping("same", version=1, sketch=letters))
    earlier = pool_of(tmp_path / "earlier", text=["a", "!", "b", "c"])
    later = pool_of(tmp_path / "later", text=["a", "d"])
    recipe = RECIPE.replace("EARLIER", str(earlier.root)).replace("alike", "same")
    outcome = do(recipe.replace("stages", "errors_at_most: 0.25, stages"), later, store, known)
    assert (outcome.effort.held, outcome.decided["new"].kept) == ({"new": 3}, 1)
    fewer = recipe.replace("stages", "errors_at_most: 0.2, stages")
    with pytest.raises(CeterisError, match=r"nothing can be held against 1 of 4 rows \(25.0%\) of .*earlier") as raised:
        do(fewer, pool_of(tmp_path / "more", text=["a"]), store, known)
    assert (raised.value.where, bool(raised.value.fix)) == ("new", True)


@signal(version=1, reads=["text"], writes={"bad": pl.Boolean})
def banned(batch):
    return batch.select(bad=pl.col("text").str.contains("BANNED"), error=pl.when(pl.col("text") == "?").then(pl.lit("torn")))


def test_restricted_rows_of_the_earlier_pool_are_neither_looked_at_nor_held_against(do, store, filters, tmp_path):
    earlier = pool_of(tmp_path / "earlier", text=["BANNED abc", "lorem", "BANNED", "?"], uid=["secret", "b", "c", "d"])
    later = pool_of(tmp_path / "later", text=["banned abc", "LOREM", "BANNED x", "12", "34", "56"], uid=list("rstuvw"))
    recipe = RECIPE.replace("EARLIER", str(earlier.root)).replace("{stages", "{restricted: banned.bad, errors_at_most: 0.25, stages")
    outcome = do(recipe, later, store, filters(banned=banned))
    run = Run(store, outcome.folder)
    assert kept(run) == ["r", "u", "v", "w"]
    assert "survivor" not in json.dumps(why(run, "r"))
    assert why(run, "s")["stages"]["new"]["survivor_original"] == "b"
    assert outcome.effort.held == {"new": 1}
    folders = {outcome.plan.references["new"].sketch.folder, outcome.plan.groups["alike"].folder}
    stored = pl.concat(
        [
            store.frame(part)["key"]
            for folder in folders
            for key, parts in store.parts(folder).items()
            for part in parts
            if key not in ("keys", "pairs")
        ]
    )
    assert set(stored) == {b"banned abc", b"lorem", b"12", b"34", b"56"}
    with pytest.raises(CeterisError, match=r"nothing can be held against 1 of 4 rows"):
        do(recipe.replace("0.25", "0.2"), pool_of(tmp_path / "more", text=["a"]), store, filters(banned=banned))
    free = do(RECIPE.replace("EARLIER", str(earlier.root)), later, store, filters(banned=banned))
    assert free.plan.nodes["new"].id != outcome.plan.nodes["new"].id


@pytest.mark.parametrize(("of", "columns"), [("chars.n", {"source": ["x", "y"]}), ("pool.size", {"size": [1, 2]})])
def test_what_bars_rows_may_read_what_another_pool_lacks_however_far_off(do, store, filters, tmp_path, of, columns):
    @signal(version=1, reads=["source"], writes={"n": pl.UInt32})
    def chars(batch):
        return batch.select(n=pl.col("source").str.len_chars())

    @signal(version=1, reads=[], writes={"bad": pl.Boolean})
    def long(batch, *, of: Evidence):
        return batch.select(bad=pl.col(of) > 1)

    pool_of(tmp_path / "good", text=["a", "bb"])
    text = f"""
restricted: l.bad
errors_at_most: 1.0
models: {{m: {{net: {{trusted: {tmp_path / "good"}, width: 2}}}}}}
signals: {{l: {{long: {{of: {of}}}}}, s: {{scored: {{model: m}}}}}}
stages: {{a: {{keep: "s.score > 0"}}, b: {{keep: {{one_per: alike, against: {tmp_path / "good"}}}}}}}
"""
    outcome = do(text, pool_of(tmp_path / "pool", text=["q", "r"], **columns), store, filters(chars=chars, long=long))
    assert outcome.decided["lawful"].kept == (2 if of == "chars.n" else 1)
