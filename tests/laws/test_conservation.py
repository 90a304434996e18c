"""Law 2: per stage, in = kept + dropped by reason + quarantined, as multisets of uids."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from curate.decisions import conserve
from curate.errors import ConservationError
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.run import Outcome
from curate.store import Store
from tests.laws.conftest import Runner


def test_every_stage_holds_every_row_of_the_pool_once(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    uids = [tuple(words) for words in run.uids().tolist()]
    for node in list(run.facts["nodes"])[1:]:
        codes, reasons = run.codes(node), run.decided(node).reasons
        assert len(codes) == len(uids)
        by_kind: Counter[str] = Counter(reasons[code].kind for code in codes.tolist())
        assert sum(by_kind.values()) == run.pool.rows
        assert [Counter(codes.tolist())[code] for code in range(len(reasons))] == list(run.decided(node).counts)


def test_what_enters_a_stage_leaves_it_kept_dropped_or_quarantined(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    uids = [tuple(words) for words in run.uids().tolist()]
    stages = [(name, node) for name, node in run.facts["nodes"].items() if node["combinator"] == "after"]
    assert stages
    for name, node in stages:
        (parent,) = node["parents"]
        reasons = run.decided(name).reasons
        entered = Counter(uids if parent == "pool" else [uid for uid, code in zip(uids, run.codes(parent), strict=True) if code == 0])
        left = Counter(uid for uid, code in zip(uids, run.codes(name), strict=True) if code == 0 or reasons[code].stage == name)
        assert left == entered


def test_subsets_are_the_rows_that_their_stage_kept(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    for name in run.facts["subsets"]:
        kept = run.uids()[run.codes(name) == 0] if name != "pool" else run.uids()
        assert sorted(map(tuple, kept.tolist())) == list(map(tuple, run.subset(name).uids.tolist()))


def test_a_subset_has_the_copies_that_its_stage_gives_each_row(undisturbed: tuple[Store, Outcome]) -> None:
    store, outcome = undisturbed
    run = Run(store, outcome.folder)
    for line in run.funnel()[1:]:
        copies = run.copies(line["stage"])
        assert ((copies > 0) == (run.codes(line["stage"]) == 0)).all()
        assert int(copies.sum()) == line.get("samples", line["kept"])
        if line["stage"] in run.facts["subsets"]:
            used = {tuple(uid): times for uid, times in zip(run.uids().tolist(), copies.tolist(), strict=True) if times}
            subset = run.subset(line["stage"])
            assert used == dict(zip(map(tuple, subset.uids.tolist()), subset.copies.tolist(), strict=True))


def test_a_stage_that_draws_other_than_was_counted_is_refused(text_folder: Path, tmp_path: Path, do: Runner) -> None:
    recipe = Recipe.parse("{stages: {drawn: {keep: {soft_cap: pool.quality, penalty: 1, count: 500, seed: 0}}}, subsets: [drawn]}")
    outcome = do(recipe, Pool.open(text_folder), tmp_path / "store")
    pool, good = outcome.decided["pool"], outcome.decided["drawn"]
    total = (pool.counts[0], *pool.sums[0])
    assert good.samples == 500
    conserve(outcome.plan.nodes["drawn"], good, total, outcome.decided)
    with pytest.raises(ConservationError, match="499 samples were drawn, not the 500 counted before"):
        conserve(outcome.plan.nodes["drawn"], replace(good, samples=499), total, outcome.decided)


@pytest.mark.parametrize("harm", ["a row too few", "another row"])
def test_a_stage_that_loses_or_swaps_a_row_is_refused(text_folder: Path, tmp_path: Path, do: Runner, harm: str) -> None:
    recipe = Recipe.parse('{stages: {long: {keep: "text_length.words > 5"}}, subsets: [long]}')
    outcome = do(recipe, Pool.open(text_folder), tmp_path / "store")
    pool, good = outcome.decided["pool"], outcome.decided["long"]
    total = (pool.counts[0], *pool.sums[0])
    node = outcome.plan.nodes["long"]
    conserve(node, good, total, outcome.decided)
    if harm == "a row too few":
        bad = replace(good, counts=(good.counts[0] - 1, *good.counts[1:]))
    else:
        bad = replace(good, sums=((good.sums[0][0] ^ 1, good.sums[0][1]), *good.sums[1:]))
    with pytest.raises(ConservationError, match="stage long"):
        conserve(node, bad, total, outcome.decided)
