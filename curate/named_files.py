"""Which files a run rests on: its ledger names each with its digest, so that one that is gone, changed or from elsewhere is missed."""

from collections.abc import Mapping

from curate.decisions import folder
from curate.digest import sha256
from curate.pieces import pool_key
from curate.plan import POOL, Fed, Plan, Reference
from curate.store import Store


def files_of(store: Store, plan: Plan, subsets: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Folder to {name in it: SHA-256 of the file}: records of pools, evidence, links, models and decisions, which name the other files
    there by their digests; and the subsets that lie in files."""
    others: list[Fed | Reference] = [*plan.references.values(), *(one for model in plan.models.values() for one in model.fed)]
    pools = {pool_key(pool) for pool in (plan.pool, *(one.pool for one in others))}
    measures = [*plan.measures.values(), *(measure for one in others for measure in one.measures.values())]
    folders = {*pools, *(one.folder for one in measures), *(one.folder for one in plan.groups.values())}
    folders |= {one.folder for one in plan.models.values()} | {folder(node.id) for node in plan.nodes.values() if node.name != POOL}
    found = {one: _records(store, one) for one in sorted(folders)}
    held = {f"{digest[:16]}.parquet": f"subsets/{digest[:16]}.parquet" for stage, digest in subsets.items() if stage != POOL}
    return {**found, "subsets": {name: sha256(store.storage.get(key)) for name, key in held.items()}}


def _records(store: Store, folder: str) -> dict[str, str]:
    keys = [key for key in store.storage.list(f"{folder}/") if key.endswith(".json") and not key.endswith("/card.json")]
    return {key.removeprefix(f"{folder}/"): sha256(store.storage.get(key)) for key in keys}
