"""Rows with exactly the same content."""

import polars as pl

from curate.digest import row_hash
from curate.grouping import grouping
from curate.signal import signal


@signal(version=1, reads=[], optional=["image", "text"], writes={"key": pl.Binary}, uses=["xxhash"])
def content(batch: pl.DataFrame) -> pl.DataFrame:
    """Key = 128-bit hash of the image's bytes where the row has an image, else of its text's UTF-8, else null.

    On image-text rows the image alone decides: equal captions are evidence, not a verdict. Image and text keys never meet.
    """
    keys = [_key(image, text) for image, text in zip(batch["image"], batch["text"], strict=True)]
    return pl.DataFrame({"key": keys}, schema={"key": pl.Binary})


def _key(image: bytes | None, text: str | None) -> bytes | None:
    if image is not None:
        return row_hash([b"image", image])
    return None if text is None else row_hash([b"text", text.encode()])


exact_duplicate = grouping("exact_duplicate", version=1, sketch=content)
"""Rows whose keys are equal; there are no links, and similarity is 1."""
