# ruff: noqa: T201  a benchmark prints
"""The corpus of the benchmarks: `python -m benchmarks.text_corpus FOLDER [--documents 50000] [--seed 1]`.

text-*.parquet: real sentences of this machine's Python (docstrings of its library, package descriptions) and manual pages, drawn anew into
documents of one language (`lang_true`) and lognormal length, mean about 3 KB. A tenth of the documents are copies of others: equal, or with
words or one block replaced until the Jaccard similarity of their word 5-grams is near .95, .9, .8, .7 or .5; the exact one of every pair is
written to truth.parquet. pages-*.parquet: the same sources as they are, with their line breaks, from 200 characters.

The same machine and seed give the same corpus; another machine gives another, so only ratios within one run compare. Technical prose;
languages are those whose manual pages are installed and that are written with spaces.
"""

import argparse
import ast
import gzip
import importlib.metadata
import random
import re
import sysconfig
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import polars as pl

from pipelines.planted import varied

LEVELS = {"exact": 1.0, "0.95": 0.95, "0.9": 0.9, "0.8": 0.8, "0.7": 0.7, "0.5": 0.5}
SHORTEST, SHORT, PAGE = 400, 800, 200  # characters: the least of a copied document, of a document that shares nothing, of a page
FEWEST, SHARDS = 500, 8  # sentences of a language; files
ENGLISH, UNSPACED = "en", {"ja", "th", "zh"}
Pools = dict[str, list[str]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(write(given.folder, list(sources()), given.documents, given.seed))


def write(folder: Path, read: list[tuple[str, str]], count: int, seed: int) -> str:
    """Make the corpus of such sources; says how large it is."""
    rows, pages = documents(pools_of(read), count, random.Random(seed)), pages_of(read)
    folder.mkdir(parents=True, exist_ok=True)
    for shard, part in enumerate(rows.select("id", "text", "lang_true").iter_slices(-(-len(rows) // SHARDS))):
        part.write_parquet(folder / f"text-{shard:05d}.parquet", row_group_size=4096)
    pages.write_parquet(folder / "pages-00000.parquet", row_group_size=4096)
    rows.select("id", "orig_id", "jaccard_true", "level").write_parquet(folder / "truth.parquet")  # last: the corpus is whole
    sizes = [f"{some['text'].str.len_bytes().sum() / 1_000_000:.1f} MB" for some in (rows, pages)]
    return f"{len(rows)} documents, {sizes[0]} in {rows['lang_true'].n_unique()} languages; {len(pages)} pages, {sizes[1]}"


def sources() -> Iterator[tuple[str, str]]:
    """Language (ISO 639-1) and text of what this machine has."""
    for distribution in importlib.metadata.distributions():
        yield ENGLISH, distribution.read_text("METADATA") or ""
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" not in file.parts:
            yield from ((ENGLISH, text) for text in docstrings(file))
    manuals = Path("/usr/share/man")
    for file in sorted(manuals.rglob("*.gz")):
        page = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
        place = file.relative_to(manuals).parts[0]
        language = ENGLISH if place.startswith("man") else place.partition("_")[0].partition(".")[0]
        yield language, re.sub(r"\\f.|\\", "", re.sub(r"(?m)^[.'].*$", "\n", page))


def docstrings(file: Path) -> Iterator[str]:
    """Those of a module and of all in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def pages_of(read: list[tuple[str, str]]) -> pl.DataFrame:
    """Distinct texts, in an order that does not follow the files'."""
    pages = pl.DataFrame({"text": [text for _, text in read if len(text) >= PAGE]})
    return pages.unique("text", maintain_order=True).sample(fraction=1.0, shuffle=True, seed=0)


def pools_of(read: list[tuple[str, str]]) -> Pools:
    """Distinct sentences of each language that has enough of them, but those without spaces: what has spaces there is half English."""
    found: dict[str, set[str]] = {}
    for language, text in read:
        if language not in UNSPACED:
            found.setdefault(language, set()).update(sentences(text))
    return {language: sorted(some) for language, some in sorted(found.items()) if len(some) >= FEWEST or language == ENGLISH}


def sentences(text: str) -> Iterator[str]:
    """Sentences of six words or more that are mostly letters."""
    for paragraph in text.split("\n\n"):
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
            if 40 <= len(sentence) <= 600 and sentence.count(" ") >= 5 and sum(map(str.isalpha, sentence)) > 0.68 * len(sentence):
                yield sentence


def documents(pools: Pools, count: int, draw: random.Random) -> pl.DataFrame:
    """Shuffled rows: id, text, lang_true, orig_id (-1: no copy), jaccard_true, level (single, orig, or that of the copy).

    Languages are drawn by the square root of what there is of each. Short documents share no sentence while there are enough, since two
    of them with one long sentence in common would be alike by chance.
    """
    copies = {level: count // 60 for level in LEVELS}
    rows: list[tuple[str, str, int, float, str]] = []
    weights = [sqrt(len(pool)) for pool in pools.values()]
    unused = {language: iter(draw.sample(pool, len(pool))) for language, pool in pools.items()}
    for language in draw.choices(list(pools), weights, k=count - sum(copies.values())):
        pool, length = pools[language], min(max(draw.lognormvariate(7.45, 1.05), 60), 150_000)
        parts: list[str] = []
        while sum(map(len, parts)) < length:
            if length < SHORT:
                parts.append(next(unused[language], None) or draw.choice(pool))
            else:
                parts += draw.choices(pool, k=max(1, int(length - sum(map(len, parts))) // 200))
        rows.append((" ".join(parts), language, -1, 1.0, "single"))
    originals = iter(draw.sample([i for i, row in enumerate(rows) if len(row[0]) > SHORTEST], sum(copies.values())))
    for level, number in copies.items():
        for original in (next(originals) for _ in range(number)):
            text, language, *_ = rows[original]
            rows[original] = (text, language, -1, 1.0, "orig")
            fresh = " ".join(draw.choices(pools[language], k=1 + len(text) // 100))
            copy = varied(text, fresh, LEVELS[level], block=draw.random() < 0.5, draw=draw)
            own, new = grams(text.split()), grams(copy.split())
            rows.append((copy, language, original, len(own & new) / len(own | new), level))
    order = draw.sample(range(len(rows)), len(rows))
    place = {old: new for new, old in enumerate(order)}
    return pl.DataFrame(
        [(new, *rows[old][:2], place.get(rows[old][2], -1), *rows[old][3:]) for new, old in enumerate(order)],
        schema={
            "id": pl.Int64,
            "text": pl.String,
            "lang_true": pl.String,
            "orig_id": pl.Int64,
            "jaccard_true": pl.Float64,
            "level": pl.String,
        },
        orient="row",
    )


def grams(words: list[str]) -> set[tuple[str, ...]]:
    """Every five words in a row."""
    return set(zip(*(words[i:] for i in range(5)), strict=False))


if __name__ == "__main__":
    main()
