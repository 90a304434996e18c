"""Memory that one column frees is kept for the next: the C library would give it back each time, and the system clear every page again."""

import ctypes
import os
import sys

KEPT, MAPPED = 128 << 20, 4 << 20
"""Bytes that lie free at most, and from how many an array is mapped by itself: NumPy asks for large pages then."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep(mapped: int = MAPPED) -> bool:
    """Say so to glibc, unless the environment says something else; False where nothing was said. `mapped`: 32 MB at most."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SET_BY_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    return mallopt is not None and mallopt(_TRIM_THRESHOLD, KEPT) == 1 and mallopt(_MMAP_THRESHOLD, mapped) == 1
