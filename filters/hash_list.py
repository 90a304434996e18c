"""A list of hashes of files or pictures that must not be kept, from a local file."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from curate.digest import sha256
from curate.errors import RecipeError
from curate.model import Made, Weights, model

if TYPE_CHECKING:
    from filters._hashes import Listed

_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256"}
_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "pdq": 32}
_HEX = re.compile(r"[0-9a-fA-F]+")


@model(version=1, files=("file",))
def hash_list(*, file: str, kind: str | None = None, column: str | None = None) -> Made:
    """Freeze the hashes in `file`: a text with one a line (`#` begins a comment), a .csv with a header, or a .parquet, in the column named,
    or the first whose values are hashes.

    Hex digits in either case: 32 are an MD5, 40 a SHA-1, 64 a SHA-256 of a file's bytes; `kind: pdq` says that 64 are PDQ hashes of
    pictures (Meta, ThreatExchange), and any `kind` that all hashes are of it. The card tells how many of each and the list's digest; it
    holds no other word of the list. Raises RecipeError, with line or row, for whatever is no hash: a list that is read by half protects by
    half.
    """
    if kind is not None and kind not in _BYTES:
        raise RecipeError(f"hash_list: there is no kind {kind}", where=file, fix=f"one of {', '.join(_BYTES)}; or none, told by length")
    found: dict[str, list[bytes]] = {}
    for place, text in _entries(Path(file), column):
        known = _BY_LENGTH.get(len(text)) if kind is None else kind
        if known is None or not _HEX.fullmatch(text) or len(text) != 2 * _BYTES[known]:
            what = f"{len(text)} characters are no hash" if kind is None else f"{len(text)} characters are no {kind} in hex"
            raise RecipeError(what, where=f"{file}, {place}", fix="remove the line, or name the column or the kind")
        found.setdefault(known, []).append(bytes.fromhex(text))
    if not found:
        raise RecipeError("the list is empty", where=file, fix="give a file with one hash a line")
    weights = {each: np.frombuffer(b"".join(sorted(set(some))), np.uint8).reshape(-1, _BYTES[each]) for each, some in found.items()}
    digest = sha256(b"".join(each.encode() + weights[each].tobytes() for each in sorted(weights)))
    shape = {"hashes": {each: len(some) for each, some in sorted(weights.items())}, "digest": digest[:16]}
    return Made(weights, {"architecture": shape, "licence": "that of the list; hashes only"})


@hash_list.loader
def load(weights: Weights, card: dict[str, Any]) -> "Listed":
    """What `hash_match` asks."""
    from filters._hashes import listed  # loads a compiler, which no plan needs

    return listed(weights, card["architecture"])


def _entries(path: Path, column: str | None) -> Iterator[tuple[str, str]]:
    """(place, hash as it is written) of every entry."""
    fix = "give a text with one hash a line, a .csv or a .parquet"
    try:
        if path.suffix == ".parquet":
            yield from _of_frame(pl.read_parquet(path), path, column)
            return
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"the list cannot be read: {error}", where=str(path), fix=fix) from error
    if path.suffix == ".csv":
        try:
            rows = list(csv.reader(io.StringIO(text)))
        except csv.Error as error:
            raise RecipeError(f"the list cannot be read: {error}", where=str(path), fix=fix) from error
        header = rows[0] if rows else []
        odd = next((name for name in header if header.count(name) > 1 or _is_hash(name.strip())), None)
        if odd is not None:
            what = f"two columns are called {odd}" if header.count(odd) > 1 else "its first line is a hash, not names of columns"
            raise RecipeError(what, where=str(path), fix="give it a first line that names each column")
        columns = {name: [row[place] if place < len(row) else "" for row in rows[1:]] for place, name in enumerate(header)}
        yield from _of_frame(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), path, column)
        return
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if entry:
            yield f"line {number}", entry


def _of_frame(frame: pl.DataFrame, path: Path, column: str | None) -> Iterator[tuple[str, str]]:
    if column is None:
        fits = (name for name, values in frame.to_dict().items() if values.dtype == pl.String and _looks(values))
        column = next(fits, None)
    if column is None or column not in frame.columns or frame[column].dtype != pl.String:
        what = "there is no column of hashes" if column is None else f"there is no column {column} of texts"
        raise RecipeError(f"{what} (it has {', '.join(frame.columns)})", where=str(path), fix="name it: `column: ...`")
    for number, entry in enumerate(frame[column].to_list()):
        yield f"row {number}", (entry or "").strip()


def _looks(values: pl.Series) -> bool:
    """Whether the first values look like hashes."""
    some = [value for value in values.drop_nulls().str.strip_chars().head(20) if value]
    return bool(some) and all(_is_hash(value) for value in some)


def _is_hash(text: str) -> bool:
    return len(text) in _BY_LENGTH and _HEX.fullmatch(text) is not None
