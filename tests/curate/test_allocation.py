import resource
import sys

import numpy as np
import pytest

from curate.allocation import keep


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_memory_that_is_freed_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if not keep():
        pytest.skip("this C library has no mallopt")
    assert _faults(1 << 20) < 1 / 4
    assert keep(mapped=32 << 20)
    assert _faults(12 << 20) < 1 / 4


def _faults(size: int) -> float:
    """The share of an array's pages that the system clears when the same size is asked for again."""
    np.ones(size // 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(size // 8)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / (100 * size // resource.getpagesize())


def test_what_the_environment_says_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")
    assert not keep()
