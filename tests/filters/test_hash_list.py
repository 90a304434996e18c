import hashlib
from pathlib import Path

import numpy as np
import pytest

from curate.errors import RecipeError
from filters.hash_list import hash_list, load


def test_every_hash_of_a_long_list_is_found_and_no_other(tmp_path: Path) -> None:
    """Also those that end in zero bytes, or lie first and last."""
    known = [bytes([n % 251, n // 251]) for n in range(20_000)]
    digests = sorted(hashlib.md5(one).hexdigest() for one in known)
    ending = next(one for one in (b"zero %d" % n for n in range(10_000)) if hashlib.md5(one).hexdigest().endswith("00"))
    (tmp_path / "a.txt").write_text("\n".join([*digests, hashlib.md5(ending).hexdigest()]))
    made = hash_list(file=str(tmp_path / "a.txt"))
    listed = load(made.weights, made.card)
    assert all(listed.find(one) == ("md5", hashlib.md5(one).hexdigest()) for one in [*known[::37], ending])
    first, last = (next(one for one in known if hashlib.md5(one).hexdigest() == digest) for digest in (digests[0], digests[-1]))
    assert listed.find(first)
    assert listed.find(last)
    assert not any(listed.find(b"other %d" % n) for n in range(500))


def test_the_nearest_of_many_is_the_nearest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (500, 32), dtype=np.uint8)
    (tmp_path / "a.txt").write_text("\n".join(one.tobytes().hex() for one in hashes))
    made = hash_list(file=str(tmp_path / "a.txt"), kind="pdq")
    listed = load(made.weights, made.card)
    for one in (rng.integers(0, 256, 32, dtype=np.uint8), hashes[7] ^ np.uint8(1), hashes[9]):
        expected = int(np.unpackbits(hashes ^ one, axis=1).sum(axis=1).min())
        assert listed.distance(one.tobytes()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{a}\n{b}\n", "its first line is a hash"),
        ("note,{a}\nx,{b}\n", "its first line is a hash"),
        ("md5,md5\n{a},{b}\n", "two columns are called md5"),
        ("md5\n" + "0" * 200_000, "cannot be read"),
    ],
)
def test_a_table_that_would_lose_hashes_is_refused(content: str, message: str, tmp_path: Path) -> None:
    a, b = (hashlib.md5(one).hexdigest() for one in (b"a", b"b"))
    (tmp_path / "a.csv").write_text(content.format(a=a, b=b))
    with pytest.raises(RecipeError, match=message):
        hash_list(file=str(tmp_path / "a.csv"))
