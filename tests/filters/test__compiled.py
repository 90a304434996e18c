import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from filters._compiled import kernel, load64, store64, zeros


@kernel
def _copied(data, out, where, there):
    store64(out, there, load64(data, where))


@kernel
def _lowest(value):
    return zeros(value)


@pytest.mark.parametrize(("where", "there"), [(0, 0), (1, 8), (3, 2), (8, 5)])
def test_eight_bytes_are_moved_at_any_alignment(where: int, there: int) -> None:
    data, out = np.arange(1, 17, dtype=np.uint8), np.zeros(16, np.uint8)
    _copied(data, out, where, there)
    expected = np.zeros(16, np.uint8)
    expected[there : there + 8] = data[where : where + 8]
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("bit", [0, 1, 7, 31, 63])
def test_zeros_below_the_lowest_bit_are_counted(bit: int) -> None:
    assert _lowest(np.uint64(1 << bit)) == bit
    assert _lowest(np.uint64((1 << 63) | (1 << bit))) == bit


def test_without_a_place_to_keep_it_a_kernel_still_compiles() -> None:
    """A function of no file has nowhere to be kept, as on a read-only installation without a home."""
    space: dict[str, object] = {}
    exec(compile("def double(x):\n    return 2 * x\n", "<nowhere>", "exec"), space)
    assert kernel(space["double"])(21) == 42


def test_processes_that_compile_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    code = (
        "import polars as pl\nfrom filters.near_duplicate_text import sketch\n"
        "print(sketch(pl.DataFrame({'text': ['one two three four five six']}))['key'][0].hex())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [(*process.communicate(), process.returncode) for process in started]
    again = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    ended.append((again.stdout, again.stderr, again.returncode))
    assert len(set(ended)) == 1
    assert ended[0][1:] == ("", 0)
    assert list(tmp_path.rglob("*sketches*.nbc"))
