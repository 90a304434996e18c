"""The engine's own measurement: which rows hold the same content, so that trusted rows never enter a pool's subsets."""

import polars as pl

from curate.digest import row_hash
from curate.signal import signal


@signal(version=1, reads=[], optional=["image", "text"], writes={"key": pl.Binary})
def content(batch: pl.DataFrame) -> pl.DataFrame:
    """The 128-bit hash of the image's bytes, or of the text's where there is no image; null where there is neither."""
    images, texts = batch["image"].to_list(), batch["text"].to_list()
    keys = [
        row_hash([b"image", image]) if image is not None else row_hash([b"text", text.encode()]) if text is not None else None
        for image, text in zip(images, texts, strict=True)
    ]
    return pl.DataFrame({"key": pl.Series(keys, dtype=pl.Binary)})
