"""What materialised rows of every modality share: .npy files that grow, and the positions of uids."""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s, sha256

Indices = npt.NDArray[np.int64]


def header(file: BinaryIO, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    """(Re)write the header at the start of an .npy file: NumPy pads it so that a growing first axis never changes its length."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})


def has_twice(uids: UInt64s) -> bool:
    """Whether some uid of (n, 2) words comes more than once."""
    return len(np.unique(_keys(uids))) != len(uids)


def digest(uids: UInt64s, copies: npt.NDArray[np.integer]) -> str:
    """Hex SHA-256 of rows with their copies, whatever their order."""
    keys = _keys(uids)
    sorting = np.argsort(keys, kind="stable")
    return sha256(keys[sorting].tobytes() + copies[sorting].astype("<i8").tobytes())


class Positions:
    """Where each of n different uids, (n, 2) words, stands."""

    def __init__(self, uids: UInt64s) -> None:
        """Sorts them once: 24 bytes a row."""
        keys = _keys(uids)
        self._sorting = np.argsort(keys, kind="stable")
        self._keys = keys[self._sorting]

    def of(self, uids: UInt64s) -> Indices:
        """Positions of these uids, in the order given, copies included; those that are not here are left out."""
        if not len(self._keys):
            return np.empty(0, np.int64)
        wanted = _keys(uids)
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found: Indices = self._sorting[places[self._keys[places] == wanted]]
        return found


def _keys(uids: UInt64s) -> npt.NDArray[np.bytes_]:
    """The uids as 16-byte strings, which sort and compare as the words do."""
    return np.ascontiguousarray(uids.astype(">u8")).view("S16").ravel()
