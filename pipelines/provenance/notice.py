"""The NOTICE of a run: every weight, vocabulary, word list and item that it used, with its declared licence and where it is from."""

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from pydantic import Field

from curate.errors import CeterisError
from curate.plan import POOL, parted
from curate.record import Run
from curate.shape import Strict, validated
from curate.yaml_source import read
from pipelines.provenance.terms import address

CARRIED = Path(__file__).parent / "carried.yaml"
ROOT = Path(__file__).parents[2]
_TEXTS = ("licen", "notice", "copying")
_UNSTATED = "not stated"


class Carried(Strict):
    """An entry of carried.yaml."""

    what: str
    kind: str
    licence: str
    source: str
    filters: list[str] = Field(default_factory=list)
    when: dict[str, list[str]] = Field(default_factory=dict)
    models: list[str] = Field(default_factory=list)
    architecture: str = ""
    scales: list[str] = Field(default_factory=list)
    recipes: list[str] = Field(default_factory=list)
    package: str = ""
    file: str = ""


@dataclass(frozen=True)
class Piece:
    """Something a run used: its `name`, its `kind`, `what` it is, its declared `licence` and `source`, who used it, the package and version
    or the digest by which it is that and no other, and `texts`, (where, text) of what goes with it."""

    name: str
    kind: str
    what: str
    licence: str
    source: str
    used_by: list[str]
    version: str
    texts: list[tuple[str, str]]


@dataclass(frozen=True)
class Notice:
    """Everything a run used; `brought`: columns of the pool that rules asked for, measured elsewhere by means that nothing here knows."""

    run: str
    pieces: list[Piece]
    brought: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def text(self) -> str:
        """The NOTICE file: a list, then every text once."""
        lines = [
            f"NOTICE of run {self.run}",
            "",
            "Weights, vocabularies, word lists and items that it used. Licences are as declared, not cleared.",
            "",
        ]
        for one in self.pieces:
            lines += [
                f"{one.name} ({one.kind}{f', {one.version}' if one.version else ''})",
                f"  {one.what}",
                f"  used by {', '.join(one.used_by)}",
            ]
            lines += [f"  licence: {one.licence}{_at(one.licence)}", f"  source: {one.source}", ""]
        if self.brought:
            lines += [f"Measured elsewhere and brought by the pool: {', '.join(self.brought)}.", ""]
        for where, text in dict(each for one in self.pieces for each in one.texts).items():
            lines += ["=" * 100, where, "=" * 100, "", text.strip(), ""]
        return "\n".join(lines)


def _at(licence: str) -> str:
    where = address(licence) if " " not in licence else None
    return f", {where}" if where else ""


@functools.cache
def carried() -> dict[str, Carried]:
    """carried.yaml, read once."""
    source = read(CARRIED.read_text(encoding="utf-8"), where=str(CARRIED))
    found = {}
    for name in source.value:
        found[name] = validated(Carried, source.value[name], lambda spot, *, key=False, name=name: source.at((name, *spot), key=key))
    return found


def notice(run: Run) -> Notice:
    """What the signals, models, scale and recipe of a run rest on. A model that users brought says of itself what its card says."""
    measures = {name: (one["folder"], one["parameters"]) for name, one in run.facts["measures"].items()}
    models = {name: run.store.json(f"{one['folder']}/model.json") for name, one in run.facts["models"].items()}
    gone = [name for name, one in models.items() if one is None]
    if gone:
        raise CeterisError(f"the model {gone[0]} is gone", where=run.store.address, fix="run the recipe again")
    asked = {column for node in run.facts["nodes"].values() for column in node["columns"] if parted(column)[0] == POOL}
    scale = (run.facts["evaluate"] or {}).get("scale")
    return notice_of(run.folder.removeprefix("runs/"), measures, models, scale, run.facts["name"], asked)


def notice_of(
    label: str,
    measured: Mapping[str, tuple[str, Mapping[str, Any]]],
    models: Mapping[str, Mapping[str, Any]],
    scale: str | None,
    recipe: str,
    asked: Collection[str],
) -> Notice:
    """What these rest on: `measured`, evidence by name with its folder (signals/KIND-ID) and parameters; `models` as their model.json says;
    `asked`, the pool's columns that rules read."""
    measures = {name: (_kind(folder), given) for name, (folder, given) in measured.items()}
    pieces = pieces_of(measures, models, scale, recipe)
    for name, made in models.items():
        pieces.append(_model(name, made, [used for used, (_, given) in measures.items() if made["weights"] in given.values()]))
    brought = {str(value) for _, given in measures.values() for value in given.values() if str(value).startswith(f"{POOL}.")}
    return Notice(label, pieces, sorted({*asked, *brought}))


def pieces_of(
    measures: Mapping[str, tuple[str, Mapping[str, Any]]], models: Mapping[str, Mapping[str, Any]], scale: str | None, recipe: str
) -> list[Piece]:
    """The entries that these rest on: measures as {name: (filter, parameters)}, models as their model.json says."""
    pieces = []
    for name, one in carried().items():
        users = [used for used, (kind, given) in measures.items() if _holds(one, kind, given)]
        users += [
            used for used, made in models.items() if made["kind"] in one.models or (one.architecture and one.architecture in _built(made))
        ]
        users += [f"scale {scale}"] if scale in one.scales else []
        users += [f"recipe {recipe}"] if recipe in one.recipes else []
        if users:
            version = f"{one.package} {distribution(one.package).version}" if one.package and _installed(one.package) else ""
            pieces.append(Piece(name, one.kind, one.what, one.licence, one.source, users, version, list(_texts(one))))
    return pieces


def _kind(folder: str) -> str:
    """The filter of signals/KIND-ID, of a grouping's sketch too."""
    return folder.removeprefix("signals/").rsplit("-", 1)[0].partition(".")[0]


def _holds(one: Carried, kind: str, given: Mapping[str, Any]) -> bool:
    """Whether a filter with these parameters uses it."""
    return kind in one.filters and (kind not in one.when or bool({*map(str, given.values())} & {*one.when[kind]}))


def _built(made: Mapping[str, Any]) -> dict[str, Any]:
    architecture = made["card"].get("architecture")
    return architecture if isinstance(architecture, dict) else {}


def _model(name: str, made: Mapping[str, Any], users: list[str]) -> Piece:
    card = made["card"]
    rows = f", made from {card['training_rows']:,} rows" if "training_rows" in card else ""
    what = f"{card.get('name') or made['kind']}{rows}"
    licence = str(card.get("licence") or f"{_UNSTATED} in its card")
    return Piece(
        name, "model", what, licence, str(card.get("source") or "this run"), users or ["nothing"], f"weights {made['weights'][:16]}", []
    )


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _texts(one: Carried) -> Iterator[tuple[str, str]]:
    """(where, text) of licence and notice files: of this repository's file, or of the installed package's own."""
    if one.file:
        yield one.file, (ROOT / one.file).read_text(encoding="utf-8")
    if one.package and _installed(one.package):
        held = distribution(one.package)
        for file in held.files or ():
            if any(word in file.name.lower() for word in _TEXTS) and file.suffix not in (".py", ".pyc", ".json", ".ABOUT"):
                path = Path(str(held.locate_file(file)))
                if path.is_file():
                    yield f"{one.package} {held.version}, {file}", path.read_text(encoding="utf-8", errors="replace")
