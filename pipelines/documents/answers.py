"""What only a person can say of a data set: the questions, and a file of answers that documents are written from.

The questions of the datasheet follow Gebru et al., "Datasheets for Datasets" (CACM 64(12), 2021; arXiv 1803.09010), section by section, in
our words; `facts` names what the ledger answers instead of, or beside, a person.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from curate.errors import CeterisError, nearest

FILE = "answers.yaml"
MARK = "**To be answered by a person**"
"""Stands in a document wherever an answer is missing."""


@dataclass(frozen=True)
class Question:
    """A question under its key; `facts` is the part of the datasheet that the ledger can fill (`pipelines/documents/datasheet.py`)."""

    key: str
    text: str
    facts: str = ""

    @property
    def free(self) -> bool:
        """Whether it asks for what no other question does, so that no answer leaves nothing open."""
        return self.key.endswith(_MORE)


_MORE = "_more"


ABOUT = (
    Question("creator", "Who made this data set: a person's or an organisation's name, or a list of names"),
    Question("url", "The address of the data set's page"),
    Question("published", "The date of publication, YYYY-MM-DD"),
    Question("licence", "The licence of the collection as a whole (not of its rows): an SPDX identifier or an address"),
    Question("version", "The version, MAJOR.MINOR.PATCH"),
    Question("publisher", "Who publishes it, where that is somebody else"),
    Question("citation", "How it is to be cited, best in BibTeX"),
    Question("sources", "Data sets on the hub that the pool was made from: a list of owner/name"),
    Question("tasks", "What it is for, in the hub's words: a list such as text-generation"),
)
"""What Croissant and the hub's card ask of a person."""

_ASKED: dict[str, tuple[Question, ...]] = {
    "Motivation": (
        Question("purpose", "For what purpose was it made, and which gap was it to fill?"),
        Question("team", "Who made it, and for which organisation?"),
        Question("funding", "Who paid for it?"),
    ),
    "Composition": (
        Question("instances", "What does one row stand for? Are there several kinds of rows?", "instances"),
        Question("count", "How many rows are there, of each kind?", "count"),
        Question("sample", "Is it all possible rows, or a sample of a larger set? How was it drawn, and is it representative?", "sample"),
        Question("content", "What does each row hold: raw data, or features of them?", "content"),
        Question("labels", "Does each row have a label or a target?", "labels"),
        Question("missing", "Is anything missing from single rows, and why?", "missing"),
        Question("relations", "Are relations between rows made explicit?", "relations"),
        Question("splits", "Which splits are recommended, and why?"),
        Question("noise", "Which errors, sources of noise or repetitions does it hold?", "noise"),
        Question("external", "Does it stand alone, or rest on resources elsewhere that may change or vanish?", "external"),
        Question("confidential", "Does it hold anything that might count as confidential?"),
        Question("offensive", "Does it hold anything that might offend, insult, threaten or frighten?"),
        Question("groups", "Does it say to which groups people belong, by age or gender for example? How are they spread?"),
        Question("identifiable", "Can people be identified in it, directly or together with other data?", "personal"),
        Question("sensitive", "Does it hold data that count as sensitive in any way?", "personal"),
    ),
    "Collection": (
        Question("acquired", "How was each row obtained: observed, reported by people, or derived from other data?", "acquired"),
        Question("mechanisms", "By which devices, people or software was it collected, and how was that checked?", "mechanisms"),
        Question("sampling", "If it is a sample, by which strategy was it drawn?", "sampling"),
        Question("collectors", "Who took part in collecting it, and how were they paid?"),
        Question(
            "timeframe", "Over which time was it collected (YYYY-MM-DD to YYYY-MM-DD), and is that the time when its content was made?"
        ),
        Question("review", "Was there an ethical review, and what came of it?"),
        Question("direct", "Was it collected from the people concerned, or through others?"),
        Question("notice", "Were the people concerned told?"),
        Question("consent", "Did they consent, and to what?"),
        Question("withdrawal", "Can they take consent back, and how?"),
        Question("impact", "Was the effect on the people concerned assessed?"),
    ),
    "Processing": (
        Question("processing", "Which cleaning, selection or labelling was done?", "processing"),
        Question("raw", "Were the raw data kept, and where?", "raw"),
        Question("software", "Is the software that did it available?", "software"),
    ),
    "Uses": (
        Question("used", "For which tasks was it used already?", "used"),
        Question("papers", "Is there a list of papers or systems that use it?"),
        Question("other_uses", "For which other tasks might it be used?"),
        Question("risks", "Does its making limit later uses? What should a user know to avoid unfair or harmful effects?"),
        Question("not_for", "For which tasks should it not be used?"),
    ),
    "Distribution": (
        Question("third_parties", "Will it be given to others outside the organisation?"),
        Question("channel", "How is it distributed, and has it a DOI?", "channel"),
        Question("when", "When is it distributed?"),
        Question("terms", "Under which licence or terms of use?", "terms"),
        Question("ip", "Do others restrict the use of its rows by rights of their own?", "rights"),
        Question("export", "Do export controls or other rules apply?"),
    ),
    "Maintenance": (
        Question("host", "Who hosts and maintains it?"),
        Question("contact", "How can its maintainers be reached?"),
        Question("erratum", "Is there an erratum?"),
        Question("updates", "Will it be updated: how often, by whom, and how are users told?"),
        Question("retention", "Are there limits on how long data about people are kept?"),
        Question("old_versions", "Will older versions stay available?"),
        Question("extend", "Can others extend it, and how is that checked?"),
    ),
    "Fairness": (
        Question("bias", "Which biases are known or suspected?", "bias"),
        Question("social_impact", "What might it do to society, for good or ill?"),
        Question("collection_type", "How was the pool collected, in Croissant's words: Web Scraping, Surveys, Software Collection, ..."),
    ),
}
_OURS = "Fairness"
SECTIONS = {
    title: asked if title == _OURS else (*asked, Question(f"{title.lower()}{_MORE}", "Is there anything else to say of this?"))
    for title, asked in _ASKED.items()
}
"""The datasheet's questions by section, the paper's 57; the last section is what Croissant's vocabulary for responsible AI asks besides."""

QUESTIONS = {one.key: one for one in (*ABOUT, *(one for section in SECTIONS.values() for one in section))}
_LISTS = ("creator", "publisher", "sources", "tasks", "licence")

Answers = dict[str, Any]


def read_answers(path: Path | None) -> Answers:
    """The answers in a file, without blank ones. CeterisError for an unknown key or a value that is no text (or list of texts)."""
    if path is None or not path.is_file():
        if path is not None:
            raise CeterisError("there is no such file of answers", where=str(path), fix="documents come with one to fill in: answers.yaml")
        return {}
    try:
        told = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except (YAMLError, UnicodeDecodeError) as error:
        raise CeterisError(f"this is no YAML: {error}", where=str(path), fix="correct it, or begin again from the file written") from error
    if not isinstance(told, dict):
        raise CeterisError("answers are a mapping of question to answer", where=str(path), fix="write `creator: NAME`")
    found = {}
    for key, value in told.items():
        if key not in QUESTIONS:
            raise CeterisError(f"there is no question {key}", where=str(path), fix=nearest(str(key), QUESTIONS))
        if value in (None, "", []):
            continue
        found[key] = _plain(key, value, path)
    return found


def _plain(key: str, value: Any, path: Path) -> Any:
    if key in _LISTS:
        if all(isinstance(one, str) for one in many(value)):
            return many(value)
    elif not isinstance(value, dict | list):
        return str(value).strip()
    raise CeterisError(f"the answer to {key} is no text{' or list of texts' if key in _LISTS else ''}", where=str(path), fix="quote it")


def write_answers(path: Path, answers: Answers) -> None:
    """The file to fill in: every question with its key, answered or blank."""
    sheet = CommentedMap()
    for title, questions in {"For Croissant and the hub": ABOUT, **SECTIONS}.items():
        for number, one in enumerate(questions):
            sheet[one.key] = answers.get(one.key)
            heading = f"\n{title}\n" if number == 0 else ""
            sheet.yaml_set_comment_before_after_key(one.key, before=f"{heading}{one.text}")
    yaml = YAML()
    yaml.width = 120
    with path.open("w", encoding="utf-8") as file:
        file.write("# What only a person can say; documents are written again with `curate document SUBSET OUT --answers FILE`.\n")
        yaml.dump(sheet, file)


def many(value: Any) -> list[Any]:
    """A value that may stand alone or in a list, or not at all."""
    return value if isinstance(value, list) else [] if value is None else [value]
