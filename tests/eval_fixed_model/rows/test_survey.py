from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.errors import CeterisError, PoolError
from curate.executor import InProcess
from eval_fixed_model.rows.survey import Survey, note_pools, survey
from tests.eval_fixed_model.lying import looked_through, parquet


class _Ends(InProcess):
    """Counts what it is given, and ends after the first answers."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, 0

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        self.asked = len(tasks)
        for number, found in enumerate(super().map(function, tasks)):
            if number == self.after:
                raise KeyboardInterrupt("ended")
            yield found


def test_an_ended_look_goes_on(world: Any, scale_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval_fixed_model.rows.survey.PIECE", 50)
    (tmp_path / "pool").mkdir()
    pool, (first, second, third) = parquet(world, tmp_path / "pool"), (_Ends(3), _Ends(99), _Ends(99))
    with pytest.raises(KeyboardInterrupt, match="ended"):
        looked_through(pool, scale_file, tmp_path / "rows", first)
    with pytest.raises(CeterisError, match="not looked through to the end"):
        Survey.open(tmp_path / "rows")
    found = looked_through(pool, scale_file, tmp_path / "rows", second)
    at_once = looked_through(pool, scale_file, tmp_path / "again", third)
    assert (first.asked, second.asked, third.asked) == (8, 5, 8)
    assert found.uids.tolist() == at_once.uids.tolist() == world.uids.tolist()
    assert found.numbers.tolist() == [*range(200), *range(200)]
    assert (found.blocks, found.leaks.rows()) == (at_once.blocks, at_once.leaks.rows())


def test_rows_that_are_not_wanted_are_not_looked_at(world: Any, scale_file: Path, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    broken = world._replace(images=[b"no image" if row == 7 else image for row, image in enumerate(world.images)])
    pool = parquet(broken, tmp_path / "pool")
    note_pools(tmp_path / "rows", [pool])
    wanted = np.arange(200) % 10 != 7
    spans = [(0, number, pool.uids(shard)[0], wanted) for number, shard in enumerate(pool.shards)]
    rows = survey(spans, str(scale_file), tmp_path / "rows", InProcess(), lambda *_: None)
    assert rows.rejected.is_empty()
    assert rows.uids.tolist() == world.uids[np.tile(wanted, 2)].tolist()
    note_pools(tmp_path / "twice", [pool])
    with pytest.raises(PoolError, match="a uid was read twice"):
        survey([*spans, spans[0]], str(scale_file), tmp_path / "twice", InProcess(), lambda *_: None)
