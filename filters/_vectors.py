"""Vectors as evidence holds them: little-endian float16, one value a row."""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import RecipeError

Floats = npt.NDArray[np.float32]


def vectors(values: pl.Series, user: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(rows, width) float32, zeros where there is none, and which rows have one. Of rows without any the width is 0.

    Raises RecipeError, naming the signal `user`, if the evidence holds no vectors or some of other widths.
    """
    if values.dtype != pl.Binary:
        fix = "give it a column of vectors, such as clip_embedding's image or a pool's"
        raise RecipeError(f"{values.name} is {values.dtype}, not vectors", where=user, fix=fix)
    there = values.is_not_null().to_numpy()
    held = values.drop_nulls()
    sizes = held.bin.size().unique()
    if sizes.len() > 1 or (sizes.len() and (sizes[0] % 2 or not sizes[0])):
        found = ", ".join(str(size) for size in sizes.sort().to_list())
        raise RecipeError(f"{values.name} holds vectors of {found} bytes", where=user, fix="all must be float16 and of one width")
    width = int(sizes[0]) // 2 if sizes.len() else 0
    made = np.zeros((len(values), width), np.float32)
    made[there] = np.frombuffer(b"".join(held.to_list()), "<f2").reshape(len(held), width)
    return made, there


def unit(matrix: Floats) -> Floats:
    """The rows at unit length; zeros stay zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))[:, None]
    return np.asarray(np.divide(matrix, length, out=np.zeros_like(matrix), where=length > 0), np.float32)
