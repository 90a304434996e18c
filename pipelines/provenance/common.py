"""Two subsets, of one pool or of two, on the rows that both have: so that a fresher or fuller download gains no unfair edge."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s, hex_of
from curate.errors import CeterisError
from curate.record import Selected
from curate.subset import Subset
from pipelines.provenance.declared import batches, signal_of

_COLUMNS = ("license.class", "source")


@dataclass(frozen=True)
class Common:
    """`rows` of each, `common` to both with the `digest` of those as a subset; and what both say of the common rows: for each column the
    values with their rows in the one and in the other (None where that one does not know the column)."""

    one: str
    other: str
    rows: tuple[int, int]
    common: int
    digest: str
    columns: dict[str, list[dict[str, Any]]]
    out: str | None

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def common(one: Selected, other: Selected, out: Path | None = None) -> Common:
    """Rows meet by uid. `out`, a new text file, takes the common uids, sorted, one to a line. CeterisError where nothing is common."""
    both = np.isin(_words(one.uids), _words(other.uids), assume_unique=True)
    shared = one.uids[both]
    if not len(shared):
        what = f"{one.name} and {other.name} have no row in common"
        raise CeterisError(
            what, where=other.run.folder, fix="pools without a uid column meet only where their rows are equal: name one with --role uid"
        )
    counts = [_counts(each, shared) for each in (one, other)]
    columns = {}
    for column in _COLUMNS:
        known = [each.get(column) for each in counts]
        values = sorted({value for each in known if each for value in each}, key=lambda v: (-sum(each[v] for each in known if each), v))
        if values:
            pair = ("one", "other")
            columns[column] = [{"value": v, **{k: each and each[v] for k, each in zip(pair, known, strict=True)}} for v in values]
    if out is not None:
        try:
            with out.open("x", encoding="ascii") as file:
                file.writelines(f"{uid}\n" for uid in hex_of(shared))
        except OSError as error:
            raise CeterisError(f"cannot write there: {error.strerror}", where=str(out), fix="name a new file") from error
    first, second = (f"{each.run.folder.removeprefix('runs/')}/{each.name}" for each in (one, other))
    return Common(first, second, (len(one), len(other)), len(shared), Subset.of(shared).digest, columns, str(out) if out else None)


def _counts(chosen: Selected, shared: UInt64s) -> dict[str, Counter[str]]:
    """Values of the common rows, of the columns that this one knows."""
    signal, words = signal_of(chosen.run), _words(shared)
    found = {column: Counter[str]() for column, known in zip(_COLUMNS, (signal, "source" in chosen.run.pool.roles), strict=True) if known}
    for batch in batches(chosen.run, chosen, ["class"], roles=["source"]):
        frame = batch.frame.filter(np.isin(_words(batch.uids), words))
        names = dict(zip(_COLUMNS, ("class", "role.source"), strict=True))
        for column, counts in found.items():
            values = frame[names[column]].fill_null("(none)").value_counts()
            counts.update(dict(values.iter_rows()))
    return found


def _words(uids: UInt64s) -> npt.NDArray[np.void]:
    """Each uid as one value of 16 bytes that compares as the words do."""
    return np.ascontiguousarray(uids.astype(">u8")).view("V16").ravel()
