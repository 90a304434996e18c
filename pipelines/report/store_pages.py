"""The pages over a whole store: its runs, what goes on, the leaderboard, and rows found by uid, url or text."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.digest import short
from curate.errors import CeterisError
from curate.plan import POOL
from curate.record import Run
from curate.store import Store
from pipelines.provenance.fate import Fate, fates
from pipelines.provenance.index import runs_of
from pipelines.report.page import about, render
from pipelines.report.progress import progress
from pipelines.report.rows import Card, card_of

BY = ("uid", "url", "text")
SHOWN = 20
PATIENCE = 3.0
"""Seconds until a reader is told that a report is being drawn."""
QUEUE = 20.0
"""Seconds that a search waits for those before it."""

TORN = "the store cannot be read now; `curate verify` says whether it is whole"
"""Said where files went while they were read."""


class BusyError(CeterisError):
    """Earlier requests are still being answered."""


class Drawing(threading.Thread):
    """A report being drawn, one after the other under a lock. Who ends the server does not wait for it."""

    def __init__(self, draw: Callable[[], str], one_at_a_time: threading.Lock) -> None:
        """Begin with `start`."""
        super().__init__(daemon=True)
        self.draw, self.lock, self.done = draw, one_at_a_time, threading.Event()
        self.page = ""
        self.error = CeterisError("the report could not be drawn", fix="the terminal of `curate serve` says why")

    def run(self) -> None:
        """Draw."""
        try:
            with self.lock:
                self.page = self.draw()
        except CeterisError as error:
            self.error = error
        except (OSError, LookupError):
            self.error = CeterisError(TORN)
        finally:
            self.done.set()

    def result(self, patience: float) -> str:
        """The page; empty if it takes longer than so many seconds. CeterisError if it failed."""
        if self.done.wait(patience) and not self.page:
            raise self.error
        return self.page


@dataclass(frozen=True)
class Listed:
    """A run in the list: its folder's name, its recipe's, the pool, rows of every subset, and the scales it was evaluated at."""

    id: str
    name: str
    pool: str
    rows: int
    subsets: tuple[tuple[str, int], ...]
    scored: tuple[str, ...]


@dataclass
class Pages:
    """Pages by the names their addresses have, below `home`. A run's report is made once for each state of its scores and take-downs, and
    never twice at a time: while trainings end faster than it is drawn, a reader gets that of a moment ago."""

    store: Store
    home_address: str
    made: dict[str, tuple[tuple[int, ...], Drawing]] = field(default_factory=dict)
    choosing: threading.Lock = field(default_factory=threading.Lock)
    drawing: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Lock = field(default_factory=threading.Lock)

    def home(self) -> str:
        """The runs of the store, the latest first, and what goes on."""
        return self._page("store.html", "Runs", runs=self._runs(), now=self.now())

    def now(self) -> dict[str, Any]:
        """What goes on."""
        return progress(self.store)

    def run(self, name: str) -> str:
        """A run's report, or a page that asks for it again while it is drawn. CeterisError where there is none of this NAME-ID."""
        runs = {run.folder.removeprefix("runs/"): run for run in self._every()}
        if name not in runs:
            raise CeterisError("there is no such run", fix="choose one of the list")
        state = self._state()
        with self.choosing:  # however many ask, it is drawn once, and once more for what changed while it was
            of, drawn = self.made.get(name, (state, None))
            ended = drawn is not None and drawn.done.is_set()
            stale = of != state if ended else of[-1] != state[-1]  # rows that were taken down meanwhile are on no page
            if drawn is None or stale or (ended and not drawn.page):  # it failed: a run may have been writing
                drawn = Drawing(lambda: self._report(runs[name]), self.drawing)
                drawn.start()
                self.made[name] = (state, drawn)
        return drawn.result(PATIENCE) or self._page("drawing.html", name)

    def _report(self, run: Run) -> str:
        return render("report.html", "report.js", **about(run), home=self.home_address)

    def scores(self) -> str:
        """All scores of the store that verify, ranked under equal conditions."""
        from pipelines.scores import leaderboard as boards

        try:
            with self._alone():
                board = boards.leaderboard([Path(self.store.address)])
        except BusyError:
            raise
        except CeterisError:  # there is none
            board = boards.Leaderboard((), ())
        groups = [(boards.title(group), boards.cells(group), boards.remarks(group)) for group in board.groups]
        told = {"columns": boards.COLUMNS, "right": boards.RIGHT, "groups": groups, "refused": boards.refusals(board)}
        return self._page("scores.html", "Scores", **told)

    def search(self, by: str, value: str) -> str:
        """Rows with this uid, with this url, or with this in their text, and what every run made of them."""
        if by not in BY:
            raise CeterisError(f"rows are not searched by {by}", fix=f"by {', '.join(BY)}")
        asked: dict[str, Any] = {"by": by, "q": value, "found": 0, "rows": [], "notes": [], "told": "", "taken": {}}
        if value.strip():
            try:
                with self._alone():
                    found = fates(self.store, **{by: value.strip() if by != "text" else value}, at_most=SHOWN)  # type: ignore[arg-type]
                    rows = [(fate, self._card(fate)) for fate in found.rows]
            except BusyError:
                raise
            except CeterisError as error:
                asked["told"] = f"{error.what}. {error.fix}"
            else:
                asked |= {"found": found.found, "rows": rows, "notes": found.notes, "taken": found.revoked}
        return self._page("search.html", "Search", **asked)

    def failed(self, error: CeterisError) -> str:
        """What went wrong."""
        return self._page("failed.html", "Not shown", error=error)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What reads much reads one after the other, so that many requests take no more memory than one. BusyError after a wait."""
        if not self.reading.acquire(timeout=QUEUE):
            raise BusyError("earlier searches are still going on", fix="wait, and ask again")
        try:
            yield
        finally:
            self.reading.release()

    def _page(self, template: str, title: str, **told: Any) -> str:
        held = {"title": title, "home": self.home_address, "address": self.store.address, "by": "uid", "q": "", **told}
        return render(template, "store.js", forms="'self'", connects="'self'", **held)

    def _card(self, fate: Fate) -> Card | None:
        """A row that may be shown, as the latest run that knows it tells it."""
        if fate.state:
            return None
        latest = next(run for run in self._every() if run.folder.removeprefix("runs/") == fate.runs[0]["run"])
        return card_of(latest, fate.story)

    def _every(self) -> list[Run]:
        try:
            return runs_of(self.store)
        except CeterisError:  # none has finished
            return []

    def _runs(self) -> list[Listed]:
        scored: dict[str, list[str]] = {}
        for key in self.store.storage.list("scores/"):
            if "/entries/" in key and key.endswith(".json"):
                entry = self.store.json(key)
                seeds = max((len(arm["scores"]) for arm in entry["arms"].values()), default=0)
                scored.setdefault(entry["run"], []).append(f"{Path(entry['scale']).stem}, {seeds} seeds")
        found = []
        for run in self._every():
            kept = {line["stage"]: line["kept"] for line in run.funnel()}
            subsets = tuple((name, kept[run.node_of(name)]) for name in run.facts["subsets"] if name != POOL)
            where = f"{run.pool.root.name} ({short(run.facts['pool'].removeprefix('pools/'))})"
            name = run.folder.removeprefix("runs/")
            found.append(Listed(name, run.facts["name"], where, run.pool.rows, subsets, tuple(dict.fromkeys(scored.get(run.folder, [])))))
        return found

    def _state(self) -> tuple[int, ...]:
        """Changes whenever a page on a run would."""
        return tuple(len(self.store.storage.list(prefix)) for prefix in ("ledger/", "scores/", "revoked/"))
