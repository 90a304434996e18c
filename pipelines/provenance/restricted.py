"""Rows that one run of a store restricts leave it in no subset, whichever run is asked."""

from curate.errors import CeterisError
from curate.plan import POOL
from curate.record import Run
from pipelines.provenance.fate import barred_of


def refuse_restricted(run: Run, subset: str = POOL) -> None:
    """CeterisError where a subset holds rows that another run of the store on this pool restricts."""
    held = barred_of(run)
    if held.size and (bad := int((run.copies(run.node_of(subset))[held] > 0).sum())):
        what = f"{bad:,} rows of {subset} are restricted by another run of this store"
        raise CeterisError(what, where=run.folder, fix="write that run's `restricted:` into this recipe, too, and run it again")
