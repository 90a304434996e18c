"""A policy: which declared licences, opt-outs and gaps a subset may have. A file that says so, and the rows that offend against it."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from curate.errors import RecipeError, nearest
from curate.shape import Strict, validated
from curate.yaml_source import LARGEST, Source, Spot, read
from filters._licenses import CLASSES
from pipelines.provenance.terms import holds

SCOPES = ("item", "page", "index")
"""Of what a declaration speaks, from the row itself to a whole listing."""

_Class = Annotated[str, WithJsonSchema({"enum": list(CLASSES)})]
_Licence = Annotated[str, WithJsonSchema({"type": "string"})]
_Values = Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean", "null", "array"]})]


class ClassKeys(Strict):
    """Classes of declared licences, as `license.class` names them."""

    allow: list[_Class] | SkipJsonSchema[None] = Field(default=None, description="only these, and what licences.allow names besides")
    refuse: list[_Class] = Field(default_factory=list, description="never these")


class LicenceKeys(Strict):
    """Licences by SPDX identifier or LicenseRef, `*` for any characters, or a whole expression."""

    allow: list[_Licence] | SkipJsonSchema[None] = Field(default=None, description="only these, and the classes that classes.allow names")
    refuse: list[_Licence] = Field(default_factory=list, description="never these, whatever their class")


class PolicyKeys(Strict):
    """A Ceteris policy: what the rows of a subset must declare."""

    evidence: str | SkipJsonSchema[None] = Field(
        default=None, description="the run's name for its evidence of licences, where it has several"
    )
    classes: ClassKeys = Field(default_factory=lambda: ClassKeys(), description="classes that rows may, or may not, have")
    licences: LicenceKeys = Field(default_factory=lambda: LicenceKeys(), description="licences that rows may, or may not, declare")
    scope: Literal["item", "page", "index"] = Field("index", description="the least: item (of the row itself), page, index (anything)")
    confidence: float = Field(0.0, ge=0, le=1, description="the least confidence of the evidence, 0 to 1")
    conflicts: Literal["refuse", "note"] = Field(
        "refuse", description="rows whose places declare different licences; noted, they are judged by the least open"
    )
    absent: Literal["refuse", "note"] = Field("refuse", description="rows that declare no licence; noted or not, they are never open")
    opt_outs: dict[str, _Values] = Field(
        default_factory=dict, description="column: the value, or values, that opt out; license.NAME or pool.NAME; null means unsaid"
    )
    required: list[str] = Field(default_factory=list, description="roles that every row must fill, such as source and url")


@dataclass(frozen=True)
class Policy:
    """What a policy file says, checked as far as it can be without a run."""

    keys: PolicyKeys
    source: Source

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """The policy in a file. RecipeError names file, line and column."""
        file = Path(path)
        if not file.is_file():
            raise RecipeError("there is no such policy", where=str(path), fix="name a YAML file; docs/provenance.md has one to start from")
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        try:
            return cls.parse(data.decode("utf-8-sig"), where=str(path))
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise RecipeError("not UTF-8 text", where=f"{path}:{line}:1", fix="save the policy as UTF-8") from error

    @classmethod
    def parse(cls, text: str, *, where: str = "policy") -> "Policy":
        """The policy in a text; `where` names it in errors."""
        source = read(text, where=where)
        if not isinstance(source.value, dict) or not source.value:
            raise RecipeError(
                "a policy is a mapping", where=source.at(()), fix="for example `classes: {allow: [public-domain, permissive]}`"
            )
        made = cls(validated(PolicyKeys, source.value, source.at), source)
        for key in ("allow", "refuse"):
            made._check(("classes", key), getattr(made.keys.classes, key) or [], lambda one: one in CLASSES, CLASSES)
            made._check(("licences", key), getattr(made.keys.licences, key) or [], _is_licence, [])
        return made

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """JSON Schema (2020-12) of policies, for editors to complete and check by."""
        made = PolicyKeys.model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Ceteris policy"}

    def at(self, clause: str) -> str:
        """Where a clause, as `Offence` names it, stands: file:line:column, or that it holds without being written."""
        first, _, rest = clause.partition(".")
        if first not in self.source.value:
            return "always" if first == "evidence" else "by default"
        if first == "required":
            return self.source.at((first, self.keys.required.index(rest)))
        return self.source.at((first, rest) if rest else (first,), key=True)

    def _check(self, spot: Spot, values: Sequence[str], known: Callable[[str], bool], names: Sequence[str]) -> None:
        for number, value in enumerate(values):
            if not known(value):
                kind = "class" if names else "licence that SPDX lists"
                near = [] if names else [each for each in _spdx() if each[:1].casefold() == value[:1].casefold()]
                close = difflib.get_close_matches(value, names, n=1, cutoff=0.8)  # `open` is not copyleft
                fix = nearest(value, close or near) if close or not names else f"the classes are: {', '.join(names)}"
                raise RecipeError(f"{value!r} is no {kind}", where=self.source.at((*spot, number)), fix=fix)

    def refusal(self, expression: str, kind: str) -> str | None:
        """The clause by which a declared licence of class `kind` is refused, None where it may stay.

        What is not understood in full is `unknown`; naming the licence does not let it in, naming the class does.
        """
        return self._judged.setdefault((expression, kind), self._refusal(expression, kind))

    @cached_property
    def _judged(self) -> dict[tuple[str, str], str | None]:
        return {}

    def _refusal(self, expression: str, kind: str) -> str | None:
        classes, licences = self.keys.classes, self.keys.licences
        if holds(expression, lambda one: _matches(one, licences.refuse), of_and=any):
            return "licences.refuse"
        if kind in classes.refuse:
            return "classes.refuse"
        if classes.allow is None and licences.allow is None:
            return None
        named = kind != "unknown" and holds(expression, lambda one: _matches(one, licences.allow or ()), of_and=all)
        if named or kind in (classes.allow or ()):
            return None
        return "licences.allow" if classes.allow is None else "classes.allow"


def _matches(licence: str, patterns: Sequence[str]) -> bool:
    """Whether one names this licence, or is this expression; a `*` stands for no AND, OR or WITH."""
    return any(licence == one or (" " not in licence and fnmatchcase(licence, one)) for one in patterns)


def _is_licence(text: str) -> bool:
    """Whether a text names licences: known ones, LicenseRefs, a pattern that some known one matches, or an expression of them."""
    if "*" in text or "?" in text:
        return text.startswith("LicenseRef-") or any(fnmatchcase(one, text) for one in _spdx())
    words = [word for word in re.split(r"[ ()]+", text) if word and word not in ("AND", "OR", "WITH")]
    return bool(words) and all(word.startswith("LicenseRef-") or word in _spdx() for word in words)


def _spdx() -> Mapping[str, Any]:
    from license_expression import get_spdx_licensing

    known: Mapping[str, Any] = get_spdx_licensing().known_symbols
    return known


@dataclass(frozen=True)
class Offence:
    """A clause and how many rows offend against it: `where` it stands in the policy, what it `says`."""

    clause: str
    says: str
    where: str
    rows: int


@dataclass(frozen=True)
class Checked:
    """A subset held against a policy: `rows` read, `offending` rows among them, `offences` by clause, the `first` of them (uid, `original`,
    clause, value), what is only `noted`, where all of them were written (`out`), and the `fix` where rows have no evidence."""

    subset: str
    run: str
    policy: str
    rows: int
    offending: int
    offences: list[Offence]
    first: list[dict[str, str]]
    noted: dict[str, int]
    out: str | None
    fix: str

    @property
    def passed(self) -> bool:
        """Whether no row offends."""
        return not self.offences

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "passed": self.passed}
