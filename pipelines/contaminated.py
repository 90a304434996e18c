"""Which evaluation items the subsets of a run hold, so that a score can also be given without them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CeterisError
from curate.plan import POOL
from curate.record import Run

SIGNALS = ("contamination", "image_contamination")
_ITEMS = {"signal": pl.String, "subset": pl.String, "task": pl.String, "item": pl.UInt32, "rows": pl.UInt32}
_SUBSETS = {"signal": pl.String, "subset": pl.String, "rows": pl.Int64, "unknown": pl.Int64, "items": pl.Int64}


@dataclass(frozen=True)
class Contaminated:
    """`items`: {signal, subset, task, item, rows}: every item with which rows of a subset share n-grams, or whose image they show, by its
    number in the task's file, and how many rows. `subsets`: {signal, subset, rows, unknown, items}: rows of which it was not measured are
    unknown. `unchecked`: of each signal, by task, the items that were too short, or too plain, to be looked for.
    """

    items: pl.DataFrame
    subsets: pl.DataFrame
    unchecked: dict[str, dict[str, list[int]]]


def contaminated(run: Run, subsets: list[str] | None = None) -> Contaminated:
    """What the named subsets hold, or every subset of the run. CeterisError if the run measured no contamination."""
    signals = [name for name, measure in run.facts["measures"].items() if measure["signal"] in SIGNALS]
    if not signals:
        fix = 'name an evaluation_ngrams, or evaluation_images, under `models:`, and a stage with keep: "contamination.items == 0"'
        raise CeterisError("this run did not look for evaluation items", where=run.folder, fix=fix)
    items, counts = [pl.DataFrame(schema=_ITEMS)], []
    cards = {name: _card(run, name) for name in signals}
    for name, card in cards.items():
        evidence = run.evidence(name)
        for subset in subsets or list(run.facts["subsets"]):
            node = run.node_of(subset)
            codes = run.codes(node) if node != POOL else np.zeros(run.pool.rows, np.uint16)
            rows = pl.DataFrame({"row": np.flatnonzero(codes == 0).astype(np.uint64)})
            known = rows.join(evidence.filter(pl.col("items").is_not_null()), on="row", how="inner")
            found = _named(known["hits"].drop_nulls(), card["architecture"]["tasks"])
            items.append(found.select(signal=pl.lit(name), subset=pl.lit(subset), task="task", item="item", rows="rows"))
            counts.append((name, subset, rows.height, rows.height - known.height, found.height))
    return Contaminated(
        pl.concat(items), pl.DataFrame(counts, schema=_SUBSETS, orient="row"), {name: card["unchecked"] for name, card in cards.items()}
    )


def _card(run: Run, name: str) -> dict[str, Any]:
    """The card of the model that a signal used."""
    digest = run.facts["measures"][name]["parameters"]["model"]
    made = [run.store.json(f"{model['folder']}/model.json") for model in run.facts["models"].values()]
    found: list[dict[str, Any]] = [one["card"] for one in made if one and one["weights"] == digest]
    if not found:
        raise CeterisError(f"the model that {name} used is no longer in the store", where=run.folder, fix="run the recipe again")
    return found[0]


def _named(hits: pl.Series, tasks: list[tuple[str, int]]) -> pl.DataFrame:
    """{task, item, rows}: of the lists of item numbers through all tasks, how many have each."""
    lists = [np.empty(0, "<u4"), *(np.frombuffer(one, "<u4") for one in hits)]
    numbers, rows = np.unique(np.concatenate(lists), return_counts=True)
    begins = np.cumsum([0, *(size for _, size in tasks)])
    task = np.searchsorted(begins, numbers, side="right") - 1
    names = pl.Series([name for name, _ in tasks], dtype=pl.String).gather(task)
    schema = {"task": _ITEMS["task"], "item": _ITEMS["item"], "rows": _ITEMS["rows"]}
    return pl.DataFrame({"task": names, "item": numbers - begins[task], "rows": rows}, schema_overrides=schema)
