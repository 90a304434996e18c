"""The laws hold when rows were taken down: what is left is decided as if they had never been there, and nothing of it is measured again."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.audit import why
from curate.digest import hex_of, words_of_hex
from curate.executor import InProcess
from curate.plan import POOL, REVOKED
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome
from curate.store import Store
from curate.takedown.gone import pools_of
from curate.takedown.named_rows import Plain
from curate.takedown.request import look, take_down
from curate.takedown.revoked import revoked
from pipelines.provenance.verify import verify
from tests.laws.conftest import TEXT_RECIPE, Runner

Taken = tuple[Store, Outcome, Outcome, set[str]]


@pytest.fixture(scope="module")
def texts(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The texts under uids of their own, so that a pool without some of them calls the others the same."""
    folder = tmp_path_factory.mktemp("named")
    for path in sorted(text_folder.glob("*.parquet")):
        uids = [f"{int(path.stem) << 64 | row:032x}" for row in range(pl.read_parquet(path).height)]
        pl.read_parquet(path).with_columns(uid=pl.Series(uids)).write_parquet(folder / path.name, row_group_size=50)
    return folder


@pytest.fixture(scope="module")
def taken(texts: Path, do: Runner, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """The recipe of every rule run, 30 rows taken down, the recipe run again."""
    place, recipe, pool = tmp_path_factory.mktemp("taken") / "store", Recipe.parse(TEXT_RECIPE, where="texts"), Pool.open(texts)
    first = do(recipe, pool, place)
    run = Run(Store.open(place), first.folder)
    chosen = run.subset("best").hex[::9] + run.subset("rest").hex[::9] + hex_of(run.uids())[::29]
    found = look(run.store, Plain(words_of_hex(sorted(set(chosen)))))
    take_down(found, who="w", reason="r", time="t")
    return Store.open(place), first, do(recipe, pool, place), set(chosen)


def test_indifference_it_decides_as_if_they_had_never_been_there(taken: Taken, texts: Path, do: Runner, tmp_path: Path) -> None:
    _, _, again, chosen = taken
    whole = pl.concat([pl.read_parquet(path) for path in sorted(texts.glob("*.parquet"))])
    (tmp_path / "pool").mkdir()
    whole.filter(~pl.col("uid").is_in(sorted(chosen)))[::-1].write_parquet(tmp_path / "pool" / "0.parquet")
    bare = do(Recipe.parse(TEXT_RECIPE, where="texts"), Pool.open(tmp_path / "pool"), tmp_path / "store")
    assert again.subsets == bare.subsets
    for stage, decided in bare.decided.items():
        if stage != POOL:
            assert again.decided[stage].kept == decided.kept
            assert again.decided[stage].samples == decided.samples


def test_rejudgement_evidence_and_recipe_alone_decide_the_same(taken: Taken, texts: Path, do: Runner, tmp_path: Path) -> None:
    store, _, again, _ = taken
    shutil.copytree(store.address, tmp_path / "store")
    for folder in (tmp_path / "store" / "decisions").iterdir():
        shutil.rmtree(folder)
    beside = do(Recipe.parse(TEXT_RECIPE, where="texts"), Pool.open(texts), tmp_path / "store")
    assert beside.subsets == again.subsets
    assert beside.effort.measured == {}


def test_conservation_counts_and_uids_add_up_in_the_runs_of_before_and_after(taken: Taken) -> None:
    store, first, again, chosen = taken
    for outcome in (first, again):
        run = Run(store, outcome.folder)
        numbers, indexed = revoked(store).of_pool(run.pool), store.json(f"{run.facts['pool']}/indexed.json")
        assert len(numbers) == len(chosen)
        lines = {line["stage"]: line for line in run.funnel()}
        assert [(reason["kind"], reason["rows"]) for reason in lines[REVOKED]["reasons"]] == [(REVOKED, len(chosen))]
        for stage in run.facts["nodes"]:
            if stage == POOL:
                continue
            decided, codes = run.decided(stage), run.codes(stage)
            assert np.bincount(codes, minlength=len(decided.reasons)).tolist() == list(decided.counts)
            assert [sum(pair[word] for pair in decided.sums) % (1 << 64) for word in (0, 1)] == indexed["sums"]
            assert {decided.reasons[code].kind for code in codes[numbers]} == {REVOKED}
            if decided.samples is not None:
                assert int(run.copies(stage).sum()) == decided.samples
            line = lines[stage]
            if run.facts["nodes"][stage]["combinator"] == "after":
                assert line["in"] == line["kept"] + sum(reason["rows"] for reason in line["reasons"])


def test_frugality_nothing_is_measured_again(taken: Taken) -> None:
    assert taken[2].effort.measured == {}
    assert taken[2].effort.linked == {name: 0 for name in taken[2].effort.linked}


def test_provenance_every_row_answers_and_those_say_revoked(taken: Taken, texts: Path) -> None:
    store, first, again, chosen = taken
    told: Counter[str] = Counter()
    for outcome in (first, again):
        run = Run(store, outcome.folder)
        for uid in [*sorted(chosen)[:5], *(uid for uid in hex_of(run.pool.uids(run.pool.shards[0])[0])[::17] if uid not in chosen)]:
            stages = why(run, uid)["stages"]
            told[stages[REVOKED]["kind"]] += 1
            assert (stages[REVOKED]["kind"] == REVOKED) == (uid in chosen)
    assert told[REVOKED] == 10
    assert told["in"] >= 10


def test_all_of_it_verifies_after_one_request_and_after_two(taken: Taken, tmp_path: Path) -> None:
    shutil.copytree(taken[0].address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert verify(store, executor=InProcess()).findings == []
    run = Run(store, taken[2].folder)
    take_down(look(store, Plain(words_of_hex(run.subset("both").hex[:3]))), who="w", reason="r", time="t")
    found = verify(Store.open(tmp_path / "store"), executor=InProcess())
    assert found.findings == []
    assert found.checked["decisions"]


def test_a_request_that_names_nothing_here_changes_nothing(texts: Path, do: Runner, tmp_path: Path) -> None:
    recipe, pool = Recipe.parse("{stages: {basic: {keep: 'text_length.words > 2'}}, subsets: [basic]}"), Pool.open(texts)
    first = do(recipe, pool, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    take_down(look(store, Plain(domains=frozenset(["example.org"]))), who="w", reason="r", time="t")
    assert do(recipe, pool, tmp_path / "store").folder == first.folder
    assert store.json(f"{pools_of(store)[0]}/settled.json") == {"requests": 1, "pool": pools_of(store)[0]}


def test_an_entry_that_only_they_had_is_not_named_any_more(do: Runner, tmp_path: Path) -> None:
    sources = ["one's own page", *["web"] * 8, "books"]
    rows = pl.DataFrame({"uid": [f"{row:032x}" for row in range(10)], "text": [f"text {row}" for row in range(10)], "source": sources})
    (tmp_path / "pool").mkdir()
    rows.write_parquet(tmp_path / "pool" / "0.parquet")
    recipe = Recipe.parse("{stages: {even: {keep: {balance: pool.source, at_most: 2, seed: 1}}}, subsets: [even]}")
    outcome = do(recipe, Pool.open(tmp_path / "pool"), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    take_down(look(store, Plain(words_of_hex([f"{0:032x}", f"{1:032x}"]))), who="w", reason="r", time="t")
    cut = Run(store, outcome.folder).decided("even").cut
    assert cut is not None
    assert cut.counts is not None
    assert dict(store.frame(cut.counts).rows()) == {"books": 1, "web": 8}
