"""The rows that a score was trained on, held against the digests, subsets and draws that they are said to be."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate import ledger
from curate.digest import UInt64s
from curate.errors import CeterisError
from curate.store import Store
from curate.subset import Subset
from curate.subset import load as load_subset
from curate.takedown.revoked import must_be_made_again
from eval_fixed_model.arms import members_digest, random_members


class Unfit(CeterisError):
    """Why something is refused."""


@dataclass(frozen=True)
class TrainedRows:
    """The lists of rows in the store at `root` (None: none are at hand), whose chain knows these heads of ledgers."""

    root: Path | None
    heads: frozenset[tuple[str, str]] | None

    def unchecked(self, digest: str, arm: dict[str, Any], seed: int, entry: dict[str, Any]) -> list[str]:
        """The rows trained on, where they are kept: their digest names the folder; a subset's are among the subset's, a draw's
        are the draw's. Says what is not there to be held against."""
        members = self._members(digest)
        if members is None:
            return ["rows"]
        distinct = np.unique(members, axis=0)
        if len(distinct) != arm["rows"]:
            raise Unfit(f"it was trained on {len(distinct)} rows, and the entry says {arm['rows']}")
        if arm["kind"] == "random":
            whole = next((self._members(one["id"]) for one in entry["arms"].values() if one["kind"] == "pool"), None)
            if whole is None:
                return ["draw"]
            if members_digest(random_members(whole, arm["rows"], seed))[:16] != digest:
                raise Unfit("its rows are not the random draw of its size and seed")
        if arm["kind"] == "candidate":
            subset = self._subset(entry["run"], arm["name"])
            if subset is None:
                return ["subset"]
            if len(np.unique(np.concatenate([subset.uids, distinct]), axis=0)) != len(subset.uids):
                raise Unfit(f"it was trained on rows that the subset {arm['name']} of {entry['run']} does not hold")
        return []

    def refuse_revoked(self, score: str) -> None:
        """Unfit where a score (its key in the store) was trained on rows that were taken down since."""
        known = must_be_made_again(Store.open(self.root)) if self.root else {}
        if number := known.get(score.rpartition("/")[0]):
            raise Unfit(f"it was trained on rows that were taken down (request {number}); run the recipe and evaluate again")

    def _members(self, digest: str) -> UInt64s | None:
        kept = next(iter(sorted(self.root.glob(f"rows/*/members/{digest}.npy"))), None) if self.root else None
        if kept is None:
            return None
        try:
            found: UInt64s = np.load(kept, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise Unfit(f"the list of rows it was trained on is damaged ({kept.name})") from error
        if members_digest(found)[:16] != digest:
            raise Unfit(f"the rows it was trained on are not those of its digest ({kept.name})")
        return found

    def _subset(self, run: str, name: str) -> Subset | None:
        """A run's subset, held against the digest in the run's ledger; None where the run is not here, or its pool is its subset."""
        if self.root is None or self.heads is None:
            return None
        for file in sorted((self.root / run).glob("ledger*.jsonl")):
            text = text_of(file)
            if (run, ledger.check(text, where=f"{run}/{file.name}")) not in self.heads:
                raise Unfit(f"the store's chain of heads does not know the ledger of {run}")
            facts = [json.loads(line) for line in text.splitlines()]
            digest = next((fact["digest"] for fact in facts if fact["what"] == "subset" and fact["stage"] == name), None)
            return load_subset(Store.open(self.root), digest) if digest else None
        return None


def text_of(file: Path) -> str:
    """A file's text. Unfit where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Unfit(f"{file.name} cannot be read: {' '.join(str(error).split())}") from error
