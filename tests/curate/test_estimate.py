import polars as pl
import pytest

from curate.estimate import forecast
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import resolve
from curate.store import Store

RECIPE = """
errors_at_most: 1.0
models: {m: {net: {trusted: trusted.parquet, width: 2}}}
signals: {s: {scored: {model: m}}, twins: {alike: {threshold: 0.9}}}
stages:
  some: {keep: "length.chars > 2 and pool.quality > 0.1"}
  unique: {after: some, keep: {one_per: twins, prefer: [s.score desc, length.chars asc]}}
  both: {all_of: [some, unique]}
  drawn: {keep: {random: 3, seed: 1}}
subsets: [both, drawn]
"""


@pytest.fixture
def recipe(tmp_path):
    pl.DataFrame({"text": ["abc", "q"]}).write_parquet(tmp_path / "trusted.parquet")
    return Recipe.parse(RECIPE, base=tmp_path)


def test_stages_ask_for_their_signals_in_order(recipe, texts, store, filters):
    found = forecast(resolve(recipe, texts, filters(), store), store)
    assert found.stages == {
        "pool": (),
        "unseen": ("unseen.content",),
        "some": ("length",),
        "unique": ("s", "length", "twins.sketch"),
        "both": (),
        "drawn": (),
    }
    assert {name: one.rows for name, one in found.evidence.items()} == {"unseen.content": 0, "length": 0, "s": None, "twins.sketch": 0}
    assert all(one.seconds_per_row is None for one in found.evidence.values())
    assert found.advice == ()


def test_a_run_leaves_its_coverage_and_cost(recipe, texts, store, filters, do, tmp_path):
    do(recipe, texts, store)
    before = store.storage.list("")
    found = forecast(resolve(recipe, texts, filters(), store), store)
    assert {name: one.rows for name, one in found.evidence.items()} == {"unseen.content": 12, "length": 9, "s": 4, "twins.sketch": 4}
    assert all(one.seconds_per_row > 0 for one in found.evidence.values())
    assert store.storage.list("") == before
    pl.DataFrame({"text": ["z"], "quality": [1.0]}).write_parquet(tmp_path / "new.parquet")
    other = forecast(resolve(recipe, Pool.open(tmp_path / "new.parquet"), filters(), store), store)
    assert other.evidence["length"].rows == 0
    assert other.evidence["length"].seconds_per_row == found.evidence["length"].seconds_per_row


ORDER = """
signals: {cheap: {length: {limit: 1}}, dear: {length: {limit: 2}}}
stages:
  first: {keep: "dear.chars > 1"}
  second: {after: first, keep: "cheap.chars > 1"}
  third: {after: first, keep: {top: cheap.chars, count: 2}}
  fourth: {after: second, keep: "dear.chars > 2"}
subsets: [second]
"""


@pytest.mark.parametrize(("seconds", "advice"), [(21.0, ["first costs 2 s a row and runs before second, 0.1 s a row"]), (9.0, [])])
def test_advice_names_what_is_dear_and_runs_before_what_is_cheap(texts, filters, seconds, advice):
    store = Store.open(f"memory:{seconds}")
    plan = resolve(Recipe.parse(ORDER), texts, filters(), store)
    for name, cost in (("dear", seconds - 1), ("cheap", 1.0)):
        folder = plan.measures[name].folder
        store.publish(folder, [store.put_frame(folder, "x", pl.DataFrame({"row": range(10)}), scope="s", seconds=cost)], 1)
    found = forecast(plan, store).advice
    assert [text.split(":")[0] for text in found] == advice
    assert all(text.endswith("the other order would measure less") for text in found)
