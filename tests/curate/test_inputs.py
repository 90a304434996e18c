"""Signals, sketches and models that read evidence instead of rows."""

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from curate.errors import RecipeError
from curate.grouping import grouping
from curate.model import Made, loaded, model
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import resolve
from curate.signal import Evidence, ModelRef, signal


@signal(version=1, reads=["text"], writes={"double": pl.UInt32})
def doubled(batch, *, of: Evidence, times: int = 2):
    assert batch.columns == ["text", "of"]
    return batch.select(double=(pl.col(of) * times).cast(pl.UInt32))


@signal(version=1, reads=[], writes={"both": pl.Float64})
def added(batch, *, one: Evidence, other: Evidence):
    return batch.select(both=pl.col(one).cast(pl.Float64) + pl.col(other).cast(pl.Float64))


@model(version=1, over="pool")
def mean_of(rows, *, of: Evidence, sample: float = 1.0):
    seen = pl.concat([frame[of].drop_nulls() for frame in rows])
    return Made({"mean": np.array([seen.mean()]), "rows": np.array([len(seen)])}, {})


@model(version=1, rows=["good"], trusts=False)
def mean_of_others(good, *, of: Evidence):
    return Made({"mean": np.array([good[of].mean()])}, {})


@mean_of.loader
@mean_of_others.loader
def load(weights, _):
    return float(weights["mean"][0])


@signal(version=1, reads=[], writes={"above": pl.Boolean})
def above(batch, *, of: Evidence, model: ModelRef):
    return batch.select(above=pl.col(of) > loaded(model))


@signal(version=1, reads=[], writes={"key": pl.Binary})
def size(batch, *, of: Evidence):
    return batch.select(key=pl.col(of).cast(pl.String).cast(pl.Binary))


as_long = grouping("as_long", version=1, sketch=size)
MORE = {one.name: one for one in (doubled, added, mean_of, mean_of_others, above, as_long)}
ADDED = """
errors_at_most: 1.0
signals: {twice: {doubled: {of: length.chars}}, sum: {added: {one: twice.double, other: pool.quality}}}
stages: {some: {keep: "length.chars > 0"}, best: {after: some, keep: "sum.both > 6"}}
subsets: [best]
"""


def evidence(outcome, store, name, texts):
    folder = outcome.plan.measures[name].folder
    by_shard = store.parts(folder)
    return pl.concat([store.frame(part).sort("row") for shard in texts.shards for part in by_shard[shard.digest]])


def test_evidence_is_measured_for_what_reads_it_and_only_there(texts, store, filters, do):
    outcome = do(ADDED, texts, store, filters(**MORE))
    assert (outcome.effort.measured["length"], outcome.effort.measured["twice"], outcome.effort.measured["sum"]) == (12, 9, 9)
    found, chars = evidence(outcome, store, "sum", texts), evidence(outcome, store, "length", texts)
    quality = pl.concat([texts.read(shard, columns=["quality"]).frame for shard in texts.shards])["pool.quality"]
    expected = 2 * chars["chars"] + quality
    assert found["both"].to_list() == expected.filter((chars["chars"] > 0) & chars["error"].is_null()).to_list()
    assert found["error"].null_count() == found.height
    again = do(ADDED.replace("sum.both > 6", "sum.both > 7"), texts, store, filters(**MORE))
    assert again.effort.measured == {}


def test_an_error_of_what_is_read_is_the_readers_error(texts, store, filters, do):
    text = "{errors_at_most: 1.0, signals: {twice: {doubled: {of: length.chars}}}, stages: {a: {keep: 'twice.double > 0'}}, subsets: [a]}"
    outcome = do(text, texts, store, filters(**MORE))
    found = evidence(outcome, store, "twice", texts)
    assert found.filter(pl.col("error").is_not_null()).select("double", "error").rows() == [(None, "of:shouted")]
    assert found["double"].null_count() == 2
    assert outcome.decided["a"].counts[0] == 9


def test_a_name_of_the_recipe_is_no_part_of_the_identity_but_the_measure_behind_it_is(texts, store, filters):
    def folder(text):
        return resolve(Recipe.parse(text), texts, filters(**MORE), store).measures["twice"].folder

    one = folder("{signals: {twice: {doubled: {of: length.chars}}}, stages: {a: {keep: 'twice.double > 0'}}}")
    named = "{signals: {n: {length: {limit: 5}}, twice: {doubled: {of: n.chars}}}, stages: {a: {keep: 'twice.double > 0'}}}"
    assert folder(named) == one
    assert folder(named.replace("limit: 5", "limit: 6")) != one
    assert folder(named.replace("n.chars", "n.kind")) != one


@pytest.mark.parametrize(
    ("of", "what", "fix"),
    [
        ("", "doubled needs the evidence `of`", "of: SIGNAL.column"),
        ("of: length", "doubled needs the evidence `of`", "of: SIGNAL.column"),
        ("of: length.charz", "unknown column length.charz", "length.chars"),
        ("of: pool.qualiti", "unknown column pool.qualiti", "quality"),
        ("of: twice.double", "evidence in a circle: twice -> twice", "something else"),
        ("of: nothing.here", "there is no filter called nothing", ""),
    ],
)
def test_evidence_that_cannot_be_is_refused_before_a_row_is_read(of, what, fix, texts, store, filters):
    recipe = Recipe.parse(f"{{signals: {{twice: {{doubled: {{{of}}}}}}}, stages: {{a: {{keep: 'twice.double > 0'}}}}}}")
    with pytest.raises(RecipeError, match=what) as raised:
        resolve(recipe, texts, filters(**MORE), store)
    assert fix in raised.value.fix


@pytest.mark.parametrize(
    "declare", [lambda: signal(version=1, reads=["text"], writes={"n": pl.UInt32}), lambda: model(version=1, reads=["text"])]
)
def test_a_parameter_is_called_otherwise_than_a_role(declare):
    def clash(batch, *, text: Evidence):
        return batch

    with pytest.raises(TypeError, match=r"clash: text is a role and evidence"):
        declare()(clash)


@pytest.mark.parametrize(
    "text",
    [
        "{signals: {long: {as_long: {of: pool.quality}}}, stages: {a: {keep: {one_per: long, against: OTHER}}}}",
        "{models: {m: {mean_of_others: {good: OTHER, of: pool.quality}}}, stages: {a: {keep: 'length.chars > 0'}}}",
    ],
)
def test_what_another_pool_lacks_is_said_of_that_pool(text, texts, store, filters, tmp_path):
    pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(RecipeError, match=r"unknown column pool.quality; asked of .*") as raised:
        resolve(Recipe.parse(text.replace("OTHER", str(tmp_path / "other.parquet"))), texts, filters(**MORE), store)
    assert str(tmp_path) in raised.value.what


def test_a_value_beside_an_error_is_in_no_model(texts, store, filters, do):
    text = """
errors_at_most: 1.0
models: {m: {mean_of: {of: length.chars}}}
signals: {more: {above: {of: length.chars, model: m}}}
stages: {a: {keep: more.above}}
"""
    outcome = do(text, texts, store, filters(**MORE))
    found = evidence(outcome, store, "length", texts)
    assert found.filter(pl.col("error").is_not_null())["chars"].null_count() == 0, "length says both"
    expected = found.filter(pl.col("error").is_null())["chars"].mean()
    assert loaded(outcome.plan.measures["more"].parameters["model"]) == pytest.approx(expected)


@pytest.mark.parametrize("sample", ["0", "-1", "1.5"])
def test_a_sample_is_a_share(sample, texts, store, filters):
    text = f"models: {{m: {{mean_of: {{of: length.chars, sample: {sample}}}}}}}\nstages: {{a: {{keep: 'length.chars > 0'}}}}"
    with pytest.raises(RecipeError, match=f"mean_of: sample is {sample}, which is no share of the pool"):
        resolve(Recipe.parse(text), texts, filters(**MORE), store)


MEANS = """
errors_at_most: 1.0
models: {m: {mean_of: {of: twice.double}}, later: {mean_of: {of: more.above}}}
signals: {twice: {doubled: {of: length.chars}}, more: {above: {of: twice.double, model: m}}}
stages: {a: {keep: more.above}}
subsets: [a]
"""


def test_a_model_is_made_of_evidence_of_the_pool_and_another_of_what_follows_from_it(texts, store, filters, do):
    recipe = Recipe.parse(MEANS.replace(", later: {mean_of: {of: more.above}}", ""))
    outcome = do(recipe, texts, store, filters(**MORE))
    assert outcome.effort.measured == {"length": 12, "twice": 12, "more": 12}
    doubles = evidence(outcome, store, "twice", texts)["double"].drop_nulls()
    assert loaded(outcome.plan.measures["more"].parameters["model"]) == pytest.approx(doubles.mean())
    assert outcome.decided["a"].counts[0] == (doubles > doubles.mean()).sum()
    assert do(recipe, texts, store, filters(**MORE)).effort.measured == {}
    both = do(Recipe.parse(MEANS), texts, store, filters(**MORE))
    share = evidence(both, store, "more", texts)["above"].drop_nulls().mean()
    made = resolve(Recipe.parse(MEANS), texts, filters(**MORE), store).models["later"]
    digest = store.json(f"{made.folder}/model.json")["weights"]
    assert loaded(digest) == pytest.approx(share)


def test_models_in_a_circle_are_refused(texts, store, filters):
    text = "{models: {m: {mean_of: {of: more.above}}}, signals: {more: {above: {of: length.chars, model: m}}}, stages: {a: {}}}"
    with pytest.raises(RecipeError, match=r"evidence in a circle: models\.m -> more -> models\.m"):
        resolve(Recipe.parse(text), texts, filters(**MORE), store)


def test_only_the_rows_drawn_are_measured_for_a_model(tmp_path, store, filters, do):
    pl.DataFrame({"text": [f"{number:x}" * 3 for number in range(2000)]}).write_parquet(tmp_path / "many.parquet", row_group_size=300)
    pool = Pool.open(tmp_path / "many.parquet")
    text = "{models: {m: {mean_of: {of: length.chars, sample: 0.1}}}, signals: {more: {above: {of: length.chars, model: m}}}, "
    outcome = do(text + "stages: {a: {keep: {random: 50, seed: 1}}}, subsets: [a]}", pool, store, filters(**MORE))
    measured = outcome.effort.measured["length"]
    assert 140 < measured < 260  # 200 +- 4.5 standard deviations
    assert set(outcome.effort.measured) == {"length"}
    made = store.path(store.json(f"{outcome.plan.models['m'].folder}/model.json")["folder"])
    assert load_file(made / "weights.safetensors")["rows"].tolist() == [measured]  # the model saw those and no others


def test_a_model_of_other_rows_reads_their_evidence_and_they_stay_in_the_pool(texts, store, filters, do, tmp_path):
    pl.DataFrame({"text": ["lorem ipsum", "abc"]}).write_parquet(tmp_path / "good.parquet")
    text = """
        errors_at_most: 1.0
        models: {m: {mean_of_others: {good: good.parquet, of: length.chars}}}
        signals: {more: {above: {of: length.chars, model: m}}}
        stages: {a: {keep: more.above}}
        subsets: [a]
    """
    outcome = do(Recipe.parse(text, base=tmp_path), texts, store, filters(**MORE))
    assert loaded(outcome.plan.measures["more"].parameters["model"]) == 7.0
    assert "unseen" not in outcome.decided
    assert outcome.decided["a"].counts[0] == 2


def test_a_sketch_reads_evidence_of_both_pools(texts, store, filters, do, tmp_path):
    pl.DataFrame({"text": ["!", "12345678901", "123"]}).write_parquet(tmp_path / "v1.2.parquet")
    text = """
        errors_at_most: 1.0
        signals: {lengths: {as_long: {of: length.chars}}}
        stages:
          once: {keep: {one_per: lengths}}
          new: {keep: {one_per: lengths, against: v1.2.parquet}}
        subsets: [once, new]
    """
    outcome = do(Recipe.parse(text, base=tmp_path), texts, store, filters(**MORE))
    lengths = [len(text) for text in ["abc", "abcd", "xy", "lorem ipsum", "", "q"]]
    assert outcome.decided["once"].counts[0] == len(set(lengths)) + 1  # a row without a key stands alone
    assert outcome.decided["new"].counts[0] == len({*lengths} - {11, 3}) + 1
    assert outcome.effort.measured["length of v1.2.parquet"] == 3


def test_changed_code_of_what_reads_evidence_is_tried_on_stored_rows(texts, store, filters, do):
    do(ADDED, texts, store, filters(**MORE))
    outcome = do(ADDED.replace("> 6", "> 5"), texts, store, filters("2", **MORE))
    assert set(outcome.effort.measured) == set()
