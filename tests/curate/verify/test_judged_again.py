"""Decisions, evidence, cuts, counts and rules that were forged with all their digests are found by judging again."""

from typing import Any

import polars as pl
import pytest

from tests.curate.verify.forging import forged, nodes, part_rewritten, rewritten, verified, whats


def test_a_decision_that_was_forged_with_all_its_digests_is_found(store, whole):
    node = nodes(whole)["some"]
    key = part_rewritten(
        store,
        f"decisions/{node[:16]}/manifest.json",
        0,
        lambda frame: frame.with_columns(
            code=pl.when(pl.int_range(pl.len()) == 1).then(pl.col("code") + 1).otherwise("code").cast(pl.UInt16)
        ),
    )
    forged(store)
    found = verified(store)
    (first, *_) = [one for one in found.findings if one.where == key]
    assert first.place == "line 1, which is shard 0 row 1"
    assert "stored as dropped by some: length.chars > 0, and judged again it is kept" in first.what


def test_evidence_that_was_forged_is_found_by_the_decisions(store, whole):
    (manifest,) = [key for key in store.storage.list("signals/length-") if "/manifests/" in key]
    part_rewritten(store, manifest, 0, lambda frame: frame.with_columns(chars=pl.lit(0, pl.UInt32)))
    forged(store)
    assert any("stage some: stored as kept, and judged again it is dropped by some" in line for line in whats(verified(store)))


def test_missing_evidence_is_found(store):
    (manifest,) = [key for key in store.storage.list("signals/length-") if "/manifests/" in key]

    def fewer(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "parts": value["parts"][1:]}

    rewritten(store, manifest, fewer)
    forged(store)
    found = verified(store).findings
    assert {(one.where, one.place) for one in found} == {(manifest.rpartition("/manifests/")[0], "shard 0, rows 0 to 7")}
    assert "the evidence of some rows is not stored here" in found[0].what


@pytest.mark.parametrize(
    ("stage", "change", "what"),
    [
        ("best", {"value": 0.1}, "its cut's value is 0.1, and judged again"),
        ("best", {"kept": 9}, "its cut's kept is 9, and judged again"),
        ("drawn", {"best": 0.1}, "stage drawn"),
        ("even", {"note": "t is 7"}, "its cut's note is t is 7, and judged again t is 3"),
        (
            "few",
            {"last": [1, 1, 1]},
            "stage few: stored as dropped by few: random 0.5, seed 3, and judged again it is kept (5 such rows in this file)",
        ),
    ],
)
def test_a_cut_that_was_forged_is_found(store, whole, stage, change, what):
    def other(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "cut": {**value["cut"], **change}}

    rewritten(store, f"decisions/{nodes(whole)[stage][:16]}/manifest.json", other)
    forged(store)
    assert any(what in line for line in whats(verified(store))), whats(verified(store))


def test_counts_funnels_and_subsets_that_were_forged_are_found(store, whole):
    def counted(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "counts": [value["counts"][0] + 1, value["counts"][1] - 1, *value["counts"][2:]]}

    rewritten(store, f"decisions/{nodes(whole)['web'][:16]}/manifest.json", counted)
    (other,) = [
        key.rpartition("/")[0] for key in store.storage.list("runs/") if key.endswith("run.json") and "even" in store.json(key)["nodes"]
    ]
    (first, second) = [digest for name, digest in store.json(f"{other}/run.json")["subsets"].items() if name in ("even", "few")]
    forged(store)
    assert any("stage web: its counts are" in line for line in whats(verified(store)))
    rewritten(
        store,
        f"decisions/{nodes(whole)['web'][:16]}/manifest.json",
        lambda value: {**value, "counts": [value["counts"][0] - 1, value["counts"][1] + 1, *value["counts"][2:]]},
    )
    rewritten(store, f"{other}/run.json", lambda value: {**value, "subsets": {**value["subsets"], "even": second, "few": first}})
    forged(store)
    found = whats(verified(store))
    assert sum("comes out as" in line for line in found) == 2, found


def test_a_rule_that_is_not_the_recipes_is_found(store):
    for key in [key for key in store.storage.list("runs/") if key.endswith("recipe.json")]:
        rewritten(store, key, lambda value: {**value, "text": value["text"].replace("length.chars > 0", "length.chars > 1")})
    forged(store)
    assert any("the recipe is not that of its digest" in line for line in whats(verified(store)))
