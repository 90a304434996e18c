"""What is taken out of rows on their way out: personal data of texts, faces of images. The pool itself is never changed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

Boxes = list[list[float]]
Blur = Callable[[bytes, Boxes], tuple[bytes | None, str | None]]


@dataclass
class Redaction:
    """What is taken out of the text role on its way out: `apply` gives the changed texts and how many of what it took out of them."""

    name: str
    apply: Callable[[pl.Series], tuple[pl.Series, dict[str, int]]]
    taken: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def texts(self, texts: pl.Series) -> pl.Series:
        """The texts changed; counts what was taken out."""
        changed, taken = self.apply(texts)
        self.rows += int(changed.ne_missing(texts).sum())
        self.taken = {name: self.taken.get(name, 0) + count for name, count in taken.items()}
        return changed

    def column(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column of texts changed, of the same type."""
        texts = pl.Series(values=values.cast(pa.large_string()), dtype=pl.String)
        return pa.chunked_array([self.texts(texts).to_arrow().cast(values.type)])

    @property
    def facts(self) -> dict[str, Any]:
        """What was done, for export.json."""
        return {"redaction": self.name, "redacted": self.taken, "redacted_rows": self.rows}


@dataclass
class Blurring:
    """What is made unrecognisable in images on their way out: `apply` gives the changed image of one and its boxes, or why there is none.

    An image of which the pool says nothing about faces leaves as it is (`unchecked`); one whose boxes are there and cannot be read, also
    because the JSON that would hold them is broken, or that cannot be changed, does not leave at all (`left_out`, by code).
    """

    name: str
    apply: Blur
    boxes: int = 0
    images: int = 0
    unchecked: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def encoded(self, images: Sequence[bytes | None], boxes: pl.Series, faults: pl.Series | None) -> list[bytes | None]:
        """Images with what lies in their boxes changed; None for those that do not leave."""
        codes = faults.to_list() if faults is not None else [None] * len(images)
        return [self._one(*one) for one in zip(images, boxes.to_list(), codes, strict=True)]

    def _one(self, image: bytes | None, text: str | None, code: str | None) -> bytes | None:
        if image is None:
            return None
        if text is None and code is None:
            self.unchecked += 1
            return image
        found: Boxes = json.loads(text or "[]")
        if not found and code is None:
            return image
        changed, code = self.apply(image, found) if code is None else (None, code)
        if changed is None:
            self.left_out[code or "unchanged"] = self.left_out.get(code or "unchanged", 0) + 1
            return None
        self.images, self.boxes = self.images + 1, self.boxes + len(found)
        return changed

    @property
    def facts(self) -> dict[str, Any]:
        """What was done, for export.json."""
        counts = {"blurred": self.boxes, "blurred_images": self.images, "unchecked_images": self.unchecked, "left_out": self.left_out}
        return {"blurring": self.name, **counts}
