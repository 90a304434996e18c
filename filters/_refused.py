"""Evaluation images, by file and by pixels, that training rows must not hold."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from curate.digest import row_hash
from curate.errors import PoolError, RecipeError
from filters._image import ImageError, decode

_LISTED = 3
_COLUMNS = ("image", "jpg", "png", "bytes")
_PACKED = (".tar", ".tgz", ".gz", ".zip", ".zst", ".npz")


def refuse_rows(rows: pl.DataFrame, place: str) -> None:
    """PoolError if an image of `rows` (columns image, text) is a file, or shows the pixels, of an evaluation image under `place`, saying
    how many are and the first of them; RecipeError if `place` holds no image that can be read, or an archive."""
    known = _known(place)
    found = [(row, name) for row, image in enumerate(rows["image"]) if image is not None and (name := _name(image, known))]
    if found:
        first = ", ".join(f"row {row} in order of uids ({str(rows['text'][row])[:40]!r}) is {name}" for row, name in found[:_LISTED])
        fix = "remove them: what is evaluated must not have been trained on"
        raise PoolError(f"{len(found):,} trusted rows show evaluation images", where=first, fix=fix)


def keys(image: bytes) -> tuple[bytes, ...]:
    """What tells an image: its bytes, and the pixels it decodes to, where it decodes."""
    try:
        pixels = np.asarray(decode(image))
    except ImageError:
        return (row_hash([b"file", image]),)
    return row_hash([b"file", image]), row_hash([b"pixels", str(pixels.shape).encode(), pixels.tobytes()])


def _name(image: bytes, known: dict[bytes, str]) -> str | None:
    return next((known[key] for key in keys(image) if key in known), None)


def _known(place: str) -> dict[bytes, str]:
    known: dict[bytes, str] = {}
    decoded = False
    for name, image in _images(Path(place)):
        told = keys(image)
        decoded |= len(told) > 1
        for key in told:
            known.setdefault(key, name)
    if not decoded:
        raise RecipeError("there are no evaluation images", where=place, fix="give a Parquet file with a column `image`, or a folder")
    return known


def _images(place: Path) -> Iterator[tuple[str, bytes]]:
    """The images under a place, each with a name: FILE, or FILE row N."""
    if not place.exists():
        raise RecipeError("there is no such place", where=str(place), fix="give a Parquet file with a column `image`, or a folder")
    for path in sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]:
        if path.suffix in _PACKED:
            raise RecipeError("archives are not looked into", where=str(path), fix="unpack it, or give a Parquet file")
        if path.suffix != ".parquet":
            yield path.name, path.read_bytes()
            continue
        try:
            scan = pl.scan_parquet(path)
            schema = scan.collect_schema()
            column = next((name for name in _COLUMNS if name in schema), None)
            if column is None:
                what = f"there is no column image (it has {', '.join(schema.names())})"
                raise RecipeError(what, where=str(path), fix="call the column of images `image`")
            struct = isinstance(schema[column], pl.Struct)
            frame = scan.select(pl.col(column).struct.field("bytes") if struct else pl.col(column)).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise RecipeError(f"the evaluation images cannot be read: {error}", where=str(path), fix="write the file again") from error
        yield from ((f"{path.name} row {row}", image) for row, image in enumerate(frame.to_series()) if isinstance(image, bytes))
