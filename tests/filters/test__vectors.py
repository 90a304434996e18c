import numpy as np
import polars as pl
import pytest

from curate.errors import RecipeError
from filters._vectors import unit, vectors


def packed(*rows):
    return pl.Series("features", [None if row is None else np.array(row, "<f2").tobytes() for row in rows], dtype=pl.Binary)


def test_vectors_are_rows_of_a_matrix_and_missing_ones_are_zeros():
    made, there = vectors(packed([1, -2.5], None, [0.5, 4]), "heads")
    assert made.tolist() == [[1, -2.5], [0, 0], [0.5, 4]]
    assert there.tolist() == [True, False, True]
    assert vectors(packed(None, None), "heads")[0].shape == (2, 0)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (packed([1, 2], [1]), "vectors of 2, 4 bytes"),
        (pl.Series("f", [b"abc"]), "vectors of 3 bytes"),
        (pl.Series("f", ["x"]), "f is String"),
    ],
)
def test_what_is_no_vector_of_one_width_is_refused(values, what):
    with pytest.raises(RecipeError, match=what) as raised:
        vectors(values, "heads")
    assert (raised.value.where, bool(raised.value.fix)) == ("heads", True)


def test_unit_length_leaves_zeros_alone():
    assert np.allclose(unit(np.array([[3, 4], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]])
