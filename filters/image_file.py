"""What an image file is before it is opened: how many bytes, and of which format."""

import polars as pl

from curate.signal import signal

_MAGIC = {
    "JPEG": [b"\xff\xd8\xff"],
    "PNG": [b"\x89PNG\r\n\x1a\n"],
    "GIF": [b"GIF87a", b"GIF89a"],
    "WEBP": [b"RIFF"],
    "BMP": [b"BM"],
    "TIFF": [b"II*\0", b"MM\0*"],
}
FORMATS = pl.Enum([*_MAGIC, "other"])


@signal(version=1, reads=["image"], writes={"bytes": pl.UInt32, "format": FORMATS})
def image_file(batch: pl.DataFrame) -> pl.DataFrame:
    """The size of the file in bytes, and its format by its first bytes (`other` where they are of none of JPEG, PNG, GIF, WEBP, BMP, TIFF).

    Nothing is read but that: a broken file has a size and a format too. LAION-5B left images of less than 5 KB out (Schuhmann et al.,
    arXiv 2210.08402). Null where there is no image.
    """
    image = pl.col("image")
    found = pl.lit("other")
    for name, heads in _MAGIC.items():
        starts = pl.any_horizontal([image.bin.starts_with(head) for head in heads])
        if name == "WEBP":  # RIFF holds sounds and films too
            starts &= image.bin.slice(8, 4) == b"WEBP"
        found = pl.when(starts).then(pl.lit(name)).otherwise(found)
    kind = pl.when(image.is_not_null()).then(found).cast(FORMATS)
    return batch.select(bytes=image.bin.size().cast(pl.UInt32), format=kind)
