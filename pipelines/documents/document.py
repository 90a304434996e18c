"""The verb `document`: writes a subset's documents beside an export of it, and never over what a person has changed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.digest import sha256
from curate.errors import CeterisError, nearest
from curate.record import Run
from pipelines import verbs
from pipelines.documents.answers import FILE, Answers, read_answers, write_answers
from pipelines.documents.card import card
from pipelines.documents.croissant import croissant
from pipelines.documents.croissant_check import blank, refuse_faults
from pipelines.documents.datasheet import datasheet, unanswered
from pipelines.documents.exported import Exported, read_export
from pipelines.documents.facts import Facts
from pipelines.documents.huggingface import LICENCE_FILE, faults, licence_table, metadata, readme
from pipelines.documents.prov import prov

LIST = "documents.json"
Pages = dict[str, str]


@dataclass(frozen=True)
class Documented:
    """What was written: `files`; the questions that Croissant requires an answer to and has none (`required`); all `unanswered` ones."""

    folder: Path
    files: tuple[str, ...]
    exported: str
    required: tuple[str, ...]
    unanswered: tuple[str, ...]


def document(
    run: Run, subset: str, out: str | Path, kinds: Sequence[str] = (), layout: str | None = None, answers: str | Path | None = None
) -> Documented:
    """Write a subset's documents into `out`: croissant, datasheet, card, prov, huggingface; all unless `kinds` names some.

    They describe the export of this subset in `out`. Where there is none, one is made first: `layout`, else the list of its uids. `answers`
    is the file with what only a person can say; else the one in `out`, which is written there with blanks to fill in. CeterisError where
    rows of the subset were taken down, where the export is of other rows, or where somebody changed a document.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise CeterisError(f"there is no document {unknown[0]}", where="--as", fix=nearest(unknown[0], KINDS))
    folder, facts = Path(out), Facts(run, subset)
    chosen = facts.subset  # refuses what was taken down before anything is written
    exported = read_export(folder, facts)
    if exported is None:
        verbs.export(chosen, folder, layout or "uids")
        exported = read_export(folder, facts)
    elif layout not in (None, exported.layout):
        what = f"an export of the layout {exported.layout} is there"
        raise CeterisError(what, where=str(folder), fix=f"name another folder, or leave out {layout}")
    if exported is None:
        raise CeterisError("the subset has no row, so that there are no files to describe", where=run.folder, fix="name another subset")
    own = folder / FILE
    said = read_answers(Path(answers) if answers else own if own.is_file() else None)
    pages: Pages = {}
    for kind in kinds or KINDS:
        pages |= KINDS[kind](facts, exported, said)
    _write(folder, pages)
    if not own.is_file():
        write_answers(own, said)
    required = blank(croissant(facts, exported, said))
    return Documented(folder, tuple(pages), exported.layout, tuple(required), tuple(unanswered(facts, exported, said)))


def _croissant(facts: Facts, exported: Exported, said: Answers) -> Pages:
    made = croissant(facts, exported, said)
    refuse_faults(made, str(exported.folder / "croissant.json"))
    return {"croissant.json": _json(made)}


def _huggingface(facts: Facts, exported: Exported, said: Answers) -> Pages:
    told = metadata(facts, exported, said)
    if found := faults(told):
        raise CeterisError(f"the hub would refuse this card: {'; '.join(found)}", where=FILE, fix="correct the answers")
    pages = {"README.md": readme(facts, exported, said)}
    return pages | ({LICENCE_FILE: licence_table(facts)} if told.get("license_link") == LICENCE_FILE else {})


KINDS: dict[str, Callable[[Facts, Exported, Answers], Pages]] = {
    "croissant": _croissant,
    "datasheet": lambda facts, exported, said: {"datasheet.md": datasheet(facts, exported, said)},
    "card": lambda facts, exported, said: {"data-card.md": card(facts, exported, said)},
    "prov": lambda facts, exported, _: {"prov.json": _json(prov(facts, exported))},
    "huggingface": _huggingface,
}
"""What each kind of document is written as: file names and their content."""


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(folder: Path, pages: Pages) -> None:
    """All of them, or none where one of that name is not as we wrote it."""
    listed = folder / LIST
    ours: dict[str, str] = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}
    for name in pages:
        there = folder / name
        if there.exists() and sha256(there.read_bytes()) != ours.get(name):
            what = "somebody has written or changed this document" if name in ours else "a file of this name is there already"
            raise CeterisError(what, where=str(there), fix=f"move it away; what a person says belongs into {FILE}, and stays")
    written = {name: sha256(text.encode()) for name, text in pages.items()}
    listed.write_text(json.dumps({**ours, **written}, indent=2, sort_keys=True) + "\n", encoding="utf-8")  # first: a stop leaves ours only
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
