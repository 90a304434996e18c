"""How the text demo's snapshot was frozen: `python -m pipelines.demo.text.snapshot DOCS DJANGO.whl`, with a pool made by
`curate pool --make python-docs DOCS` where the packages of `PARTS` are installed.

The committed Parquet is data: no release of any package moves it. From docstrings it takes runs of prose (the file's own definition below,
which no filter shares), without markup; from Django's catalogues of translations, messages in other languages. Every text is under the
licence of the package that it comes from: files that speak of a licence or copyright of their own, and vendored ones, are left out.
"""

import argparse
import ast
import importlib.metadata
import re
import sysconfig
import textwrap
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import row_hash

FILE = Path(__file__).with_name("snapshot.parquet")
PARTS = {
    "scikit-learn": "held_out", "pandas": "held_out", "polars": "held_out", "python": "out_of_domain",
    "Django": "trusted", "Jinja2": "trusted", "pydantic": "trusted",
    "numpy": "pool", "scipy": "pool", "torch": "pool", "sympy": "pool", "networkx": "pool",
}  # fmt: skip
"""What each source's prose serves for, and no other's: of Python the topics of `help()`, of the others docstrings."""
LICENCES = {
    "scikit-learn": "BSD-3-Clause", "pandas": "BSD-3-Clause", "polars": "MIT", "python": "PSF-2.0", "Django": "BSD-3-Clause",
    "Jinja2": "BSD-3-Clause", "pydantic": "MIT", "numpy": "BSD-3-Clause", "scipy": "BSD-3-Clause", "torch": "BSD-3-Clause",
    "sympy": "BSD-3-Clause", "networkx": "BSD-3-Clause",
}  # fmt: skip
"""What each declares for its own code; the notices that they ask for are in NOTICE.txt beside this file."""
NOTICE = FILE.with_name("NOTICE.txt")
LANGUAGES = ("ar", "cs", "de", "es", "fi", "fr", "hu", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "uk", "zh_Hans")
AT_MOST = {"pool": 3200, "trusted": 500, "held_out": 900, "out_of_domain": 400}
"""Documents of a part; of more, those of the smallest hashes of their names."""
SCHEMA = pa.schema([(name, pa.string()) for name in ("name", "text", "source", "version", "license", "part", "module", "language")])

_LINE = "=" * 100
_NOTICE_HEAD = """The text demo's snapshot (snapshot.parquet) and evaluation items (eval_fixed_model/tasks/tiny_text.parquet) hold
excerpts of the documentation of {sources}.

Changed: paragraphs of prose were taken out of docstrings, help topics and translations, unwrapped, joined, and stripped of markup
and placeholders; questions with choices hold words of them in another order. The pools that the demo makes change them further, as
pipelines/demo/text/make_pool.py says. Rows name source and licence. The licences of these works follow. Their authors endorse neither
this project nor what it derives.
"""
_SHORTEST, _LONGEST = 220, 900
_SHARED_AT_MOST = 0.1
_OWN_TERMS = re.compile(r"copyright|licen[cs]e|permission (is|to)|redistribution", re.IGNORECASE)
_SPDX = "# SPDX-License-Identifier: BSD-3-Clause"
_NOT_OWN = re.compile(
    r"vendor|extern|third_party|_lib/|array_api|(^|/)tests?/|testing|idlelib|lib2to3|turtle|distutils|f2py|multipledispatch"
)
_ROLE = re.compile(r":[\w:+-]+:`(?:[^`<]*<)?[~!.]*([^`<>]+)>?`")
_MARKUP = (
    (_ROLE, r"\1"), (re.compile(r"`([^`<]+?)\s*<[^>`]+>`_+"), r"\1"), (re.compile(r"``?([^`]+)``?_*"), r"\1"),
    (re.compile(r"\*\*?([^*\s][^*]*)\*\*?"), r"\1"), (re.compile(r"\s*\[[^\]\s]{1,12}\]_"), ""), (re.compile(r"\s+"), " "),
)  # fmt: skip


class _Document(NamedTuple):
    name: str
    text: str
    source: str
    version: str
    part: str
    module: str
    language: str = "en"

    def row(self) -> dict[str, str]:
        return {**self._asdict(), "license": LICENCES[self.source]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Freeze the text demo's snapshot.")
    parser.add_argument("docs", type=Path, help="a pool made by `curate pool --make python-docs`")
    parser.add_argument("django", type=Path, help="a wheel of Django")
    parser.add_argument("--to", type=Path, default=FILE.parent, help="the folder to write snapshot.parquet and NOTICE.txt to")
    given = parser.parse_args()
    docs = pl.read_parquet(given.docs / "*.parquet")
    terms = {source: _terms(source) for source in PARTS}
    versions = dict(docs.select("source", "version").unique().iter_rows())
    found = [*_chosen([*_prose(docs)]), *_foreign(given.django), *_paragraphs(terms, versions)]
    rows = [document.row() for document in found]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table, given.to / FILE.name, compression="zstd", compression_level=19, row_group_size=len(rows))
    (given.to / NOTICE.name).write_text(_notice(terms, versions), encoding="utf-8")


def _terms(source: str) -> str:
    """A source's own licence, without those of what its wheels bundle."""
    if source == "python":
        return (Path(sysconfig.get_paths()["stdlib"]) / "LICENSE.txt").read_text(encoding="utf-8")
    found = importlib.metadata.distribution(source)
    files = [path for path in found.files or [] if re.search(r"dist-info/(licenses/)?(LICENSE|COPYING)(\.txt)?$", str(path))]
    text = Path(str(found.locate_file(files[0]))).read_text(encoding="utf-8")
    return re.split(r"\n-{4,}\n\s*(?:-{4,}\s*)?This binary distribution", text)[0].rstrip("-\n ") + "\n"


def _notice(terms: dict[str, str], versions: dict[str, str]) -> str:
    ordered = sorted(terms, key=str.lower)
    parts = [f"{_LINE}\n{source} {versions[source]} ({LICENCES[source]})\n{_LINE}\n\n{terms[source]}" for source in ordered]
    return "\n".join([_NOTICE_HEAD.format(sources=", ".join(ordered)), *parts])


def _paragraphs(terms: dict[str, str], versions: dict[str, str]) -> Iterator[_Document]:
    """The paragraphs of the licences, each once: what pools hold too much of."""
    seen = set()
    for source, text in sorted(terms.items()):
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
            plain = re.sub(r"\s+", " ", paragraph).strip()
            if len(plain) >= 120 and plain.isascii() and plain.lower() not in seen:
                seen.add(plain.lower())
                yield _Document(f"{source}:licence/{number}", plain, source, versions[source], "licence", "LICENSE")


def _chosen(documents: list[_Document]) -> Iterator[_Document]:
    """Of each part as many as it may have, in the order of parts and names."""
    for part, most in AT_MOST.items():
        mine = [document for document in documents if document.part == part]
        least = sorted(mine, key=lambda one: row_hash([b"snapshot", one.name.encode()]))[:most]
        yield from sorted(least)


def _prose(docs: pl.DataFrame) -> Iterator[_Document]:
    """Documents of prose, without paragraphs of which more than a tenth of all eight words in a row came before, in any source."""
    seen: set[tuple[str, ...]] = set()
    for source in PARTS:
        own = {path for path in docs.filter(source=source)["path"].unique() if _is_own(source, path)}
        rows = docs.filter(pl.col("source") == source, pl.col("path").is_in(own)).sort("uid")
        for name, text, version, kind, path in rows.select("uid", "text", "version", "kind", "path").iter_rows():
            part = PARTS[source]
            if (kind == "topic") != (part == "out_of_domain"):
                continue
            fresh = (run for run in _runs(text) if _is_new(run, seen))
            module = name if kind == "topic" else f"{source}:{path}"
            for number, chunk in enumerate(_chunks(fresh, _LONGEST // 2 if kind == "topic" else _LONGEST)):
                yield _Document(f"{name}/{number}", chunk, source, version, part, module)


def _is_new(run: str, seen: set[tuple[str, ...]]) -> bool:
    """Whether hardly any eight words in a row were seen; then they are, now."""
    words = run.lower().split()
    grams = {tuple(words[i : i + 8]) for i in range(len(words) - 7)}
    new = len(grams & seen) <= _SHARED_AT_MOST * len(grams)
    seen |= grams if new else set()
    return new


def _is_own(source: str, path: str) -> bool:
    """Whether the file is the package's own and states no terms of its own."""
    topics = path.startswith("pydoc_data/")
    if path == "METADATA" or (_NOT_OWN.search(path) and not topics):
        return False
    text = _read(source, path)
    return topics or not _OWN_TERMS.search(text.replace(_SPDX, ""))


def _read(source: str, path: str) -> str:
    root = sysconfig.get_paths()["stdlib"] if source == "python" else importlib.metadata.distribution(source).locate_file("")
    return (Path(str(root)) / path).read_text(encoding="utf-8", errors="replace")


def _chunks(runs: Iterable[str], longest: int) -> Iterator[str]:
    """Runs, joined to texts of `_SHORTEST` to `longest` characters."""
    kept = ""
    for run in runs:
        if kept and len(kept) + len(run) >= longest:
            if len(kept) >= _SHORTEST:
                yield kept
            kept = ""
        kept = f"{kept}\n{run}".strip() if len(run) < longest else kept
    if len(kept) >= _SHORTEST:
        yield kept


def _runs(docstring: str) -> Iterator[str]:
    """Paragraphs that read as sentences: consecutive lines of one indent, from a capital to a full stop, mostly lower-case letters."""
    run: list[str] = []
    for line in [*textwrap.dedent(docstring).splitlines(), ""]:
        if run and (not line.strip() or _indent(line) != _indent(run[0])):
            text = _plain(" ".join(run))
            if _is_prose(text):
                yield text
            run = []
        if line.strip():
            run.append(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _plain(text: str) -> str:
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    return text.strip()


def _is_prose(text: str) -> bool:
    words = text.split()
    letters = sum(character.islower() or character == " " for character in text)
    ends = re.match(r"[A-Z]", text) and re.search(r"[a-z)]\.$", text)
    return (
        bool(ends) and len(words) >= 9 and text.isascii() and letters >= 0.88 * len(text) and not re.search(r">>>|::|--|==|[\\|{}@#]", text)
    )


def _foreign(wheel: Path) -> Iterator[_Document]:
    """Each language's messages of several words, as they stand in Django's catalogues of translations, without placeholders."""
    version = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as archive:
        for language in LANGUAGES:
            ending, seen = f"/locale/{language}/LC_MESSAGES/django.po", Counter[str]()
            for path in sorted(name for name in archive.namelist() if name.endswith(ending)):
                for text in _messages(archive.read(path).decode()):
                    seen[text] += 1
                    if seen[text] == 1:
                        code = language.split("_")[0]
                        yield _Document(f"Django:{code}/{len(seen):04d}", text, "Django", version, "foreign", path, code)


def _messages(catalogue: str) -> Iterator[str]:
    """Translations that are not marked as unsure."""
    for entry in catalogue.split("\n\n"):
        if "#, fuzzy" in entry or ('msgid ""\n"' not in entry and 'msgid ""' in entry):
            continue
        for found in re.finditer(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', entry, re.MULTILINE):
            text = "".join(ast.literal_eval(line) for line in found[1].splitlines())
            text = re.sub(r"%\(\w+\)\w|%[sd]|\{\{?[^}]*\}\}?|<[^>]*>", "", text)
            text = re.sub(r"\s+", " ", text).strip()
            if len(text.encode()) >= 40 and "Project-Id-Version" not in text:
                yield text


if __name__ == "__main__":
    main()
