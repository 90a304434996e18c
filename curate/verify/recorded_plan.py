"""The plan of a finished run as its store alone tells it: the resolved recipe, the evidence's names and columns; no filter, no model."""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import polars as pl

from curate.errors import StoreError
from curate.grouping import Grouping
from curate.nodes import node_of
from curate.pieces import open_pool
from curate.plan import LAWFUL, POOL, REVOKED, UNSEEN, Groups, Lawful, Measure, Node, Outside, Plan, Reference, TakenDown
from curate.recipe import Recipe
from curate.signal import Signal
from curate.store import Store
from curate.verify.findings import RESTORE

ROOTS = (POOL, REVOKED, LAWFUL, UNSEEN)
"""The pool as stages see it: all of it, or what is left by each of these."""
_PLAIN = (pl.Boolean, pl.String, pl.Binary, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
DTYPES: dict[str, pl.DataType] = {str(dtype): dtype() for dtype in (*_PLAIN, pl.Float32, pl.Float64, pl.Date)}


class StoredSignal(Signal):
    """A signal of which only stored evidence counts: it measures nothing."""

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        """Travel with its columns, not by the path of code."""
        return (stored_signal, (self.name, self.writes))

    def measure(self, rows: pl.DataFrame, parameters: Mapping[str, Any]) -> pl.DataFrame:  # noqa: ARG002  as every signal
        """StoreError: evidence is missing."""
        _unstored("the evidence of some rows is not stored here, and they were decided by it", self.name)


class StoredGrouping(Grouping):
    """A grouping of which only stored links count: it links nothing."""

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        """Travel without code."""
        return (stored_grouping, (self.name, self.sketch, self.threshold))


def stored_signal(name: str, writes: dict[str, pl.DataType]) -> StoredSignal:
    """A signal by the folder of its evidence and its columns."""
    return StoredSignal(name, "", 0, (), (), writes, (), None, pl.DataFrame, {}, {})


def stored_grouping(name: str, sketch: Signal, threshold: float) -> StoredGrouping:
    """A grouping by its name, sketch and threshold."""
    return StoredGrouping(name, "", 0, sketch, _links, threshold, {})


def _links(*_: Any, **__: Any) -> NoReturn:
    _unstored("keys that were decided about were never linked", "links")


def _unstored(what: str, where: str) -> NoReturn:
    raise StoreError(what, where=where, fix=RESTORE)


def recorded_plan(store: Store, folder: str) -> Plan:
    """The plan of runs/NAME-ID. StoreError where run.json and the recipe do not agree."""
    facts, written = store.json(f"{folder}/run.json"), store.json(f"{folder}/recipe.json")
    recipe = Recipe.parse(written["text"], where=f"{folder}/recipe.json")
    if not recipe.digest == written["digest"] == facts["recipe"]:
        _unstored("the recipe is not that of its digest", f"{folder}/recipe.json")
    measures = {name: _measure(store, name, one["folder"], one["parameters"]) for name, one in facts["measures"].items()}
    groups = {
        name: Groups(
            name,
            stored_grouping(name, measures[one["sketch"]].signal, one["threshold"]),
            measures[one["sketch"]],
            {},
            one["threshold"],
            one["folder"],
        )
        for name, one in facts["groups"].items()
    }
    nodes = {POOL: replace(node_of(None, POOL, "pool", (), None, {}), id=facts["nodes"][POOL]["id"])}
    for name in facts["order"][1:]:
        nodes[name] = _node(name, facts, recipe, nodes, folder)
    references = {stage: _reference(store, one, recipe) for stage, one in facts.get("references", {}).items()}
    return Plan(recipe, open_pool(store, facts["pool"]), nodes, measures, groups, {}, {}, references)


def _node(name: str, facts: Mapping[str, Any], recipe: Recipe, nodes: Mapping[str, Node], folder: str) -> Node:
    held, parents = facts["nodes"][name], tuple(facts["nodes"][name]["parents"])
    rule: Any
    asked: tuple[str, ...]
    if name in ROOTS:
        lists = sorted(f"{one['folder']}/rows.json" for one in facts["models"].values() if one["rows"] and one["trusts"])
        if name == LAWFUL and recipe.restricted is None:
            _unstored("the recipe restricts nothing, and the run did", f"{folder}/run.json")
        own = {REVOKED: TakenDown(), UNSEEN: Outside(tuple(lists)), LAWFUL: recipe.restricted and Lawful(recipe.restricted)}
        rule, combinator, asked = own[name], "after", (POOL,)
    else:
        stage = recipe.stages[name]
        rule, combinator, asked = stage.rule, stage.combinator, stage.parents
        if held["rule"] != (rule.text if rule else None):
            _unstored(f"stage {name} has another rule than in the recipe", f"{folder}/run.json")
    alike = [there == parent or (parent == POOL and there in ROOTS) for there, parent in zip(parents, asked, strict=False)]
    if combinator != held["combinator"] or len(parents) != len(asked) or not all(alike):
        _unstored(f"stage {name} starts from others than in the recipe", f"{folder}/run.json")
    return replace(node_of(None, name, combinator, parents, rule, nodes), id=held["id"])


def _measure(store: Store, name: str, folder: str, parameters: dict[str, Any]) -> Measure:
    kind, _, fingerprint = folder.removeprefix("signals/").rpartition("-")
    stored = store.json(f"{folder}/signal.json")
    if stored is None:
        _unstored("what the evidence's columns are is not stored", f"{folder}/signal.json")
    writes = {column: _dtype(text, folder) for column, text in stored["columns"].items() if column != "error"}
    return Measure(name, kind, stored_signal(folder, writes), parameters, fingerprint)


def _dtype(text: str, folder: str) -> pl.DataType:
    """The dtype that polars writes so."""
    if found := re.fullmatch(r"Enum\(categories=(\[.*\])\)", text, re.DOTALL):
        return pl.Enum(ast.literal_eval(found[1]))
    if text not in DTYPES:
        _unstored(f"no column can be of the kind {text}", f"{folder}/signal.json")
    return DTYPES[text]


def _reference(store: Store, held: Mapping[str, Any], recipe: Recipe) -> Reference:
    measures = {name: _measure(store, name, folder, {}) for name, folder in held["measures"].items()}
    lawful = Lawful(recipe.restricted) if held["lawful"] and recipe.restricted else None
    return Reference(open_pool(store, held["pool"]), measures[held["sketch"]], measures, lawful)
