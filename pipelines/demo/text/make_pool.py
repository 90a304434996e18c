"""Make the text demo's pool: `python -m pipelines.demo.text.make_pool DIR --seed S --rows N`.

Every row is a document of the snapshot, or bad in one way, or a copy of such a row. The rates are effective: what a count over the
finished pool gives (of all rows, rounded to whole rows).

| kind | rate | what it is | what could notice it |
|---|---|---|---|
| clean | 42.2 % | prose of the documentation of five packages | |
| foreign | 22 % | messages in one of 18 other languages | a language identifier |
| boilerplate | 9 % | web pages that speak of cookies, orders and themselves | a classifier |
| licence | 4 % | paragraphs of software licences | a classifier |
| shuffled | 5 % | the words of a document in random order | nothing here but a classifier of pairs of words |
| noise | 5 % | base64, hexadecimal digits, random letters | rules about words |
| table | 6 % | lines of numbers | rules about words |
| spliced | 3 % | sentences begun by one document and ended by another | nothing: no filter aims at it |
| scanned | 3 % | one letter in eight misread | nothing: no filter aims at it |
| leaked | 0.4 % | a document of the test split, half of them with a line around it | comparison with the evaluation items |
| blank | 0.4 % | no text, or only white space | length |

Of all rows 20 % are copies of others of their kind, half of them exact, the others edited, cut or framed; heads by Zipf.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import UInt64s, digest_of, h, hex_of
from curate.errors import CeterisError
from pipelines.demo.text import defects
from pipelines.demo.text.documents import Document, documents
from pipelines.demo.text.evaluation_set import Leakable, asked, leakable

_BLANK = (None, "", "  \n")
_OWN = Document("", "", "ceteris", "", "Apache-2.0", "", "pipelines/demo/text", "en")
_COLUMNS = ("text", "id", "dump", "url", "date", "file_path", "source", "license")
_POOL = pa.schema([(name, pa.string()) for name in _COLUMNS])
_SAID = ("kind", "language", "copy_of", "copy_kind", "name")
_TRUTH = pa.schema([("uid", pa.string()), ("good", pa.bool_()), *((name, pa.string()) for name in _SAID), ("leak_of", pa.int64())])


@dataclass
class _Row:
    """A row, and the document that it was made of, or the first of them."""

    text: str | None
    origin: Document
    language: str | None = None
    leak_of: int | None = None


def make_pool(folder: Path, *, rows: int = 5_000, seed: int = 0, shards: int = 4) -> None:
    """Write `shards/*.parquet` (FineWeb's layout), `trusted/trusted.parquet` (clean documents of other sources), `items/TASK.parquet`
    (what the test split asks, to keep out of training), and, aside, `truth/truth.parquet`: per uid its kind, `good`, the copied row's uid,
    `leak_of` (row number in the evaluation Parquet) and the name of the document it was made of.

    Equal arguments give equal rows everywhere. Raises CeterisError for more rows than the snapshot has documents for, about 7,000.
    """
    kinds = defects.kinds(rows, random.Random(f"text kinds {seed}"))
    copies = defects.copied(kinds, random.Random(f"text copies {seed}"))
    made = _made(kinds, copies, random.Random(f"text rows {seed}"))
    how = _copy(made, copies, random.Random(f"text copying {seed}"))
    uids = hex_of(h("demo text pool", seed, _numbers(rows)))
    pool = _table(uids, made, random.Random(f"text dates {seed}"))
    for number in range(shards):
        start, stop = (rows * place // shards for place in (number, number + 1))
        _write(pool.slice(start, stop - start), folder / "shards" / f"part-{number:05d}.parquet")
    trusted = [_Row(one.text, one) for one in documents("trusted")]
    names = hex_of(h("demo text trusted", 0, _numbers(len(trusted))))
    _write(_table(names, trusted, random.Random("text trusted")), folder / "trusted" / "trusted.parquet")
    for task, texts in asked().items():
        _write(pa.table({"text": texts}), folder / "items" / f"{task}.parquet")
    truth = {
        "uid": uids,
        "good": [kind == "clean" for kind in kinds],
        "kind": kinds,
        "language": [row.language for row in made],
        "copy_of": [uids[copies[row]] if row in copies else None for row in range(rows)],
        "copy_kind": how,
        "name": [row.origin.name or None for row in made],
        "leak_of": [row.leak_of for row in made],
    }
    _write(pa.table(truth, schema=_TRUTH), folder / "truth" / "truth.parquet")


def fingerprint(folder: Path) -> str:
    """Hex SHA-256 of the pool's rows in order: equal wherever the pool is made, whatever writes the Parquet."""
    rows = [row for path in sorted((folder / "shards").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return digest_of(rows)


def _made(kinds: Sequence[str], copies: dict[int, int], rng: random.Random) -> list[_Row]:
    """Every row; copies as what they are copied from."""
    every, items = documents("pool"), leakable()
    needed = sum(_DOCUMENTS.get(kind, 0) for row, kind in enumerate(kinds) if row not in copies)
    if needed > len(every) or kinds.count("leaked") > len(items):
        what = f"a pool of {len(kinds)} rows needs {needed} documents, and the snapshot has {len(every)}"
        raise CeterisError(what, where="pipelines.demo.text.make_pool", fix="ask for fewer rows")
    unused = iter(rng.sample(every, len(every)))
    leaks = iter(rng.sample(items, len(items)))
    made = {row: _row(kind, unused, leaks, rng) for row, kind in enumerate(kinds) if row not in copies}
    return [replace(made[copies.get(row, row)]) for row in range(len(kinds))]


def _row(kind: str, unused: Iterator[Document], leaks: Iterator[Leakable], rng: random.Random) -> _Row:
    if kind == "leaked":
        number, one = next(leaks)
        return _Row(one.text if rng.random() < 0.5 else defects.near_copy(one.text, "framed", rng), one, "en", number)
    if kind == "foreign":
        return _Row(*defects.foreign(rng))
    if kind == "licence":
        return _Row(*defects.licence(rng), "en")
    if kind in _FILLERS:
        return _Row(_FILLERS[kind](rng), _OWN)
    one = next(unused)
    if kind == "spliced":
        return _Row(defects.spliced(one.text, next(unused).text), one, "en")
    return _Row(_CHANGES[kind](one.text, rng), one, "en")


_DOCUMENTS = {"clean": 1, "shuffled": 1, "scanned": 1, "spliced": 2}
_CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "clean": lambda text, _: text,
    "shuffled": defects.shuffled,
    "scanned": defects.scanned,
}
_FILLERS: dict[str, Callable[[random.Random], str | None]] = {
    "boilerplate": defects.boilerplate,
    "noise": defects.noise,
    "table": defects.table,
    "blank": lambda rng: rng.choice(_BLANK),
}


def _copy(made: list[_Row], copies: dict[int, int], rng: random.Random) -> list[str | None]:
    """Change the texts of copies, and say how each was changed; null for rows that are none."""
    how: list[str | None] = [None] * len(made)
    for row in sorted(copies):
        how[row] = "exact" if rng.random() < 0.5 else rng.choice(defects.NEAR_COPIES)
        if how[row] != "exact":
            made[row].text = defects.near_copy(made[row].text or "", str(how[row]), rng)
    return how


def _table(uids: list[str], made: Sequence[_Row], rng: random.Random) -> pa.Table:
    return pa.table(
        {
            "text": [row.text for row in made],
            "id": uids,
            "dump": ["text-demo"] * len(made),
            "url": [f"https://{row.origin.source.lower()}.example/{number}" for number, row in enumerate(made)],
            "date": [f"{rng.randint(2012, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T00:00:00Z" for _ in made],
            "file_path": [row.origin.module for row in made],
            "source": [row.origin.source for row in made],
            "license": [row.origin.license for row in made],
        },
        schema=_POOL,
    )


def _numbers(rows: int) -> UInt64s:
    return np.stack([np.zeros(rows, np.uint64), np.arange(rows, dtype=np.uint64)], axis=1)


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=1024)


def main() -> None:
    """The command line; prints the pool's fingerprint."""
    parser = argparse.ArgumentParser(description="Make the text demo's pool, trusted documents, items and truth.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--shards", type=int, default=4)
    given = parser.parse_args()
    make_pool(given.folder, rows=given.rows, seed=given.seed, shards=given.shards)
    print(f"pool fingerprint {fingerprint(given.folder)}")  # noqa: T201


if __name__ == "__main__":
    main()
