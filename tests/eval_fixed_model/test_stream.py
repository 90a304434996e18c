import io
import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from curate.pool import Pool
from eval_fixed_model import stream as module
from eval_fixed_model.rows import pixels, tokenise
from eval_fixed_model.stream import WINDOW, Stream
from eval_fixed_model.train import train

PER_BLOCK = 10


def _parquet(world: Any, folder: Path) -> Pool:
    """400 rows in two files of 20 blocks each."""
    frame = pl.DataFrame({"uid": hex_of(world.uids), "image": world.images, "text": world.texts})
    for number in range(2):
        frame.slice(200 * number, 200).write_parquet(folder / f"{number}.parquet", row_group_size=PER_BLOCK)
    return Pool.open(folder)


def _tars(world: Any, folder: Path) -> Pool:
    """The same rows in the tars that an export writes: key, image, text, and the uid in the json."""
    for number in range(4):
        with tarfile.open(folder / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for row in range(100 * number, 100 * number + 100):
                uid = hex_of(world.uids[row : row + 1])[0]
                parts = {"png": world.images[row], "json": json.dumps({"uid": uid}).encode(), "txt": world.texts[row].encode()}
                for ending, data in parts.items():
                    info = tarfile.TarInfo(f"{uid}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return Pool.open(folder)


@pytest.fixture(params=[_parquet, _tars], ids=["parquet", "tars"])
def pool(request: pytest.FixtureRequest, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    monkeypatch.setattr("curate.tar_reader.ROWS_PER_GROUP", PER_BLOCK)
    make: Callable[[Any, Path], Pool] = request.param
    return make(world, tmp_path)


@pytest.fixture
def scale(world: Any) -> Any:
    """24 batches of 40: two epochs of 400 rows, and a part of the third."""
    return world.scale.model_copy(update={"samples_seen": 960, "batch": 40, "order": "blocked"})


def _all(stream: Stream, first: int = 0, share: slice = slice(0, 40)) -> tuple[torch.Tensor, torch.Tensor]:
    images, tokens = zip(*stream.batches(first, share), strict=True)
    return torch.stack(images), torch.stack(tokens)


def test_each_epoch_shows_every_row_once_in_an_order_of_its_own(world: Any, scale: Any, pool: Pool) -> None:
    still = scale.model_copy(update={"augmentation": scale.augmentation.model_copy(update={"roll": 0})})
    stream = Stream(still, pool, 0)
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


def test_readers_processes_and_the_step_it_begins_at_change_nothing(scale: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    images, tokens = _all(Stream(scale, pool, 3))
    with ThreadPoolExecutor(5) as many:
        again = _all(Stream(scale, pool, 3, executor=many))
    assert torch.equal(images, again[0])
    assert torch.equal(tokens, again[1])
    parts = [_all(Stream(scale, pool, 3), 0, share) for share in (slice(0, 10), slice(10, 40))]
    assert torch.equal(torch.cat([part[0] for part in parts], 1), images)
    assert torch.equal(torch.cat([part[1] for part in parts], 1), tokens)
    for first in (9, 23):
        assert torch.equal(_all(Stream(scale, pool, 3), first)[0], images[first:])
    assert not torch.equal(_all(Stream(scale, pool, 4))[0], images)


def test_no_more_than_two_windows_are_held(scale: Any, pool: Pool) -> None:
    stream = Stream(scale, pool, 0)
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


def test_rows_that_do_not_decode_are_named_and_left_out(world: Any, scale: Any, tmp_path: Path) -> None:
    broken = world._replace(images=[b"no image" if row == 7 else image for row, image in enumerate(world.images)])
    pool = _parquet(broken, tmp_path)
    with pytest.raises(PoolError, match=f"row {hex_of(world.uids[7:8])[0]}: a row cannot be trained on"):
        _all(Stream(scale, pool, 0))
    stream = Stream(scale, pool, 0, without=world.uids[7:8])
    _all(stream)
    assert stream.rows == 399
    assert stream.digest != Stream(scale, pool, 0).digest
    with pytest.raises(CeterisError, match="a pool without rows"):
        Stream(scale, pool, 0, without=world.uids)


def test_a_stream_trains_as_rows_do(world: Any, scale: Any, pool: Pool) -> None:
    _, record = train(scale, Stream(scale, pool, 0), np.arange(0), 0)
    assert (record["rows"], record["samples"]) == (400, 960)
    assert record["loss"][-1] < record["loss"][0] - 0.5
