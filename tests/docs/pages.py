"""What the pages tell a reader to type: their blocks of commands, and the files that they show whole."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md")))

NOT_RUN = re.compile(r"#.*\b(needs a |takes \d+ minutes|Ctrl-C ends it)")
"""What a page says beside a command that is not run by the test, and that a reader should know, too."""

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^# ([\w./-]+\.(?:yaml|yml|py|jsonl|txt))\b")


@dataclass(frozen=True)
class Command:
    """A line to type: where it stands, and whether it is only for reading. `shown`: what the page says that it answers (of blocks of
    language `console`), line by line."""

    page: str
    line: int
    text: str
    shown: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """No comment says that it takes long, or needs what is not here."""
        return not NOT_RUN.search(self.text)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def blocks(page: Path) -> list[tuple[str, int, str]]:
    """(language, line of its first line, text) of every fenced block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(found[1], text[: found.start(2)].count("\n") + 1, found[2]) for found in _FENCE.finditer(text)]


def commands(page: Path) -> list[Command]:
    """Every line that begins with `curate` or `jq`, in order: of shell blocks as they stand, of console blocks behind `$`."""
    found = []
    for language, first, text in blocks(page):
        lines = text.splitlines()
        if language in ("sh", "bash"):
            found += [Command(str(page), first + at, line) for at, line in enumerate(lines) if line.startswith(("curate ", "jq "))]
        elif language == "console":
            starts = [at for at, line in enumerate(lines) if line.startswith("$ ")]
            for at, end in pairwise([*starts, len(lines)]):
                shown = tuple(line for line in lines[at + 1 : end] if line.strip())
                found.append(Command(str(page), first + at, lines[at][2:], shown))
    return found


def files(page: Path) -> dict[str, str]:
    """Name to text of every file that the page shows whole: its first line is a comment with its name."""
    named = {name[1]: text for _, _, text in blocks(page) if (name := _NAMED.match(text))}
    # JSON has no comments: its name stands above what is in the file.
    return {name: text.partition("\n")[2] if name.endswith(".jsonl") else text for name, text in named.items()}


def code(page: Path) -> list[tuple[int, str]]:
    """(line, text) of every block of Python that is not a file."""
    return [(line, text) for language, line, text in blocks(page) if language == "python" and not _NAMED.match(text)]
