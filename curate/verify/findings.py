"""What `verify` finds: what is wrong, in which file, where in it if that is known, and what to do."""

from dataclasses import dataclass

RESTORE = "restore the file from a copy; else run again with a new --store"


@dataclass(frozen=True)
class Finding:
    """`where` is a file of the store, by its key, or of a pool, by its path; `place` says where in it: a line, a column, rows."""

    what: str
    where: str
    fix: str = RESTORE
    place: str = ""

    def __str__(self) -> str:
        """`where, place: what`."""
        return f"{self.where}{f', {self.place}' if self.place else ''}: {self.what}"
