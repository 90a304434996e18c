"""The main flow: index the pool, make the models, plan, decide in passes, store subsets, close the ledger."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate import ledger, subset
from curate.catalogue import Catalogue
from curate.decisions import Decided, folder, funnel, load, rows_in
from curate.digest import digest_of, sha256
from curate.executor import Executor, InProcess
from curate.failpoint import reach
from curate.named_files import files_of
from curate.passes import Effort, Passes
from curate.pieces import index_pool, pieces_of, pool_key, read_uids, remember_place
from curate.plan import POOL, Outside, Plan, root_of
from curate.planner import make_plan
from curate.pool import Pool
from curate.prepare import check_code, made_weights, make_models, missing_models, shelf_of
from curate.recipe import Recipe
from curate.seal import sealed
from curate.storage import LocalStorage
from curate.store import Store, named
from curate.subset import Subset
from curate.takedown.request import settle
from curate.takedown.revoked import revoked
from curate.work import shelve_all

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What a run decided and what it cost. `folder` is runs/NAME-ID; `subsets` are digests by stage name."""

    folder: str
    plan: Plan
    decided: dict[str, Decided]
    subsets: dict[str, str]
    effort: Effort


def run(recipe: Recipe, pool: Pool, catalogue: Catalogue, store: Store, executor: Executor, progress: Progress) -> Outcome:
    """Select: every subset the recipe names, with the evidence and reason of every row. Measures only what no earlier run has."""
    if not isinstance(executor, InProcess):
        store.path("")  # workers cannot see this process's memory
    with store.writer() as epoch:
        facts = ledger.Ledger()
        started = time.perf_counter()
        index_pool(pool, store, executor, progress)
        settle([pool], store, epoch)
        effort, made, adopted = Effort(), list[str](), list[str]()
        while missing := missing_models(plan := _settled(recipe, pool, catalogue, store, epoch), store):
            adopted += check_code(plan, catalogue, store)
            passes = Passes(plan, store, executor, epoch, "models", shelf_of(plan.models, store), progress, effort=effort)
            for trained in missing:
                for fed in trained.fed:
                    remember_place(fed.pool, store)
                    if fed.columns or fed.lawful:
                        passes.feed(fed, trained.sample if fed.pool is trained.over else 1.0, f"rows for the model {trained.name}")
            made += make_models(plan.models, store, executor)
        for trained in plan.models.values():
            for fed in trained.fed:
                remember_place(fed.pool, store)
        for reference in plan.references.values():
            index_pool(reference.pool, store, executor, progress)
        settle([one.pool for one in plan.references.values()], store, epoch)
        shelf = shelf_of(plan.models, store)
        shelve_all(shelf, store)
        adopted += check_code(plan, catalogue, store)
        undecided = {folder(node.id) for node in plan.nodes.values() if load(store, node.id) is None}
        evidence = {measure.folder for measure in plan.measures.values()} | {groups.folder for groups in plan.groups.values()}
        evidence |= {measure.folder for reference in plan.references.values() for measure in reference.measures.values()}
        evidence |= {measure.folder for trained in plan.models.values() for fed in trained.fed for measure in fed.measures.values()}
        store.sweep(sorted(evidence | undecided))
        name = named(recipe.name, digest_of([plan.id, recipe.digest, asdict(recipe.evaluate) if recipe.evaluate else None]))
        passes = Passes(plan, store, executor, epoch, name, shelf, progress, effort=effort)
        decided = passes.decide_all()
        root = root_of(plan.nodes)
        wanted = {POOL: root, **{stage: stage for stage in recipe.subsets if stage != POOL}}
        subsets = {stage: _stored(store, plan, stage, decided[node]) for stage, node in wanted.items()}
        _record(
            facts,
            plan,
            decided,
            subsets,
            passes.effort,
            executor,
            {"made": made, "adopted": adopted, "epoch": epoch, "seconds": time.perf_counter() - started},
        )
        _save(store, f"runs/{name}", plan, decided, subsets, facts)
        store.sweep(())
        return Outcome(f"runs/{name}", plan, decided, subsets, passes.effort)


def resolve(recipe: Recipe, pool: Pool, catalogue: Catalogue, store: Store) -> Plan:
    """The plan with every model that the store already holds; the others stay pending."""
    known: tuple[dict[str, str], dict[str, str]] = ({}, {})
    cache = store.path("pools/files.json") if isinstance(store.storage, LocalStorage) else None
    refused = revoked(store)
    plan = make_plan(recipe, pool, catalogue, *known, cache, refused)
    while (found := made_weights(plan.models, store)) != known:  # what a model is made from may be another one's evidence
        known = found
        plan = make_plan(recipe, pool, catalogue, *known, cache, refused)
    return plan


def _settled(recipe: Recipe, pool: Pool, catalogue: Catalogue, store: Store, epoch: int) -> Plan:
    """The plan, once no pool that it reads holds a row that was taken down and is not known to be."""
    plan = resolve(recipe, pool, catalogue, store)
    read = [fed.pool for one in plan.models.values() for fed in one.fed] + [one.pool for one in plan.references.values()]
    return resolve(recipe, pool, catalogue, store) if settle(read, store, epoch) else plan


def subset_of(store: Store, plan: Plan, decided: Decided) -> Subset:
    """The rows that a node keeps, and how often."""
    pieces = pieces_of(plan.pool)
    found, copies = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.uint32)]
    for number, times in rows_in(store, decided, range(len(pieces))):
        piece = pieces[number]
        uids = read_uids(store, pool_key(plan.pool), piece.shard)[piece.start : piece.stop]
        found.append(uids if times is None else uids[times > 0])
        copies.append(np.ones(len(uids), np.uint32) if times is None else times[times > 0].astype(np.uint32))
    return Subset.of(np.concatenate(found), np.concatenate(copies))


def _stored(store: Store, plan: Plan, stage: str, decided: Decided) -> str:
    """The digest of a subset, which lies in the store; but not the pool's own rows, which can be told at any time. Of a whole pool the
    digest is kept."""
    if stage != POOL:
        return subset.save(store, subset_of(store, plan, decided))
    kept = f"{pool_key(plan.pool)}/subset.json"
    found = store.json(kept) if decided.node == POOL else None
    digest: str = found["digest"] if found else subset_of(store, plan, decided).digest
    if decided.node == POOL and not found:
        store.put_json(kept, {"digest": digest})
    return digest


def _record(
    facts: ledger.Ledger,
    plan: Plan,
    decided: dict[str, Decided],
    subsets: dict[str, str],
    effort: Effort,
    executor: Executor,
    how: dict[str, Any],
) -> None:
    pool = plan.pool
    facts.record(
        "pool",
        id=pool.id,
        layout=pool.layout,
        rows=pool.rows,
        shards=len(pool.shards),
        unreadable=[asdict(one) for one in pool.unreadable],
        digest_level=pool.digest_level,
    )
    facts.record("recipe", name=plan.recipe.name, digest=plan.recipe.digest, sources=plan.sources)
    facts.record("run", executor=executor.name, workers=executor.workers, **how)
    for name, measure in plan.measures.items():
        facts.record(
            "signal",
            name=name,
            fingerprint=measure.fingerprint,
            parameters=measure.parameters,
            measured=effort.measured.get(name, 0),
            seconds=effort.seconds.get(name, 0.0),
        )
    for name, groups in plan.groups.items():
        facts.record("grouping", name=name, links=groups.folder, threshold=groups.threshold, linked=effort.linked.get(name, 0))
    for stage, reference in plan.references.items():
        held = {"held": effort.held[stage]} if stage in effort.held else {}  # not where the stage was decided before
        facts.record("against", stage=stage, pool=reference.pool.id, rows=reference.pool.rows, **held)
    for line in funnel(plan.nodes, decided):
        facts.record("stage", id=plan.nodes[line["stage"]].id, **line)
    for name, digest in subsets.items():
        facts.record("subset", stage=name, digest=digest)


def _save(store: Store, folder: str, plan: Plan, decided: dict[str, Decided], subsets: dict[str, str], facts: ledger.Ledger) -> None:
    """Write the run down once; its head becomes the latest each time."""
    reach("run.before_ledger")
    recorded = store.json(f"{folder}/run.json") is not None
    number = len(store.storage.list(f"{folder}/ledger")) + (0 if recorded else 1)
    key = f"{folder}/ledger{'' if number == 1 else f'-{number}'}.jsonl"
    if not recorded:
        store.put_json(f"{folder}/recipe.json", {"text": plan.recipe.text, "digest": plan.recipe.digest})
        store.put_json(f"{folder}/funnel.json", funnel(plan.nodes, decided))
        described = json.loads(json.dumps(_description(plan, subsets)))
        for folder_of, files in files_of(store, plan, subsets).items():
            facts.record("files", folder=folder_of, files=files)
        own = {name: sha256(store.storage.get(f"{folder}/{name}")) for name in ("recipe.json", "funnel.json")}
        facts.record("files", folder=folder, files={**own, "run.json": sha256(sealed(described))})
        facts.close()
        store.storage.put(key, facts.text().encode())
        store.put_json(f"{folder}/run.json", described)
    ledger.append_head(store, folder, ledger.check(store.storage.get(key).decode(), where=f"{store.address}/{key}"))


def _description(plan: Plan, subsets: dict[str, str]) -> dict[str, Any]:
    """All that `why`, `audit`, `export` and `eval` need of a run, without its filters."""
    nodes = {
        name: {
            "id": node.id,
            "combinator": node.combinator,
            "parents": list(node.parents),
            "rule": None if node.rule is None or isinstance(node.rule, Outside) else node.rule.text,
            "columns": list(node.rule.columns) if node.rule is not None else [],
            "grouping": getattr(node.rule, "grouping", None),
            "seed": getattr(node.rule, "seed", None),
            "against": pool_key(plan.references[name].pool) if name in plan.references else None,
        }
        for name, node in plan.nodes.items()
    }
    measures = {
        name: {
            "folder": one.folder,
            "signal": one.signal.name,
            "parameters": one.parameters,
            "columns": {k: _dtype(v) for k, v in one.signal.schema.items()},
            "vectors": list(one.signal.vectors),
        }
        for name, one in plan.measures.items()
    }
    groups = {name: {"folder": one.folder, "sketch": one.sketch.name, "threshold": one.threshold} for name, one in plan.groups.items()}
    models = {
        name: {
            "folder": one.folder,
            "rows": [pool_key(rows) for rows in one.rows],
            "trusts": one.model.trusts,
            "over": one.over is not None,
        }
        for name, one in plan.models.items()
    }
    references = {
        stage: {
            "pool": pool_key(one.pool),
            "sketch": one.sketch.name,
            "measures": {name: measure.folder for name, measure in one.measures.items()},
            "lawful": one.lawful is not None,
            "refused": one.refused,
        }
        for stage, one in plan.references.items()
    }
    evaluate = plan.recipe.evaluate
    return {
        "name": plan.recipe.name,
        "recipe": plan.recipe.digest,
        "pool": pool_key(plan.pool),
        "nodes": nodes,
        "order": list(nodes),
        "measures": measures,
        "groups": groups,
        "models": models,
        "references": references,
        "subsets": subsets,
        "named": list(subsets),
        "evaluate": {"scale": evaluate.scale, "seeds": evaluate.seeds} if evaluate else None,
    }


def _dtype(dtype: Any) -> str:
    return str(dtype.base_type()) if dtype.is_nested() or hasattr(dtype, "categories") else str(dtype)
