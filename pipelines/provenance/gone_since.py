"""What held rows before they were taken down: as far as counts in a run's ledger and in those of requests tell."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from curate.plan import POOL, REVOKED
from curate.record import Run
from curate.takedown.named_rows import Indices
from curate.takedown.revoked import REQUESTS, must_be_made_again, revoked


class Count(NamedTuple):
    """How many of the rows something held: `rows`, None where that cannot be told, then `least` at least."""

    rows: int | None
    least: int

    def plus(self, more: int) -> "Count":
        """With others that are known."""
        return Count(None if self.rows is None else self.rows + more, self.least + more)

    @property
    def any(self) -> bool:
        """Whether there may be one."""
        return self.rows != 0

    def told(self) -> dict[str, Any]:
        """`rows`, and `at_least` where that alone is known."""
        return {"rows": self.rows} | ({"at_least": self.least} if self.rows is None and self.least else {})


NONE, PERHAPS = Count(0, 0), Count(None, 0)


@dataclass
class GoneSince:
    """The rows asked for that left a run's pool after the run: `numbers` pool-wide; of a pool that cannot be searched (`unseen`) they may
    be any."""

    run: Run
    numbers: Indices
    unseen: bool = False

    @cached_property
    def left(self) -> Count:
        """How many of the rows asked for were taken down after the run."""
        most = self.total if self.unseen else int(self.numbers.size)
        sure = 0 if self.unseen else max(most - self._before, 0)
        return Count(most, most) if most == sure else Count(None, sure) if most and self.total else NONE

    @cached_property
    def total(self) -> int:
        """Rows of the pool that were taken down after the run."""
        return int(revoked(self.run.store).of_pool(self.run.pool).size) - self._before

    @cached_property
    def _before(self) -> int:
        """Rows that the run itself left out already."""
        return sum(line["in"] - line["kept"] for name, line in self._stages.items() if name == REVOKED)

    @cached_property
    def _stages(self) -> dict[str, dict[str, Any]]:
        """The run's own funnel, as it was written down when it ended."""
        lines = map(json.loads, self.run.store.storage.get(f"{self.run.folder}/ledger.jsonl").decode().split("\n")[:-1])
        return {fact["stage"]: fact for fact in lines if fact["what"] == "stage"}

    def of_stage(self, node: str) -> Count:
        """How many of the rows a node of the run held when it ended."""
        if not self.left.any or not self.total:
            return NONE
        was = self._stages.get(node, self._stages[POOL])["kept"]
        lost = was - (self.run.pool.rows if node == POOL else self.run.decided(node).kept)
        mine, least = self.left
        if not lost:
            return NONE
        if mine == self.total:
            return Count(lost, lost)
        if lost == self.total and mine is not None:
            return Count(mine, mine)
        return Count(None, max(lost - (self.total - least), 0))

    @cached_property
    def revisions(self) -> list[tuple[int, dict[str, Any]]]:
        """By number of the request, what each take-down says of the run, the first first."""
        found = list[tuple[int, int, dict[str, Any]]]()
        for key in (key for key in self.run.store.storage.list(f"{REQUESTS}/") if key.endswith(".jsonl")):
            lines = [json.loads(line) for line in self.run.store.storage.get(key).decode().split("\n") if '"run revised"' in line]
            nth = int(key.rpartition("/ledger")[2].removesuffix(".jsonl").removeprefix("-") or 1)
            found += [(int(key.split("/")[1]), nth, fact) for fact in lines if fact["run"] == self.run.folder]
        return [(number, fact) for number, _, fact in sorted(found, key=lambda one: one[:2])]

    def of_made(self, address: str, held: Callable[[], Count]) -> Count:
        """How many of the rows a model or a score used, at `address`: none where no request marked it; what it was made from `held` so
        many, where it was made before all take-downs."""
        number = self.marked.get(address)
        if number is None or not self.left.any:
            return NONE
        requests = [one for one, _ in self.revisions]
        return held() if requests[:1] == [number] and requests.count(number) == 1 else PERHAPS

    def of_export(self, subset: str, digest: str) -> Count:
        """How many of the rows an export of a subset with this digest (or its first 16 digits) holds."""
        earlier = [fact["subsets"][subset][0][:16] for _, fact in self.revisions if subset in fact["subsets"]]
        if digest[:16] not in earlier:
            return NONE
        held = self.of_stage(self.run.node_of(subset))
        return held if digest[:16] == earlier[0] or held == NONE else PERHAPS

    @cached_property
    def marked(self) -> dict[str, int]:
        """Models and scores that rest on rows taken down, and the request."""
        return must_be_made_again(self.run.store)
