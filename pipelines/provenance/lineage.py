"""From a score back: conditions, evaluation items, subset, recipe, run, stages, rows, sources, and the models that chose them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from curate import ledger
from curate.errors import CeterisError
from curate.pieces import groups_of, open_pool
from curate.plan import POOL
from curate.pool import Pool
from curate.record import Run
from curate.store import Store
from curate.takedown import revoked
from curate.takedown.tombstones import hosts
from pipelines.documents.facts import Facts
from pipelines.provenance.trained import Mask, Score, member_lists, score_at, stage_of, taken_down_since, trained_rows

AGAINST = "against"


@dataclass(frozen=True)
class Lineage:
    """All that one score rests on. Parts that are not known any more are None, and `notes` say why."""

    score: dict[str, Any]
    conditions: dict[str, Any]
    items: dict[str, Any]
    run: dict[str, Any]
    recipe: dict[str, Any]
    pool: dict[str, Any]
    subset: dict[str, Any] | None
    stages: list[dict[str, Any]]
    rows: int | None
    sources: dict[str, list[tuple[str, int]]]
    models: list[dict[str, Any]]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return dict(vars(self))


@dataclass(frozen=True)
class Traced:
    """One score's lineage; or the two of a verdict's line, candidate and control, with the `verdict` {file, answer, difference, ...}."""

    lineages: list[Lineage]
    verdict: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-able; of one score the lineage itself."""
        if len(self.lineages) == 1:
            return self.lineages[0].to_json()
        return {"verdict": self.verdict, "candidate": self.lineages[0].to_json(), "control": self.lineages[1].to_json()}


def trace(store: Store, words: Sequence[str], run: str | None = None, seed: int | None = None) -> Traced:
    """What a score rests on, or the two arms of a verdict's line, CANDIDATE against CONTROL. `words` are those of the command line, see
    `trained.score_at`. Reads only; checks the chain of the run's ledger. CeterisError where there is no such score, or where the two were
    never judged against each other."""
    if AGAINST not in words:
        return Traced([_lineage(store, score_at(store, words, run, seed))])
    at = list(words).index(AGAINST)
    candidate, control = (score_at(store, side, run, seed) for side in (words[:at], words[at + 1 :]))
    return Traced([_lineage(store, candidate), _lineage(store, control)], _line(store, candidate, control))


def _line(store: Store, candidate: Score, control: Score) -> dict[str, Any]:
    """The line of the verdict, and the `delta` that it was judged with: of those of its run the one with the largest family, and of
    several judged as its evaluation wrote down how, if there is one."""
    ids, found = (candidate.arm["id"], control.arm["id"]), list[tuple[int, bool, str, dict[str, Any]]]()
    kept = store.json(f"{candidate.conditions}/scale.json") or {}
    written = {**kept.get("record", {}), **store.json(candidate.entry).get("beside", {})}
    written |= written.get("headline", {})
    for key in verdicts_of(store, candidate.run):
        judged = store.json(key)
        how = {"delta": judged["delta"], "analysis": judged["analysis"], **({"alike": judged["alike"]} if judged["alike"] else {})}
        as_said = all(written.get(part, value) == value for part, value in how.items())
        about = (len(judged["contrasts"]), as_said, key)
        lines = [one for one in judged["contrasts"] if (one["candidate"], one["control"]) == ids]
        found += [(*about, {**one, "delta": judged["delta"]}) for one in lines]
    if not found:
        what = f"{candidate.arm['name']} was not judged against {control.arm['name']}"
        raise CeterisError(what, where=candidate.run, fix="run `curate compare` first, or name one of the two")
    *_, key, line = max(found, key=lambda one: one[:3])
    return {"file": key, **line, "candidate": candidate.arm["name"], "control": control.arm["name"]}


def verdicts_of(store: Store, run: str) -> list[str]:
    """The keys of the verdicts of a run."""
    return [key for key in store.storage.list(f"{run}/verdict-") if key.endswith(".json")]


def _lineage(store: Store, score: Score) -> Lineage:
    run, notes = Run(store, score.run), list[str]()
    stage = stage_of(run, score.arm)
    facts = Facts(run, stage or POOL)
    mask, others, how = trained_rows(run, score, member_lists(store))
    notes.append(f"rows: {how}")
    if others:
        notes.append(f"{others:,} rows are of the pools that its models learned from: {', '.join(str(pool.root) for pool in _taught(run))}")
    where = open_pool(store, score.pool)
    sources: dict[str, list[tuple[str, int]]] = {}
    if mask is not None:
        refused = revoked.revoked(store).of_pool(run.pool)
        if gone := int(mask[refused].sum()):
            notes.append(f"{gone:,} of these rows were taken down since; their sources are not told")
            mask = mask & ~np.isin(np.arange(len(mask)), refused)
        try:
            sources = sources_of(run, mask)
        except CeterisError as error:
            notes.append(f"sources: {error.what} ({error.where})")
    training = store.json(f"{score.key}/train.json")
    if training is None:
        notes.append("the score's folder is not there, or not all of it")
    if since := taken_down_since(store, score):
        by = ", ".join(f"{rows:,} by request {number}" for number, rows in since.items())
        notes.append(f"revoked: {sum(since.values()):,} rows of this subset since it was trained on them ({by})")
    if (request := revoked.must_be_made_again(store).get(score.key.rpartition("/")[0])) is not None:
        notes.append(f"it rests on rows that were taken down by request {request}: it must be trained again")
    named = run.facts["subsets"]
    subset = score.arm["name"] if score.arm["name"] in named else POOL if score.arm["kind"] == "pool" else None
    return Lineage(
        score={
            "key": score.key,
            "arm": score.arm["name"],
            "kind": score.arm["kind"],
            "seed": score.seed,
            "entry": score.entry,
            **{name: training[name] for name in ("weights", "answers", "rows", "copies", "samples", "device") if name in (training or {})},
        },
        conditions=_conditions(store, score),
        items=_items(store, score),
        run={"folder": run.folder, "ledger": _head(store, run)},
        recipe={"name": run.facts["name"], "digest": run.facts["recipe"], "text": facts.recipe["text"]},
        pool={"key": score.pool, "path": str(where.root), "layout": where.layout, "rows": where.rows, "shards": len(where.shards)},
        subset={"name": subset, "digest": named[subset]} if subset else None,
        stages=_stages(facts),
        rows=None if mask is None else int(mask.sum()),
        sources=sources,
        models=_models(facts),
        notes=notes,
    )


def _taught(run: Run) -> list[Pool]:
    """The pools whose rows say what is good to the run's models."""
    keys = dict.fromkeys(model["rows"][0] for model in run.facts["models"].values() if model["rows"])
    return [open_pool(run.store, key) for key in keys]


def _head(store: Store, run: Run) -> str:
    """The head of the run's latest ledger; StoreError where its chain is broken."""
    key = sorted(one for one in store.storage.list(f"{run.folder}/ledger") if one.endswith(".jsonl"))[-1]
    return ledger.check(store.storage.get(key).decode(), where=f"{store.address}/{key}")


def _conditions(store: Store, score: Score) -> dict[str, Any]:
    held = store.json(f"{score.conditions}/conditions.json") or {}
    kept = {name: held[name] for name in ("scale", "device", "versions", "determinism", "initial weights") if name in held}
    return {"folder": score.conditions, "scale name": score.scale, **kept, "files of code": len(held.get("code", {}))}


def _items(store: Store, score: Score) -> dict[str, Any]:
    """The evaluation items that the score was asked: their digest, tasks, and how many occur in an arm's rows."""
    held, scale = store.json(f"{score.conditions}/conditions.json") or {}, store.json(f"{score.conditions}/scale.json") or {}
    record = scale.get("record", {})
    return {
        "digest": held.get("items"),
        "from": record.get("items"),
        "tasks": scale.get("tasks", []),
        "headline": record.get("headline", {}).get("tasks", []),
        "leaked": len(store.json(score.entry)["leaked"]),
    }


def _stages(facts: Facts) -> list[dict[str, Any]]:
    names = ("stage", "parents", "combinator", "rule", "in", "kept", "cut")
    return [{name: line[name] for name in names} for line in facts.stages]


def _models(facts: Facts) -> list[dict[str, Any]]:
    """The models whose evidence these stages asked for, with what each was made from."""
    used: dict[str, list[str]] = {}
    for signal in facts.signals:
        for value in signal.parameters.values():
            if isinstance(value, str):
                used.setdefault(value, []).append(signal.name)
    return [
        {
            "name": model.name,
            "kind": model.kind,
            "weights": model.weights,
            "folder": model.folder,
            "used by": used[model.weights],
            "made from": [str(open_pool(facts.run.store, key).root) for key in model.trained_on],
            "licence": model.card.get("licence"),
        }
        for model in facts.models
        if model.weights in used
    ]


def sources_of(run: Run, mask: Mask) -> dict[str, list[tuple[str, int]]]:
    """Of the rows in `mask` (by pool-wide number), how many have each source, host and licence as the pool writes them, and each licence
    class as it was measured; most first. PoolError where the pool's files have changed. One group of rows is read at a time."""
    pool, counts = run.unchanged, dict[str, dict[str, int]]()
    roles = [role for role in ("source", "url", "license") if role in pool.roles]
    for piece in run.pieces:
        for start, stop in groups_of(pool, piece):
            rows = start + np.flatnonzero(mask[piece.offset + start : piece.offset + stop])
            if rows.size and roles:
                frame = pool.read(pool.shards[piece.shard], roles=roles, rows=rows).frame
                if "url" in roles:
                    frame = frame.with_columns(hosts(frame["url"]).alias("host")).drop("url")
                for column in frame.get_columns():
                    _count(counts.setdefault(column.name, {}), column)
    for name, measure in run.facts["measures"].items():
        if measure["signal"] == "license":
            _classes(run, name, mask, counts.setdefault(f"{name}.class", {}))
    return {name: sorted(found.items(), key=lambda one: (-one[1], one[0])) for name, found in counts.items()}


def _classes(run: Run, name: str, mask: Mask, counts: dict[str, int]) -> None:
    parts, offset, measured = run.parts(name), 0, 0
    for shard in run.pool.shards:
        for part in parts.get(shard.digest, []):
            frame = run.store.frame(part, columns=["row", "class"])
            chosen = frame["class"].filter(pl.Series(mask[offset + frame["row"].to_numpy().astype(np.int64)]))
            measured += len(chosen)
            _count(counts, chosen)
        offset += shard.rows
    if (left := int(mask.sum()) - measured) > 0:
        counts["(not measured)"] = left


def _count(counts: dict[str, int], values: pl.Series) -> None:
    for value, rows in values.cast(pl.String).value_counts().iter_rows():
        counts[value or "(none)"] = counts.get(value or "(none)", 0) + rows
