"""Frames as Parquet bytes with page checksums: how evidence, decisions and subsets lie in the store."""

import io
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import StoreError


def to_bytes(frame: pl.DataFrame) -> bytes:
    """Parquet of a frame; Enums are stored as their text."""
    enums = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    plain = frame.with_columns(pl.col(name).cast(pl.String) for name in enums) if enums else frame
    repeated = [name for name, dtype in plain.schema.items() if dtype in (pl.String, pl.Int8, pl.UInt8, pl.Int16, pl.UInt16)]
    near = {name: "DELTA_BINARY_PACKED" for name, dtype in plain.schema.items() if name == "row" or dtype in (pl.Int32, pl.UInt32)}
    sink = io.BytesIO()
    options = {"compression": "zstd", "use_dictionary": repeated, "column_encoding": near or None, "write_page_checksum": True}
    pq.write_table(plain.to_arrow(), sink, **options)
    return sink.getvalue()


def from_bytes(data: bytes, *, where: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The frame in Parquet bytes, every page checked. StoreError names `where` when they are damaged."""
    try:
        table = pq.read_table(pa.BufferReader(data), columns=columns, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"a stored file is damaged: {error}", where=where, fix="delete this file's folder; the next run measures it again"
        ) from error
    return pl.DataFrame(pl.from_arrow(table))
