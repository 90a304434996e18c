"""The frozen snapshot's documents, by what they serve for."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pipelines.demo.text.snapshot import FILE


class Document(NamedTuple):
    """A text with where it is from: `module` is the file or help topic, `license` the SPDX identifier that its source declares."""

    name: str
    text: str
    source: str
    version: str
    license: str
    part: str
    module: str
    language: str


@functools.cache
def documents(part: str) -> Sequence[Document]:
    """Those of a part, in the snapshot's order: `pool`, `trusted`, `held_out`, `out_of_domain`, `foreign` (messages) or `licence`
    (paragraphs)."""
    rows: list[dict[str, Any]] = pq.read_table(FILE, filters=[("part", "=", part)]).to_pylist()
    return tuple(Document(**row) for row in rows)
