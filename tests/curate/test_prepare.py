import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from curate.errors import CeterisError, NondeterminismError, RecipeError, SignalBugError, StoreError
from curate.executor import Crashed, InProcess
from curate.grouping import grouping
from curate.model import _SHELF, Made, loaded, model
from curate.plan import Fed
from curate.pool import Pool
from curate.prepare import made_weights, make_models, shelf_of, training_rows
from curate.recipe import Recipe
from curate.record import Run
from curate.run import resolve
from curate.signal import ModelRef, signal

MODELS = """
models: {m: {net: {trusted: trusted, width: 2}}, n: {net: {trusted: trusted, width: 2}}, o: {net: {trusted: trusted, width: 3}}}
signals: {s: {scored: {model: m}}}
stages: {a: {keep: "s.score > 1"}}
subsets: [a]
"""


@pytest.fixture
def trusted(tmp_path):
    (tmp_path / "trusted").mkdir()
    pl.DataFrame({"text": ["abc", None, "a"]}).write_parquet(tmp_path / "trusted" / "0.parquet")
    pl.DataFrame({"text": ["abcd", "abc"]}).write_parquet(tmp_path / "trusted" / "1.parquet")
    return tmp_path


def test_training_rows_are_complete_and_in_uid_order_whatever_the_files(trusted, store, tmp_path):
    rows, uids = training_rows(Fed(Pool.open(trusted / "trusted")), ("text",), store)
    assert sorted(rows["text"]) == ["a", "abc", "abc", "abcd"]
    assert uids.tolist() == sorted(uids.tolist())
    (tmp_path / "turned").mkdir()
    pl.DataFrame({"text": ["abcd", "abc", "a", "abc"]}).write_parquet(tmp_path / "turned" / "0.parquet")
    assert training_rows(Fed(Pool.open(tmp_path / "turned")), ("text",), store)[0].equals(rows)


def test_models_are_made_once_and_equal_ones_are_one(trusted, store, texts, filters):
    recipe = Recipe.parse(MODELS, where="recipe.yaml", base=trusted)
    draft = resolve(recipe, texts, filters(), store)
    assert make_models(draft.models, store, InProcess()) == ["m", "n", "o"]
    assert len([key for key in store.storage.list("models/") if key.endswith("/weights.safetensors")]) == 2
    assert make_models(draft.models, store, InProcess()) == []
    weights, lists = made_weights(draft.models, store)
    assert set(weights) == set(lists) == {training.id for training in draft.models.values()}
    plan = resolve(recipe, texts, filters(), store)
    assert plan.measures["s"].parameters["model"] == weights[plan.models["m"].id]
    receipt = store.json(f"{plan.models['m'].folder}/model.json")
    assert receipt["card"] == {"rows": 4, "seed": 0, "training_rows": 4}
    assert json.loads(store.path(receipt["folder"]).joinpath("card.json").read_text(encoding="utf-8")) == receipt["card"]
    assert {digest for digest, _, _ in shelf_of(plan.models, store)} == set(weights.values())


def test_a_model_that_kills_its_worker_is_named(trusted, store, texts, filters):
    class Dead(InProcess):
        def map(self, _, tasks):
            yield from ((index, Crashed(3, "out of memory")) for index, _ in enumerate(tasks))

    draft = resolve(Recipe.parse(MODELS, where="recipe.yaml", base=trusted), texts, filters(), store)
    with pytest.raises(SignalBugError, match="making the model m killed its worker 3 times: out of memory") as raised:
        make_models(draft.models, store, Dead())
    assert raised.value.where == "models.m"
    assert raised.value.fix


def test_trusted_rows_in_the_pool_leave_first(trusted, store, texts, do):
    outcome = do(Recipe.parse(MODELS, where="recipe.yaml", base=trusted).set("errors_at_most", 1), texts, store)
    assert outcome.decided["unseen"].counts[:2] == (9, 3)
    again = do(Recipe.parse(MODELS, where="recipe.yaml", base=trusted).set("errors_at_most", 1), texts, store)
    assert again.effort.measured == {}


def test_a_model_of_two_pools_takes_both_and_the_trusted_one_leaves_the_pool(trusted, store, texts, filters, do):
    @model(version=1, reads=["text"], rows=["trusted", "others"])
    def apart(good, rest):
        return Made({"sizes": np.array([good.height, rest.height])}, {})

    pl.DataFrame({"text": ["xyz", "lorem ipsum", None]}).write_parquet(trusted / "rest.parquet")
    text = "{errors_at_most: 1.0, models: {m: {apart: {trusted: trusted, others: rest.parquet}}}, stages: {a: {}}, subsets: [a]}"
    recipe = Recipe.parse(text, where="recipe.yaml", base=trusted)
    outcome = do(recipe, texts, store, filters(apart=apart))
    assert outcome.decided["unseen"].counts[:2] == (9, 3)
    receipt = store.json(f"{resolve(recipe, texts, filters(apart=apart), store).models['m'].folder}/model.json")
    assert receipt["card"] == {"training_rows": 6}
    assert len(Run(store, outcome.folder).facts["models"]["m"]["rows"]) == 2
    turned = recipe.set("models.m.apart.others", "trusted").set("models.m.apart.trusted", "rest.parquet")
    assert resolve(turned, texts, filters(apart=apart), store).models["m"].id != receipt["id"]
    with pytest.raises(RecipeError, match="apart needs others"):
        resolve(Recipe.parse(text.replace(", others: rest.parquet", ""), base=trusted), texts, filters(apart=apart), store)


@model(version=1, reads=["text"], over="pool")
def census(rows, *, kind: str = "chars"):
    """How many texts there are of each length."""
    seen = [frame["text"].drop_nulls().str.len_chars() for frame in rows]
    assert len(seen) > 1, "a pool comes in pieces"
    lengths, counts = np.unique(np.concatenate(seen), return_counts=True)
    return Made({"lengths": lengths, "counts": counts}, {"kind": kind})


@census.loader
def load_census(weights, _):
    return dict(zip(weights["lengths"].tolist(), weights["counts"].tolist(), strict=True))


@signal(version=1, reads=["text"], writes={"like": pl.UInt32})
def as_long(batch, *, model: ModelRef):
    return batch.select(like=pl.col("text").str.len_chars().replace_strict(loaded(model), default=0, return_dtype=pl.UInt32))


CENSUS = """
models: {c: {census: {}}}
signals: {l: {as_long: {model: c}}}
stages: {common: {keep: "l.like >= 3"}}
subsets: [common]
"""


def test_a_model_over_the_pool_sees_each_row_once_and_takes_none_away(store, texts, filters, do):
    known = filters(census=census, as_long=as_long)
    outcome = do(CENSUS, texts, store, known)
    assert list(outcome.plan.nodes) == ["pool", "common"]
    lengths = [len(text) for text in pl.read_parquet(texts.root)["text"] if text is not None]
    assert loaded(outcome.plan.measures["l"].parameters["model"]) == {length: lengths.count(length) for length in lengths}
    assert outcome.decided["common"].kept == sum(lengths.count(length) >= 3 for length in lengths)
    assert do(CENSUS, texts, store, known).effort.measured == {}


def test_a_model_over_the_pool_is_of_this_pool_and_pending_until_it_is_made(store, texts, filters, do, tmp_path):
    known = filters(census=census, as_long=as_long)
    recipe = Recipe.parse(CENSUS, where="recipe.yaml")
    before = resolve(recipe, texts, known, store)
    assert before.measures["l"].pending
    do(CENSUS, texts, store, known)
    after = resolve(recipe, texts, known, store)
    assert (after.measures["l"].pending, after.models["c"].id) == (False, before.models["c"].id)
    pl.read_parquet(texts.root)[:11].write_parquet(tmp_path / "less.parquet")
    other = resolve(recipe, Pool.open(tmp_path / "less.parquet"), known, store)
    assert other.measures["l"].pending
    assert other.models["c"].id != before.models["c"].id
    assert resolve(recipe.set("models.c.census.kind", "words"), texts, known, store).models["c"].id != before.models["c"].id


def test_a_model_over_the_pool_needs_its_roles_there(store, texts, filters):
    @model(version=1, reads=["text", "url"], over="pool")
    def hosts(rows):
        return Made({}, {})

    recipe = Recipe.parse(CENSUS.replace("census", "hosts"), where="recipe.yaml")
    with pytest.raises(RecipeError, match="hosts reads the role url, which this pool lacks") as raised:
        resolve(recipe, texts, filters(hosts=hosts, as_long=as_long), store)
    assert raised.value.fix.startswith("name the column with --role url=COLUMN")


def changed(answer, version=1):
    """A signal `size` whose code answers otherwise for some rows."""

    @signal(version=version, reads=["text"], writes={"chars": pl.UInt32, "share": pl.Float32})
    def size(batch):
        chars = pl.col("text").str.len_chars()
        return batch.select(chars=answer(chars).cast(pl.UInt32), share=(chars / 7 + (answer(chars) - chars) * 1e-7).cast(pl.Float32))

    return size


SIZE = '{stages: {a: {keep: "size.chars > 2"}}, subsets: [a]}'


def test_changed_code_with_equal_answers_is_adopted(do, store, texts, filters):
    folder = do(SIZE, texts, store, filters("one", size=changed(lambda chars: chars))).plan.measures["size"].folder
    again = do(SIZE, texts, store, filters("two", size=changed(lambda chars: chars * 2 - chars)))
    assert again.effort.measured == {}
    known = [store.json(key) for key in store.storage.list(f"{folder}/code/")]
    assert [(one["source"], one["versions"]) for one in known] == [("one", {}), ("two", {})]
    do(SIZE, texts, store, filters("one", size=changed(lambda chars: chars)))
    assert len(store.storage.list(f"{folder}/code/")) == 2


def test_code_adopted_on_one_pool_is_still_checked_on_another(do, store, texts, filters, tmp_path):
    pl.DataFrame({"text": ["abc"]}).write_parquet(tmp_path / "new.parquet")
    other, three = Pool.open(tmp_path / "new.parquet"), changed(lambda chars: chars + 3)
    do(SIZE, texts, store, filters("one", size=changed(lambda chars: chars)))
    do(SIZE, other, store, filters("three", size=three))
    with pytest.raises(NondeterminismError, match="size changed"):
        do(SIZE, texts, store, filters("three", size=three))


@pytest.mark.parametrize("harm", [None, "a pair less", "a pair more", "another similarity"])
def test_changed_links_are_adopted_only_if_they_link_the_same(do, store, texts, filters, harm):
    def links(sketches, *, floor: float = 0.5):
        for found in alike.links(sketches, floor=floor):
            if harm == "a pair less":
                yield found[1:]
            elif harm == "a pair more":
                yield pl.DataFrame([*found.rows(), (0, sketches.count - 1, 0.99)], schema=found.schema, orient="row").unique(["i", "j"])
            else:
                yield found.with_columns(similarity=pl.col("similarity") * (0.99 if harm else 1))

    recipe = "{errors_at_most: 1.0, stages: {a: {keep: {one_per: alike}}}, subsets: [a]}"
    alike = filters()["alike"].load()
    do(recipe, texts, store, filters("one"))
    catalogue = filters("two", alike=grouping("alike", version=1, sketch=alike.sketch, links=links, threshold=0.75))
    if harm is None:
        assert do(recipe, texts, store, catalogue).effort.linked == {}
    else:
        with pytest.raises(NondeterminismError, match=r"alike\.sketch changed .* links stored rows differently"):
            do(recipe, texts, store, catalogue)


def test_floats_may_differ_in_their_last_digits_but_no_more(do, store, texts, filters):
    @signal(version=1, reads=["text"], writes={"share": pl.Float32})
    def other(batch):
        return batch.select(share=(pl.col("text").str.len_chars() / shift).cast(pl.Float32))

    shift = 7.0
    recipe = SIZE.replace("size.chars", "other.share")
    do(recipe, texts, store, filters("one", other=other))
    shift = 7.00001
    assert do(recipe, texts, store, filters("two", other=other)).effort.measured == {}
    shift = 7.01
    with pytest.raises(NondeterminismError, match="other changed"):
        do(recipe, texts, store, filters("three", other=other))


@pytest.mark.parametrize(
    "answer",
    [lambda chars: chars + 1, lambda chars: pl.when(chars < 11).then(chars), lambda chars: chars.fill_null(0)],
    ids=["another value", "null for a value", "a value for null"],
)
def test_changed_code_with_other_answers_stops_the_run(do, store, texts, filters, answer):
    do(SIZE, texts, store, filters("one", size=changed(lambda chars: chars)))
    with pytest.raises(NondeterminismError, match=r"size changed \(code or libraries\) and measures stored rows differently") as raised:
        do(SIZE, texts, store, filters("two", size=changed(answer)))
    assert raised.value.where.startswith("signals/size-")
    assert "version" in raised.value.fix
    raised_version = do(SIZE, texts, store, filters("two", size=changed(answer, version=2)))
    assert raised_version.effort.measured == {"size": 12}


def test_two_drivers_at_the_code_of_one_signal_are_told(do, store, texts, filters, monkeypatch):
    do(SIZE, texts, store, filters("one", size=changed(lambda chars: chars)))
    monkeypatch.setattr(type(store), "put_json", lambda *given: "/code/" not in given[1])
    with pytest.raises(StoreError, match="another process publishes to this store"):
        do(SIZE, texts, store, filters("two", size=changed(lambda chars: chars)))


def test_a_package_that_is_missing_is_said_before_anything_is_measured(do, store, texts, filters):
    @signal(version=1, reads=["text"], writes={"x": pl.Int8}, uses=["nothing-of-that-name"])
    def lacking(batch):
        return batch

    with pytest.raises(CeterisError, match="the package nothing-of-that-name is not installed"):
        do('{stages: {a: {keep: "lacking.x > 1"}}, subsets: [a]}', texts, store, filters(lacking=lacking))


def test_the_code_of_a_model_is_part_of_what_measures(trusted, store, texts, filters, do):
    recipe = Recipe.parse(MODELS, where="recipe.yaml", base=trusted).set("errors_at_most", 1)
    folder = do(recipe, texts, store).plan.measures["s"].folder
    changed_loader = {**filters(), "net": replace(filters()["net"], source="2")}
    assert do(recipe, texts, store, changed_loader).effort.measured == {}
    assert [store.json(key).get("models") for key in store.storage.list(f"{folder}/code/")] == [{"net": "1"}, {"net": "2"}]


def test_changed_code_of_a_signal_with_a_model_is_checked_in_a_process_that_never_loaded_it(trusted, store, texts, filters, do):
    @model(version=1, reads=["text"], rows=["trusted"])
    def net(rows, *, width: int):
        return Made({"mean": np.full(width, rows["text"].str.len_chars().mean())}, {})

    @net.loader
    def load(weights, _):
        return float(weights["mean"][0])

    @signal(version=1, reads=["text"], writes={"score": pl.Float32})
    def scored(batch, *, model: ModelRef):
        return batch.select(score=pl.col("text").str.len_chars().cast(pl.Float32) - loaded(model))

    recipe = Recipe.parse(MODELS, where="recipe.yaml", base=trusted).set("errors_at_most", 1)
    do(recipe, texts, store, filters("1", net=net, scored=scored))
    loaded.cache_clear()
    _SHELF.clear()
    assert do(recipe, texts, store, filters("2", net=net, scored=scored)).effort.measured == {}


def test_floats_may_move_as_far_as_the_signal_declares(do, store, texts, filters):
    def moved(by, tolerance):
        @signal(version=1, reads=["text"], writes={"share": pl.Float32}, tolerance=tolerance)
        def size(batch):
            return batch.select(share=(pl.col("text").str.len_chars() / 7 + by).cast(pl.Float32))

        return size

    recipe = SIZE.replace("chars > 2", "share > 0.3")
    do(recipe, texts, store, filters("one", size=moved(0.0, 1e-3)))
    assert do(recipe, texts, store, filters("two", size=moved(5e-4, 1e-3))).effort.measured == {}
    with pytest.raises(NondeterminismError, match="size changed"):
        do(recipe, texts, store, filters("three", size=moved(5e-4, 1e-5)))
