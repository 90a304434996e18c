"""A finished run, read back from its store: funnel, evidence, subsets, and the fate of a row."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.decisions import Decided, load
from curate.digest import UInt64s
from curate.errors import CeterisError, StoreError
from curate.journal import pending
from curate.membership import Copies
from curate.pieces import Piece, open_pool, pieces_of, read_uids
from curate.plan import POOL, root_of
from curate.pool import Pool
from curate.store import Part, Store
from curate.subset import Subset
from curate.subset import load as load_subset


@dataclass(frozen=True)
class Selected(Subset):
    """A subset together with the run that selected it and the name it has there."""

    run: "Run"
    name: str


DERIVED = "-effects"
"""How the recipes end that a verb derives from another for its own comparisons."""


def _called(run: str, name: str) -> bool:
    """Whether `name` is the name of a run's recipe, or that and the first digits of the run's ID."""
    recipe = run.rpartition("-")[0]
    return name == recipe or (name.startswith(f"{recipe}-") and run.startswith(name))


@dataclass(frozen=True)
class Run:
    """runs/NAME-ID of a store."""

    store: Store
    folder: str

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Open STORE/runs/NAME-ID."""
        path = Path(path)
        if not (path / "run.json").is_file():
            raise StoreError(
                "there is no finished run here", where=str(path), fix="run `curate run` first, or name one of the folders under STORE/runs/"
            )
        return cls(Store.open(path.parent.parent), f"runs/{path.name}")

    @classmethod
    def latest(cls, store: Store, name: str | None = None) -> "Run":
        """The run that was recorded last (of a recipe called `name`, or whose own name begins so); where none is named, those that
        `effects` made for itself do not count."""
        heads = [
            run for key in store.storage.list("ledger/") if (run := store.json(key)["run"]).startswith("runs/") and run.count("/") == 1
        ]
        named = {head: head.removeprefix("runs/") for head in heads}
        if name is None:
            found = [head for head in heads if not named[head].rpartition("-")[0].endswith(DERIVED)] or heads
        else:
            found = [head for head in heads if _called(named[head], name)]
        if not found:
            there = ", ".join(sorted({head.removeprefix("runs/") for head in heads})) or "none"
            raise StoreError(
                f"this store has no run{f' called {name}' if name else ''}",
                where=store.address,
                fix=f"run `curate run` first; runs here: {there}",
            )
        return cls(store, found[-1])

    @cached_property
    def facts(self) -> dict[str, Any]:
        """run.json, its nodes and subsets in the order of the plan and the recipe."""
        value: dict[str, Any] = self.store.json(f"{self.folder}/run.json")
        value["nodes"] = {name: value["nodes"][name] for name in value["order"]}
        value["subsets"] = {name: value["subsets"][name] for name in value["named"]}
        return value

    @cached_property
    def pool(self) -> Pool:
        """The pool it ran on."""
        return open_pool(self.store, self.facts["pool"])

    @cached_property
    def unchanged(self) -> Pool:
        """The pool, to read rows from, after making sure that its shards are those the run saw. PoolError where they are not."""
        self.pool.refuse_changes(self.store.pool_files)
        return self.pool

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces that decisions are aligned to."""
        return pieces_of(self.pool)

    def funnel(self) -> list[dict[str, Any]]:
        """Per stage: rows in, kept, and every reason with its count."""
        value: list[dict[str, Any]] = self.store.json(f"{self.folder}/funnel.json")
        return value

    def subset(self, name: str) -> Selected:
        """A named subset; `pool` is every row of it but what is restricted and those that models trained on. It lies in no file."""
        known = self.facts["subsets"]
        if name not in known:
            raise CeterisError(f"this run has no subset {name}", where=self.folder, fix=f"there are: {', '.join(known)}")
        found = self._whole(known[name]) if name == POOL else load_subset(self.store, known[name])
        return Selected(found.uids, found.copies, self, name)

    def _whole(self, digest: str) -> Subset:
        root, uids = self.node_of(POOL), self.uids()
        found = Subset.of(uids if root == POOL else uids[self.codes(root) == 0])
        if found.digest != digest:
            if Run(self.store, self.folder).facts["subsets"][POOL] != digest or pending(self.store):
                raise StoreError("rows were taken down since this was begun", where=f"{self.store.address}/{self.folder}", fix="ask again")
            what = "the pool's rows are not those that the digest of its subset says"
            raise StoreError(what, where=f"{self.store.address}/{self.facts['pool']}", fix="delete the folder and run the recipe again")
        return found

    def node_of(self, subset: str) -> str:
        """The node whose rows a subset holds: the pool as a subset is without what is restricted and the rows that models trained on."""
        return root_of(self.facts["nodes"]) if subset == POOL else subset

    def decided(self, node: str) -> Decided:
        """A node's decisions."""
        nodes = self.facts["nodes"]
        if node not in nodes:
            raise CeterisError(f"this run has no stage {node}", where=self.folder, fix=f"there are: {', '.join(nodes)}")
        found = load(self.store, nodes[node]["id"])
        if found is None:
            raise StoreError(f"the decisions of stage {node} are gone", where=self.store.address, fix="run the recipe again")
        return found

    def codes(self, node: str) -> npt.NDArray[np.uint16]:
        """A node's codes for every row of the pool, in pool order."""
        decided = self.decided(node)
        return np.concatenate([np.zeros(0, np.uint16), *[decided.codes(self.store, piece.number) for piece in self.pieces]])

    def copies(self, node: str) -> Copies:
        """How often a node uses every row of the pool, in pool order; 0 where it is not in."""
        if node == POOL:
            return np.ones(self.pool.rows, np.uint16)
        decided = self.decided(node)
        return np.concatenate([np.zeros(0, np.uint16), *[decided.copies(self.store, piece.number) for piece in self.pieces]])

    def uids(self) -> UInt64s:
        """Every row's uid, in pool order, (rows, 2)."""
        shards = [read_uids(self.store, self.facts["pool"], number) for number in range(len(self.pool.shards))]
        return np.concatenate([np.zeros((0, 2), np.uint64), *shards])

    def evidence(self, name: str) -> pl.DataFrame:
        """A signal's stored evidence in pool order: row (pool-wide), its columns, error; only rows that were measured."""
        offset, frames = 0, []
        parts = self.parts(name)
        for shard in self.pool.shards:
            for part in parts.get(shard.digest, []):
                frame = self.store.frame(part)
                frames.append(frame.with_columns(pl.col("row").cast(pl.UInt64) + offset))
            offset += shard.rows
        if not frames:
            raise CeterisError(f"nothing was measured by {name} here", where=self.folder)
        return pl.concat(frames).unique("row").sort("row")

    def parts(self, name: str) -> dict[str, list[Part]]:
        """A signal's stored parts by shard."""
        measures = self.facts["measures"]
        if name not in measures:
            raise CeterisError(f"this run has no signal {name}", where=self.folder, fix=f"there are: {', '.join(measures)}")
        return self.store.parts(measures[name]["folder"])
