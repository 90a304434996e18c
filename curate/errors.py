"""What went wrong, where, and what to do: the only exceptions Ceteris raises on purpose."""

import difflib
from collections.abc import Iterable


class CeterisError(Exception):
    """A user must act. `what` happened, `where` (file, line, column, row), and the `fix`."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        """Keep the three parts apart so that `--json` can print them."""
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        """`where: what. fix`, on as many lines as there are parts."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  fix: {self.fix}" if self.fix else head

    def __reduce__(self) -> "tuple[object, tuple[object, ...]]":
        """Cross process borders with all three parts."""
        return (_rebuild, (type(self), self.what, self.where, self.fix))


def _rebuild(kind: type[CeterisError], what: str, where: str, fix: str) -> CeterisError:
    return kind(what, where=where, fix=fix)


class RecipeError(CeterisError):
    """A recipe does not say something Ceteris can do; `where` is file:line:column."""


class PoolError(CeterisError):
    """A pool cannot be opened or read as asked."""


class StoreError(CeterisError):
    """The store is locked, damaged or of another format."""


class NondeterminismError(CeterisError):
    """The same measurement gave two answers."""


class SignalBugError(CeterisError):
    """A signal, grouping or model broke its contract or raised: names stage, shard and rows."""


class ConservationError(CeterisError):
    """Rows in are not rows kept + dropped + quarantined."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest known one, or else all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"choose from: {', '.join(names) or 'none'}"
