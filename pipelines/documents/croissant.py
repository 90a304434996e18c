"""A subset's export as Croissant 1.1 with the vocabulary for responsible AI (RAI 1.0), JSON-LD.

Standards: http://mlcommons.org/croissant/1.1 (its Appendix 1 is the context), http://mlcommons.org/croissant/RAI/1.0. schema.org is written
with https, as mlcroissant expects. mlcroissant checks the digest of a file that fields name directly, and reads no file set that names its
files one by one; so a single file is named directly, and several are a file set of the folder.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from curate.exports.rows import column_names
from curate.layouts import BYTES, IMAGE, NULL, vector_length
from pipelines.documents.answers import Answers
from pipelines.documents.exported import Exported, Table
from pipelines.documents.facts import ABSENT, Facts, shortened
from pipelines.documents.known import CLEARANCE, known

CONFORMS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_OURS = (
    "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path",
    "readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "sdVersion", "separator", "source", "subField",
    "transform", "unArchive", "value",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _OURS},
}
FORMATS: dict[str, str | list[str]] = {
    "parquet": "application/x-parquet",
    "jsonl.zst": ["application/jsonlines", "application/zstd"],
    "webdataset": "application/x-tar",
    "uids": "text/plain",
    "npy": "application/octet-stream",
}
_MEMBERS = {
    "txt": "text/plain", "json": "application/json", "jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "bmp": "image/bmp",
    "tif": "image/tiff", "webp": "image/webp", "avif": "image/avif",
}  # fmt: skip
_ROWS, _FILES = "rows", "files"
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def croissant(facts: Facts, exported: Exported, answers: Answers) -> dict[str, Any]:
    """The document, in one order always. What only a person can say is left out where `answers` lack it (`croissant_check.check`)."""
    told = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.title,
        "conformsTo": list(CONFORMS),
        "description": _description(facts),
        "identifier": f"urn:ceteris:subset:{facts.digest}",
        "license": [*map(_licence, answers.get("licence", [])), *_declared(facts)],
        "url": answers.get("url"),
        "creator": _people(answers.get("creator", [])),
        "publisher": _people(answers.get("publisher", [])),
        "datePublished": answers.get("published"),
        "version": answers.get("version"),
        "citeAs": answers.get("citation"),
        "inLanguage": [code for code, _ in facts.languages],
        "keywords": [facts.run.pool.modality, "curated subset", facts.run.facts["name"]],
        "isLiveDataset": False,
        **_responsible(facts, exported, answers),
        "prov:wasDerivedFrom": {"@id": f"urn:ceteris:pool:{facts.run.pool.id}"},
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "@id": f"urn:ceteris:run:{facts.head}", "prov:label": facts.run.folder},
        "distribution": _distribution(exported),
        "recordSet": _record_sets(facts, exported),
    }
    return {key: value for key, value in told.items() if value not in (None, [], "")}


def _description(facts: Facts) -> str:
    often = f" ({facts.samples:,} with repetitions)" if facts.samples != len(facts.subset) else ""
    return (
        f"{len(facts.subset):,} rows{often} out of a pool of {facts.run.pool.rows:,} ({facts.run.pool.modality}): the subset {facts.name} "
        f"of the recipe {facts.run.facts['name']}. Why each row is in it can be looked up in the store of run "
        f"{facts.run.folder.removeprefix('runs/')}. {CLEARANCE}"
    )


def _people(names: Iterable[str]) -> list[dict[str, str]]:
    """Nobody says whether a name is a person's: an organisation may be one person."""
    return [{"@type": "sc:Organization", "name": name} for name in names]


def _licence(said: str) -> str:
    """SPDX's page on what is one of its identifiers, in whatever case, else what was said."""
    known = _identifiers().get(said.lower())
    return f"https://spdx.org/licenses/{known}.html" if known else said


@functools.cache
def _identifiers() -> dict[str, str]:
    from license_expression import get_spdx_licensing

    known = get_spdx_licensing().known_symbols.items()
    return {name.lower(): name for name, one in known if not one.is_exception and not name.startswith("LicenseRef-")}


def _declared(facts: Facts) -> list[dict[str, str]]:
    column, rows = facts.licences
    return [
        {
            "@type": "sc:CreativeWork",
            "name": value,
            **({"url": _licence(value)} if column.endswith(".expression") and value.lower() in _identifiers() else {}),
            "description": f"as declared by {count:,} rows ({column}); evidence, not legal clearance",
        }
        for value, count in shortened([row for row in rows if row[0] not in ABSENT])
    ]


def _responsible(facts: Facts, exported: Exported, answers: Answers) -> dict[str, Any]:
    """The properties of RAI 1.0: of the ledger first, then of a person; a property without either is not there."""

    def told(*parts: str, person: str = "") -> list[str]:
        ours = [one.text for part in parts for one in known(part, facts, exported)]
        return [*dict.fromkeys(ours), *([str(answers[person])] if person in answers else [])]

    several = {
        "dataCollectionType": ["Secondary Data analysis", *told(person="collection_type")],
        "dataPreprocessingProtocol": told("processing", person="processing"),
        "machineAnnotationTools": told("mechanisms"),
        "dataLimitations": told("external", "noise", "rights", person="risks"),
        "dataBiases": told("bias", person="bias"),
        "personalSensitiveInformation": told("personal", person="sensitive"),
        "dataUseCases": told("used", person="purpose"),
        "dataReleaseMaintenancePlan": told(person="updates"),
        "dataCollectionTimeframe": _DAY.findall(str(answers.get("timeframe", ""))),  # moments; the words stand in the datasheet
    }
    one = {
        "dataCollection": told("acquired", "sampling", person="acquired"),
        "dataCollectionRawData": told("raw", person="raw"),
        "dataCollectionMissingData": told("missing", person="missing"),
        "dataManipulationProtocol": told("personal") if exported.about.get("redaction") or exported.about.get("blurring") else [],
        "dataAnnotationProtocol": told("labels", person="labels"),
        "dataSocialImpact": told(person="social_impact"),
    }
    return {f"rai:{name}": value for name, value in {**several, **{name: " ".join(texts) for name, texts in one.items()}}.items()}


def _distribution(exported: Exported) -> list[dict[str, Any]]:
    named: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": one.name,
            "name": one.name,
            "contentUrl": one.name,
            "contentSize": f"{one.size} B",
            "encodingFormat": FORMATS[exported.layout],
            "sha256": one.sha256,
        }
        for one in exported.files
    ]
    if exported.layout == "webdataset":
        return [*named, *_members(exported)]
    for number, one in enumerate(exported.tables):
        if len(one.files) > 1:
            name = _numbered(_FILES, number)
            stem, ending = one.files[0].rpartition("-")[0], one.files[0].partition(".")[2]
            every = len(exported.tables) == 1
            about = {
                "name": name,
                "encodingFormat": FORMATS[exported.layout],
                "includes": f"{stem}-*.{ending}" if every else list(one.files),
            }
            named.append({"@type": "cr:FileSet", "@id": name, **about})
    return named


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number + 1}" if number else name


def _members(exported: Exported) -> list[dict[str, Any]]:
    """A set of each kind of member over all tars."""
    within = [{"@id": one.name} for one in exported.files]
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{ending}-{_FILES}",
            "name": f"{ending}-{_FILES}",
            "containedIn": within,
            "encodingFormat": _MEMBERS.get(ending, "application/octet-stream"),
            "includes": f"*.{ending}",
        }
        for ending in exported.endings
    ]


def _record_sets(facts: Facts, exported: Exported) -> list[dict[str, Any]]:
    if exported.layout == "webdataset":
        return [_member_records(ending) for ending in exported.endings]
    return [_table_records(facts, exported, one, number) for number, one in enumerate(exported.tables)]


def _table_records(facts: Facts, exported: Exported, one: Table, number: int) -> dict[str, Any]:
    records, several = _numbered(_ROWS, number), len(one.files) > 1
    place = {"fileSet": {"@id": _numbered(_FILES, number)}} if several else {"fileObject": {"@id": one.files[0]}}
    if exported.layout == "uids":
        lines = {**place, "extract": {"fileProperty": "lines"}}
        fields = [_field(records, "uid", "The row's uid, as often as the subset uses it.", "sc:Text", lines)]
        return {"@type": "cr:RecordSet", "@id": records, "name": records, "field": fields}
    roles = {column: role for role, column in column_names(facts.run).items()}
    fields = []
    for name, kind in one.columns.items():
        form = _form(kind, roles.get(name, ""))
        if form is not None:
            told = _told(name, roles.get(name, ""), exported.about.get("evidence", {}))
            source = {**place, "extract": {"column": name}, **({"transform": {"jsonPath": "bytes"}} if kind == IMAGE else {})}
            fields.append({**_field(records, name, told, form["dataType"], source), **form})
    left = [name for name in one.columns if name not in {field["name"] for field in fields}]
    note = f" Not described, since nested or raw bytes: {', '.join(left)}." if left else ""
    note += " Where the pool's shards have other columns, there are several such sets." if len(exported.tables) > 1 else ""
    about = f"The rows of {facts.name}, in the pool's order.{note}"
    key = {"@id": f"{records}/uid"}
    return {"@type": "cr:RecordSet", "@id": records, "name": records, "description": about, "key": key, "field": fields}


def _field(records: str, name: str, told: str, form: str, source: Mapping[str, Any]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{records}/{name}", "name": name, "description": told, "dataType": form, "source": dict(source)}


def _form(kind: str, role: str) -> dict[str, Any] | None:
    """A column's data type (and shape); None for what Croissant's atomic types do not hold."""
    if kind == IMAGE or (kind == BYTES and role == "image"):
        return {"dataType": "sc:ImageObject"}
    if (length := vector_length(kind)) is not None:
        return {"dataType": "sc:Float", "isArray": True, "arrayShape": str(length)}
    if kind in ("String", NULL):
        return {"dataType": "sc:URL" if role == "url" else "sc:Text"}
    if kind.startswith(("Int", "UInt")):
        return {"dataType": "sc:Integer"}
    if kind.startswith("Datetime"):
        return {"dataType": "sc:DateTime"}
    found = {"Float32": "cr:Float32", "Float64": "cr:Float64", "Boolean": "sc:Boolean", "Date": "sc:Date"}.get(kind)
    return {"dataType": found} if found else None


def _told(name: str, role: str, evidence: Mapping[str, str]) -> str:
    if name == "uid":
        return "The row's uid: 32 hexadecimal digits."
    if name == "copies":
        return "How often the subset uses the row."
    if name in evidence:
        return f"Measured: {evidence[name]}."
    return f"The pool's role {role}." if role else "A column of the pool, as it is."


def _member_records(ending: str) -> dict[str, Any]:
    """The members of one ending: their sample's key, and their content. Records of one key are one sample."""
    files, records = {"fileSet": {"@id": f"{ending}-{_FILES}"}}, ending
    key = {**files, "extract": {"fileProperty": "filename"}, "transform": {"regex": r"^(.+?)\.[^.]+$"}}
    form = "sc:ImageObject" if _MEMBERS.get(ending, "").startswith("image/") else "sc:Text"
    content = {**files, "extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": records,
        "name": records,
        "description": f"Of every sample the member KEY.{ending}; records of the other sets with the same key belong to it.",
        "key": {"@id": f"{records}/key"},
        "field": [
            _field(records, "key", "The sample's key: its row's uid, with a number where a row is repeated.", "sc:Text", key),
            _field(records, "content", f"The content of the member, {_MEMBERS.get(ending, 'bytes')}.", form, content),
        ],
    }
