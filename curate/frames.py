"""Frames as Parquet bytes with page checksums: how evidence, decisions and subsets lie in the store."""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import StoreError


def to_bytes(frame: pl.DataFrame) -> memoryview:
    """Parquet of a frame; Enums are stored as their text."""
    enums = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    plain = frame.with_columns(pl.col(name).cast(pl.String) for name in enums) if enums else frame
    whole = {name: dtype for name, dtype in plain.schema.items() if dtype.is_integer()}
    near = {name: "DELTA_BINARY_PACKED" for name, dtype in whole.items() if name == "row" or dtype not in (pl.UInt64, pl.Int64)}
    options = {
        "compression": "none" if len(whole) == plain.width else "zstd",  # words of hashes do not shrink, and packed integers hardly
        "use_dictionary": [name for name, dtype in plain.schema.items() if dtype == pl.String],
        "column_encoding": near or None,
        "write_statistics": False,
        "write_page_checksum": True,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(plain.to_arrow(), sink, **options)
    return memoryview(sink.getvalue())


def from_bytes(data: bytes, *, where: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The frame in Parquet bytes, every page checked. StoreError names `where` when they are damaged."""
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            table = file.read(columns=None if columns is None else list(columns), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"a stored file is damaged: {error}", where=where, fix="delete this file's folder; the next run measures it again"
        ) from error
    return pl.DataFrame(pl.from_arrow(table))
