"""Lists of hashes, and whether a file or a picture is on one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from filters._compiled import kernel, ones

KINDS = ("md5", "sha1", "sha256", "pdq")
BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "pdq": 32}
BITS = 256
TELLING = 50
"""Meta takes no PDQ hash of a lower quality into its lists: it says little of its image."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Listed:
    """Hashes by kind, each sorted, (n, bytes) uint8; `name` tells the list: the first digits of its digest."""

    hashes: Mapping[str, npt.NDArray[np.uint8]]
    name: str

    def find(self, data: bytes) -> tuple[str, str] | None:
        """The kind and the hex digits of the first of a file's hashes that is listed."""
        for kind, known in self.hashes.items():
            if kind != "pdq":
                digest = hashlib.new(kind, data, usedforsecurity=False).digest()
                if _there(known, digest):
                    return kind, digest.hex()
        return None

    def distance(self, digest: bytes) -> int:
        """The least number of bits in which a PDQ hash differs from one of the list."""
        known = self.hashes["pdq"].view("<u8").reshape(-1, 4)
        return int(least_distance(np.frombuffer(digest, "<u8").astype(np.uint64), known.astype(np.uint64, copy=False)))


def listed(weights: Mapping[str, npt.NDArray[Any]], shape: Mapping[str, Any]) -> Listed:
    """What a `hash_list`'s weights and its card's `architecture` describe."""
    return Listed({kind: np.ascontiguousarray(weights[kind]) for kind in KINDS if kind in weights}, shape["digest"])


def _there(known: npt.NDArray[np.uint8], digest: bytes) -> bool:
    keys = known.view(f"S{known.shape[1]}").ravel()  # all of one length, so that zeros at an end compare as they should
    place = int(np.searchsorted(keys, np.bytes_(digest)))
    return place < len(keys) and known[place].tobytes() == digest


@kernel
def least_distance(one: Words, known: Words) -> int:
    """The fewest bits in which `one` (4,) differs from a row of `known` (n, 4)."""
    best = BITS + 1
    for row in range(known.shape[0]):
        bits = ones(one[0] ^ known[row, 0])
        for word in range(1, 4):
            bits += ones(one[word] ^ known[row, word])
        best = min(best, bits)
    return best
