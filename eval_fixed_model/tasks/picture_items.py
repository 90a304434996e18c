"""What an image-text task asks: the items of one task, whatever they were read from."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from curate.errors import CeterisError
from curate.threads import share
from eval_fixed_model.records import Image
from eval_fixed_model.rows.images import Bytes, pixels


class Pictures(Protocol):
    """Images (n, 3, r, r) uint8: an array, or what reads and decodes those of a slice."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, part: slice, /) -> Bytes:
        """Those of a slice."""


@dataclass(frozen=True)
class Decoded:
    """Pictures that are read (encoded, one by number) and decoded each time a slice is asked for, so that none is held."""

    count: int
    read: Callable[[int], bytes]
    image: Image
    where: str

    def __len__(self) -> int:
        """How many."""
        return self.count

    def __getitem__(self, part: slice) -> Bytes:
        """(m, 3, r, r). CeterisError naming the picture that does not decode."""
        wanted = range(self.count)[part]
        encoded = [self.read(number) for number in wanted]
        with ThreadPoolExecutor(share()) as pool:
            return np.stack(list(pool.map(self._decoded, wanted, encoded)))

    def _decoded(self, number: int, data: bytes) -> Bytes:
        try:
            return pixels(data, self.image.resolution, self.image.resize)
        except ValueError as error:
            raise CeterisError(f"picture {number} does not decode: {error}", where=self.where, fix="fetch the set again") from error


def owners_of(captions: Sequence[Sequence[str]], where: str) -> npt.NDArray[np.int64]:
    """The picture of each caption. CeterisError where there is no picture, or one without captions, of which nothing could be right."""
    if bare := [number for number, own in enumerate(captions) if not own] or ([] if captions else [0]):
        raise CeterisError(f"picture {bare[0]} has no caption", where=where, fix="fetch the set again")
    return np.repeat(np.arange(len(captions)), [len(own) for own in captions])


@dataclass(frozen=True)
class Items:
    """One task's items of one split: `numbers` (n,) by which answers name them (rows of the Parquet), `images` (n, 3, r, r), and `texts`
    (retrieval) or `labels`.

    Sets in a folder bring `classes` and `templates` (with `{}`), and `groups`, one an item. `owners`: the image of each text, where images
    have several; in WinoGAViL's kind of question the text of each image, and `labels` then say whether it belongs to that.
    """

    task: str
    numbers: npt.NDArray[np.uint32]
    images: Pictures
    texts: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    owners: npt.NDArray[np.int64] | None = None
