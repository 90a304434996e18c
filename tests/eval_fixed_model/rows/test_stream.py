from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from curate.pool import Pool
from eval_fixed_model.rows import stream as module
from eval_fixed_model.rows.images import pixels, tokenise
from eval_fixed_model.rows.stream import WINDOW, Stream
from eval_fixed_model.rows.survey import Survey
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.images import train
from eval_fixed_model.training.steps import weights_digest
from tests.eval_fixed_model.lying import PER_BLOCK, looked_through, parquet, tars


@pytest.fixture
def scale(scale_file: Path) -> Any:
    return load_scale(scale_file)


@pytest.fixture(params=[parquet, tars], ids=["parquet", "tars"])
def rows(request: pytest.FixtureRequest, world: Any, scale_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Survey:
    """Windows of eight blocks."""
    monkeypatch.setattr("curate.tar_reader.ROWS_PER_GROUP", PER_BLOCK)
    monkeypatch.setattr(module, "LEAST", 1)
    make: Callable[[Any, Path], Pool] = request.param
    (tmp_path / "pool").mkdir()
    return looked_through(make(world, tmp_path / "pool"), scale_file, tmp_path / "rows")


def _all(stream: Stream, first: int = 0, share: slice = slice(0, 40)) -> tuple[torch.Tensor, torch.Tensor]:
    images, tokens = zip(*stream.batches(first, share), strict=True)
    return torch.stack(images), torch.stack(tokens)


def test_each_epoch_shows_every_row_once_in_an_order_of_its_own(world: Any, scale: Any, rows: Survey) -> None:
    still = scale.model_copy(update={"augmentation": scale.augmentation.model_copy(update={"roll": 0})})
    rows = replace(rows, scale_digest=still.digest)
    stream = Stream(still, rows, np.arange(400), 0)
    images, tokens = _all(stream)
    shown = [one.tobytes() for one in np.concatenate([images.flatten(2).numpy().reshape(960, -1), tokens.numpy().reshape(960, -1)], 1)]
    every = [
        np.concatenate([pixels(image, 16).reshape(-1), text]).astype(np.int64).tobytes()
        for image, text in zip(world.images, tokenise(world.texts, scale.tokens).astype(np.int64), strict=True)
    ]
    assert len(set(every)) == 400
    assert sorted(shown[:400]) == sorted(shown[400:800]) == sorted(every)
    assert shown[:400] != shown[400:800]
    assert len(set(shown[800:])) == 160
    assert stream.shown() == {"rows": 400, "copies": 400, "repeats": {"2": 240, "3": 160}}
    places = {content: place for place, content in enumerate(every)}
    first = np.array([places[content] // PER_BLOCK for content in shown[: WINDOW * PER_BLOCK]])
    assert len(set(first)) == WINDOW, "rows of a window are mixed, and of no other block"
    assert (np.diff(first) != 0).mean() > 0.7


def test_readers_processes_and_the_step_it_begins_at_change_nothing(scale: Any, rows: Survey) -> None:
    members = np.repeat(np.arange(0, 400, 2), 2)
    images, tokens = _all(Stream(scale, rows, members, 3))
    with ThreadPoolExecutor(5) as many:
        again = _all(Stream(scale, rows, members[::-1], 3, executor=many))
    assert torch.equal(images, again[0])
    assert torch.equal(tokens, again[1])
    parts = [_all(Stream(scale, rows, members, 3), 0, share) for share in (slice(0, 10), slice(10, 40))]
    assert torch.equal(torch.cat([part[0] for part in parts], 1), images)
    assert torch.equal(torch.cat([part[1] for part in parts], 1), tokens)
    for first in (9, 23):
        assert torch.equal(_all(Stream(scale, rows, members, 3), first)[0], images[first:])
    assert not torch.equal(_all(Stream(scale, rows, members, 4))[0], images)


def test_no_more_than_two_windows_are_held(scale: Any, rows: Survey) -> None:
    stream = Stream(scale, rows, np.arange(400), 0)
    read: list[int] = []
    original = stream._read
    stream._read = lambda *given: read.append(len(given[1])) or original(*given)  # type: ignore[method-assign, func-returns-value]
    for number, _ in enumerate(stream.batches(0, slice(0, 40))):
        assert stream.alive <= 2 * WINDOW
        shown = 40 * (number + 1 + module.AHEAD)
        assert sum(read) * PER_BLOCK <= shown + 3 * WINDOW * PER_BLOCK, "nothing is read long before it is shown"
    assert stream.most_alive == 2 * WINDOW
    assert stream.alive == 0
    assert sum(read) == 40 + 40 + 16, "only the windows that are shown"


def test_an_arm_shows_its_rows_and_its_copies_apart(world: Any, scale: Any, rows: Survey) -> None:
    still = scale.model_copy(update={"augmentation": scale.augmentation.model_copy(update={"roll": 0})})
    rows = replace(rows, scale_digest=still.digest)
    members = np.concatenate([np.arange(0, 400, 5), np.arange(0, 400, 10), np.arange(0, 400, 10)])
    stream = Stream(still, rows, members, 0)
    images, tokens = _all(stream)
    shown = [one.tobytes() for one in np.concatenate([images.flatten(2).numpy().reshape(960, -1), tokens.numpy().reshape(960, -1)], 1)]
    places = {uid: place for place, uid in enumerate(hex_of(world.uids))}
    own = [places[uid] for uid in hex_of(rows.uids[members])]
    content = {
        np.concatenate([pixels(world.images[row], 16).reshape(-1), tokenise(world.texts[row : row + 1], scale.tokens)[0]])
        .astype(np.int64)
        .tobytes(): row
        for row in own
    }
    seen = [content[one] for one in shown]
    assert sorted(seen[:160]) == sorted(seen[160:320]) == sorted(own)
    assert stream.shown() == {"rows": 80, "copies": 160, "repeats": {"6": 40, "18": 40}}
    assert Counter(Counter(seen).values()) == {6: 40, 18: 40}
    less = Stream(still, rows, members[:-60], 0)
    told = {int(times): count for times, count in less.shown()["repeats"].items()}
    assert (sum(told.values()), sum(times * count for times, count in told.items())) == (80, 960)
    after = [seen.index(row, seen.index(row) + 1) - seen.index(row) for row in set(own) if own.count(row) == 3]
    assert np.median(after) > 20, "copies are shown in visits of their own"


def test_a_sparse_arm_has_as_many_rows_in_a_window(scale: Any, rows: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", 30)
    stream = Stream(scale, rows, np.arange(0, 400, 10), 0)
    assert [len(visits) for _, visits, _ in stream._windows(0, 40)] == [30, 10]


def test_rows_that_do_not_decode_leave_with_a_code(world: Any, scale_file: Path, tmp_path: Path) -> None:
    broken = world._replace(images=[b"no image" if row == 7 else image for row, image in enumerate(world.images)])
    (tmp_path / "pool").mkdir()
    pool = parquet(broken, tmp_path / "pool")
    rows = looked_through(pool, scale_file, tmp_path / "rows")
    assert rows.rejected.rows() == [(hex_of(world.uids[7:8])[0], "undecodable_image")]
    assert len(rows.indices(world.uids)) == len(rows.uids) == 399
    assert [rows.starts[1], rows.starts[2]] == [9, 19]
    stream = Stream(load_scale(scale_file), rows, rows.indices(world.uids[:20]), 0)
    assert stream.epoch == 19
    pl.read_parquet(pool.root / "0.parquet").with_columns(image=pl.lit(b"no image")).write_parquet(
        pool.root / "0.parquet", row_group_size=PER_BLOCK
    )
    with pytest.raises(PoolError, match="a row cannot be trained on: UnidentifiedImageError"):
        _all(stream)
    with pytest.raises(CeterisError, match="an arm without rows"):
        Stream(load_scale(scale_file), rows, np.arange(0), 0)
    with pytest.raises(CeterisError, match="looked through for another scale"):
        Stream(world.scale, rows, np.arange(1), 0)


def test_a_stream_trains_as_rows_do(scale: Any, rows: Survey) -> None:
    _, record = train(scale, rows, np.arange(400), 0)
    assert (record["rows"], record["samples"]) == (400, 960)
    assert record["loss"][-1] < record["loss"][0] - 0.5


def test_an_ended_training_goes_on_to_the_same_weights(scale: Any, rows: Survey, tmp_path: Path) -> None:
    members = np.repeat(np.arange(0, 400, 3), 2)
    whole, _ = train(scale, rows, members, 0)

    def end(_: Any) -> None:
        raise KeyboardInterrupt("ended")

    with pytest.raises(KeyboardInterrupt, match="ended"):
        train(scale, rows, members, 0, keep=Keep(tmp_path, steps=5), visits={13: end})
    after, record = train(scale, rows, members, 0, keep=Keep(tmp_path, steps=5))
    assert record["resumed at"] == 10
    assert weights_digest(after) == weights_digest(whole)
    with pytest.raises(CeterisError, match="of another training"):
        train(scale, rows, members[1:], 0, keep=Keep(tmp_path))
