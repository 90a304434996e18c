# ruff: noqa: T201  a benchmark prints
"""A pool of the documents of a Debian machine: `python -m benchmarks.machine_docs FOLDER`.

Manual pages in all languages (without their roff requests), and HTML, plain text, change logs and copyright files of /usr/share/doc. The
licence is that of the package as its copyright file writes it: its `License:` lines, or, where it has none, the whole file. Another machine
gives another pool: `apt-get install manpages-de manpages-fr manpages-ja debian-handbook ...` makes it larger.
"""

import argparse
import functools
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa

from pipelines.pool_writer import write_pool

SCHEMA = pa.schema([(name, pa.string()) for name in ("uid", "text", "source", "license", "kind")])
DOCS, MANUALS, PACKAGES = Path("/usr/share/doc"), Path("/usr/share/man"), Path("/var/lib/dpkg/info")
HTML, PLAIN = {".html", ".htm", ".xhtml"}, {".txt", ".md", ".rst", ".pod", "", ".debian", ".text"}
UNSEEN_TAGS = {"script", "style", "head"}
BLOCK_TAGS = {"p", "div", "br", "li", "tr", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "table"}


class Text(HTMLParser):
    """What a page shows, a line for every block."""

    def __init__(self) -> None:
        """Nothing was shown yet."""
        super().__init__()
        self.parts: list[str] = []
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002, D102
        self.unseen += tag in UNSEEN_TAGS
        self.parts += ["\n"] if tag in BLOCK_TAGS else []

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        self.unseen -= tag in UNSEEN_TAGS and self.unseen > 0
        self.parts += ["\n"] if tag in BLOCK_TAGS else []

    def handle_data(self, data: str) -> None:  # noqa: D102
        self.parts += [] if self.unseen else [data]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder, left_out = parser.parse_args().folder, Counter[str]()
    print(f"{write_pool(folder, documents(left_out), SCHEMA):,} documents; left out: {dict(left_out)}")


def documents(left_out: Counter[str]) -> Iterator[dict[str, str | None]]:
    """Every document in the order of paths; counts what holds no text."""
    owners = {Path(line): path.stem for path in sorted(PACKAGES.glob("*.list")) for line in path.read_text("utf-8").splitlines()}
    for path in sorted([*DOCS.rglob("*"), *MANUALS.rglob("*")]):
        if path.is_symlink() or not path.is_file():
            continue
        kind, text = document(path)
        if text is None or not text.strip():
            left_out[kind] += 1
            continue
        source = owners.get(path, "").partition(":")[0] or None
        yield {"uid": str(path), "text": text, "source": source, "license": source and licence(source), "kind": kind}


def document(path: Path) -> tuple[str, str | None]:
    """Kind and text of a file; None where it is none."""
    data, name = path.read_bytes(), path
    if path.suffix == ".gz":
        try:
            data, name = gzip.decompress(data), path.with_suffix("")
        except (OSError, EOFError, zlib.error):
            return "unreadable", None
    if MANUALS in path.parents:
        return "manual", manual(data.decode("utf-8", "replace"))
    if name.suffix.lower() in HTML:
        page = Text()
        page.feed(data.decode("utf-8", "replace"))
        return "page", re.sub(r"\n\s*\n+", "\n\n", "".join(page.parts)).strip()
    if name.stem.lower().startswith("changelog") or name.name.lower() in ("news", "news.debian"):
        return "changes", data.decode("utf-8", "replace")
    if name.name == "copyright":
        return "copyright", data.decode("utf-8", "replace")
    if name.suffix.lower() not in PLAIN or b"\0" in data[:4096]:
        return "other format", None
    return "text", data.decode("utf-8", "replace")


def manual(source: str) -> str | None:
    """A manual page without requests, comments and escapes, headings and emphasised words kept; None for a reference to another page."""
    if source.startswith(".so "):
        return None
    kept = re.sub(
        r"(?m)^[.'](?:\\\"|TH|so|nf|fi|ad|na|nh|hy|if|ie|el|de|ds|nr|tr|ft|in|ta|sp|ne|PD|RS|RE|rr|rm|mso|ig|\.).*\n?", "", source
    )
    kept = re.sub(r"(?m)^[.'](?:SH|SS|Sh|Ss)[ \t]*\"?([^\"\n]*)\"?.*$", r"\n\1", kept)
    kept = re.sub(r"(?m)^[.'](?:P|PP|LP|TP|IP|HP|Pp|br)\b.*$", "", kept)
    kept = re.sub(r"(?m)^[.'][A-Za-z]{1,3}[ \t]+", "", kept)
    kept = re.sub(r"(?m)^[.'].*\n?", "", kept)
    kept = re.sub(r"\\f(?:\[\w*\]|\(..|.)|\\s[-+]?\d|\\[&|^/%,:]", "", kept)
    return re.sub(r"\\\[?(?:aq|cq|oq)\]?|\\\((?:aq|cq|oq)", "'", kept).replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").strip()


@functools.cache
def licence(package: str) -> str | None:
    """As the package's copyright file writes it."""
    path = DOCS / package / "copyright"
    if not path.is_file():
        return None
    text = path.read_text("utf-8", errors="replace")
    named = dict.fromkeys(re.findall(r"(?m)^License:[ \t]*(\S.*)$", text))
    return "; ".join(named) or text


if __name__ == "__main__":
    main()
