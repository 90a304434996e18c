"""Our own check of a Croissant document, without mlcroissant, which accepts one that has no name: required fields, identifiers, references.

The rules are those of Croissant 1.1 that can be checked without reading data; it is applied to every document we write.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from curate.errors import CeterisError
from pipelines.documents.answers import many
from pipelines.documents.croissant import CONFORMS

_BY_PEOPLE = {"creator": "creator", "url": "url", "datePublished": "published", "license": "licence"}
"""What Croissant requires and only a person can say, with the question that asks for it."""
_ALWAYS = ("@context", "@type", "conformsTo", "name", "description", "distribution")
_TERMS = ("sc", "cr", "rai", "dct", "conformsTo", "dataType", "recordSet", "field", "source", "extract")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def blank(document: Mapping[str, Any]) -> list[str]:
    """The questions that Croissant requires an answer to and this document leaves open."""
    return [question for name, question in _BY_PEOPLE.items() if not document.get(name)]


def check(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document, as sentences naming the place; what only a person can say may be missing (`blank`)."""
    return list(_faults(document))


def refuse_faults(document: Mapping[str, Any], where: str) -> None:
    """CeterisError naming every fault."""
    if found := check(document):
        raise CeterisError(f"this is no Croissant 1.1: {'; '.join(found)}", where=where, fix="write the document again from its run")


def _faults(document: Mapping[str, Any]) -> Iterator[str]:
    for name in _ALWAYS:
        if not document.get(name):
            yield f"{name} is missing"
    if not isinstance(document.get("@context"), dict) or [term for term in _TERMS if term not in document["@context"]]:
        yield "@context lacks terms of the standard"
    if document.get("@type") not in ("sc:Dataset", "Dataset"):
        yield "@type is not sc:Dataset"
    for one in CONFORMS:
        if one not in many(document.get("conformsTo")):
            yield f"conformsTo lacks {one}"
    if "datePublished" in document and not _DATE.fullmatch(str(document["datePublished"])):
        yield "datePublished is no date"
    files, sets = many(document.get("distribution")), many(document.get("recordSet"))
    fields = [field for records in sets for field in many(records.get("field"))]
    names = [str(one.get("@id")) for one in (*files, *sets, *fields)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the identifier {name} is not unique"
    places = {str(one.get("@id")) for one in files}
    for one in files:
        yield from _file(one, places)
    for records in sets:
        yield from _records(records, places)


def _file(one: Mapping[str, Any], places: set[str]) -> Iterator[str]:
    name, kind = one.get("@id", "a file"), one.get("@type")
    needed = {"cr:FileObject": ("@id", "name", "contentUrl", "encodingFormat"), "cr:FileSet": ("@id", "name", "includes", "encodingFormat")}
    if kind not in needed:
        yield f"{name} is neither cr:FileObject nor cr:FileSet"
        return
    for key in needed[kind]:
        if not one.get(key):
            yield f"{name} lacks {key}"
    within = many(one.get("containedIn"))
    for place in within:
        if place.get("@id") not in places:
            yield f"{name} lies in {place.get('@id')}, which is not there"
    if kind == "cr:FileObject" and not within and not _SHA256.fullmatch(str(one.get("sha256"))):
        yield f"{name} has no SHA-256"


def _records(records: Mapping[str, Any], places: set[str]) -> Iterator[str]:
    name, fields = records.get("@id", "a record set"), many(records.get("field"))
    if records.get("@type") != "cr:RecordSet" or not records.get("@id"):
        yield f"{name} is no cr:RecordSet"
    if not fields:
        yield f"{name} has no fields"
    for key in many(records.get("key")):
        if key.get("@id") not in [field.get("@id") for field in fields]:
            yield f"the key {key.get('@id')} of {name} is none of its fields"
    for field in fields:
        where = field.get("@id", f"a field of {name}")
        if field.get("@type") != "cr:Field" or not str(field.get("@id", "")).startswith(f"{name}/"):
            yield f"{where} is no cr:Field of {name}"
        if not field.get("dataType"):
            yield f"{where} has no dataType"
        source = field.get("source", {})
        origin = source.get("fileObject") or source.get("fileSet") or {}
        if origin.get("@id") not in places:
            yield f"{where} is taken from {origin.get('@id')}, which is not there"
        if not source.get("extract"):
            yield f"{where} does not say what of its file it is"
