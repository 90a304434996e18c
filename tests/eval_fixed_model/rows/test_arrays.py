from pathlib import Path

import numpy as np

from eval_fixed_model.rows.arrays import Positions, digest, has_twice, header


def test_an_array_grows_under_one_header(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        header(file, np.dtype(np.uint16), (0, 3))
        for part in range(400):
            file.write(np.full((7, 3), part, np.uint16).tobytes())
        header(file, np.dtype(np.uint16), (2800, 3))
    assert (np.load(tmp_path / "a.npy", mmap_mode="r") == np.repeat(np.arange(400), 7)[:, None]).all()


def test_positions_keep_order_and_copies_and_leave_out_strangers() -> None:
    uids = np.random.default_rng(0).integers(0, 2**64, (50, 2), np.uint64)
    uids[:, 0] //= 2**60  # many high words are equal
    asked = np.concatenate([uids[[5, 2, 5]], np.array([[1, 2]], np.uint64), uids[[0]]])
    assert list(Positions(uids).of(asked)) == [5, 2, 5, 0]
    assert not len(Positions(uids[:0]).of(asked))


def test_a_uid_that_comes_twice_is_seen() -> None:
    uids = np.array([[1, 2], [2, 1], [1, 3]], np.uint64)
    assert not has_twice(uids)
    assert has_twice(uids[[0, 1, 2, 1]])


def test_a_digest_is_of_the_rows_and_their_copies_in_any_order() -> None:
    uids, copies = np.array([[1, 2], [2, 1], [1, 3]], np.uint64), np.array([1, 2, 1])
    whole = digest(uids, copies)
    assert digest(uids[::-1], copies[::-1]) == whole
    assert len({whole, digest(uids, np.array([2, 1, 1])), digest(uids[:2], copies[:2])}) == 3
