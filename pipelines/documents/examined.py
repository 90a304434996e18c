"""A package held against itself, before anything in it is believed: every file, and whatever one file says that others say, too."""

import re
from collections.abc import Iterator
from itertools import zip_longest

import pyarrow as pa
import safetensors.numpy
from safetensors import SafetensorError

from curate import frames, ledger
from curate.digest import canonical_json, digest_of, sha256_file
from curate.errors import CeterisError
from curate.model import digest_of_model
from pipelines.documents.opened import Finding, Package
from pipelines.documents.recipient import (
    CARD,
    FUNNEL,
    LEDGER,
    MANIFEST,
    NOTICE,
    POOLS,
    README,
    RECIPE,
    RELEASE,
    SIGNALS,
    SUBSET,
    funnel_of,
    notice,
    readme,
)  # fmt: skip
from pipelines.documents.shapes import PoolShape, json_of, text_of

_ROW = 20
_NEEDED = (SUBSET, RECIPE, LEDGER, FUNNEL, POOLS, SIGNALS, CARD, README, NOTICE)
_OUTSIDE_IDENTITY = ("format", "by", "identity", "run", "head", "files")


def examine(package: Package) -> list[Finding]:
    """Everything in a package that is not what the rest of it says. A file that cannot be read at all ends it: nothing rests on it."""
    found = list(_broken_files(package))
    if found:
        return found
    try:
        return list(_contradictions(package)) or list(_pages(package))
    except CeterisError as error:
        place = error.where.removeprefix(f"{package.folder}/")
        part = next((name for name in package.manifest["files"] if place.startswith(name)), MANIFEST)
        return [Finding("broken", part, f"{place.removeprefix(part).lstrip(':, ')}: {error.what}".removeprefix(": "))]


def _broken_files(package: Package) -> Iterator[Finding]:
    listed: dict[str, str] = package.manifest["files"]
    paths = {one.relative_to(package.folder).as_posix(): one for one in package.folder.rglob("*")}
    for name, one in sorted(paths.items()):
        if one.is_symlink() or not (one.is_file() or one.is_dir()):
            yield Finding("broken", name, "is no plain file or folder")
    there = {name for name, one in paths.items() if one.is_file() and not one.is_symlink()} - {MANIFEST}
    for name in sorted({*listed, *_NEEDED} - {name for name, one in paths.items() if one.is_symlink()}):
        if name not in there or name not in listed:
            yield Finding("broken", name, "is not there" if name not in there else "is not in the manifest")
        elif sha256_file(package.folder / name) != listed[name]:
            yield Finding("broken", name, "is not what the manifest says")
    for name in sorted(there - set(listed)):
        yield Finding("broken", name, "is not in the manifest")
    if package.stray:
        yield Finding("broken", "the archive", "holds bytes that are of none of its files, or its files otherwise than a package does")


def _contradictions(package: Package) -> Iterator[Finding]:
    told, received = package.manifest, package.received
    pools, signals = received.pools, received.measured
    if digest_of({key: value for key, value in told.items() if key not in _OUTSIDE_IDENTITY}) != told["identity"]:
        yield Finding("broken", MANIFEST, "its identity is not the digest of what it says")
    rows = (package.folder / SUBSET).stat().st_size == _ROW * told["rows"]
    if told["files"][SUBSET] != told["digest"] or not rows:
        yield Finding("broken", SUBSET, "is not the subset that the manifest names")
    elif received.samples != told["samples"]:
        yield Finding("broken", MANIFEST, "names another number of samples than the subset has")
    if package.recipe.digest != told["recipe"]:
        yield Finding("broken", RECIPE, "is not the recipe that the manifest names")
    if pools.pool.id != told["pool"] or _pool_id(pools.pool) != told["pool"]:
        yield Finding("broken", POOLS, "does not describe the pool that the manifest names")
    elif pools.pool.rows != sum(one.rows for one in pools.pool.shards):
        yield Finding("broken", POOLS, "its pool has another number of rows than its shards")
    if {name: one.fingerprint for name, one in signals.signals.items()} != told["signals"]:
        yield Finding("broken", SIGNALS, "names other fingerprints than the manifest")
    if {name: one.weights for name, one in signals.models.items()} != told["models"]:
        yield Finding("broken", SIGNALS, "names other weights of models than the manifest")
    yield from _ledger(package)
    yield from _funnel(package)
    yield from _models(package)


def _ledger(package: Package) -> Iterator[Finding]:
    told, received = package.manifest, package.received
    facts = received.ledger  # read first: what is no JSON is named by its line
    if ledger.check(received.ledger_text, where=str(package.folder / LEDGER)) != told["head"]:
        yield Finding("broken", LEDGER, "does not end in the head that the manifest names")
    wanted = {("subset", told["subset"]): told["digest"], ("recipe", ""): told["recipe"], ("pool", ""): told["pool"]}
    for (what, stage), digest in wanted.items():
        said = [one.get("digest", one.get("id")) for one in facts if one.get("what") == what and (not stage or one.get("stage") == stage)]
        if said != [digest]:
            yield Finding("broken", LEDGER, f"names another {what} than the manifest")
    measured = {one.get("name"): one for one in facts if one.get("what") == "signal"}
    for name, signal in received.measured.signals.items():
        fact = measured.get(name, {})
        if (fact.get("fingerprint"), fact.get("parameters")) != (signal.fingerprint, signal.parameters):
            yield Finding("broken", SIGNALS, f"names another fingerprint or other parameters of {name} than the ledger")
    rows = [one.get("rows") for one in facts if one.get("what") == "pool"]
    if rows != [received.pools.pool.rows]:
        yield Finding("broken", POOLS, "its pool has another number of rows than the ledger says")
    sources = [one.get("sources") for one in facts if one.get("what") == "recipe"]
    if sources != [received.measured.sources]:
        yield Finding("broken", SIGNALS, "names other filters or sources than the ledger")


def _funnel(package: Package) -> Iterator[Finding]:
    """The funnel against the ledger, its numbers against each other, and its end against the subset."""
    received, place = package.received, package.folder / FUNNEL
    told, lines = json_of(text_of(place), str(place)), funnel_of(received.ledger)
    if told != lines:
        pairs = zip_longest(told if isinstance(told, list) else [], lines)
        stage = next((other or one for one, other in pairs if one != other), None)
        named = f", at {stage.get('stage')}" if isinstance(stage, dict) else ""
        yield Finding("broken", FUNNEL, f"is not the funnel that the ledger tells{named}")
        return
    last = next((line for line in lines if line.get("stage") == received.card.node), {})
    if last.get("kept") != package.manifest["rows"]:
        yield Finding("broken", CARD, f"its stage {received.card.node} does not keep the rows of the subset")
    unknown = [name for name in received.card.nodes if name not in [line.get("stage") for line in lines]]
    if unknown:
        yield Finding("broken", CARD, f"names a stage {unknown[0]} that the funnel has not")


def _models(package: Package) -> Iterator[Finding]:
    for name, one in package.received.measured.models.items():
        held = {key: f"models/{name}/{key}" for key in ("weights.safetensors", "card.json", "rows.parquet")}
        mine = {key: package.folder / path for key, path in held.items() if path in package.manifest["files"]}
        if "card.json" in mine and text_of(mine["card.json"]) != canonical_json(one.card):
            yield Finding("broken", held["card.json"], "is not the card in signals.json")
        if "weights.safetensors" in mine:
            try:
                weights = safetensors.numpy.load_file(mine["weights.safetensors"])
            except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
                yield Finding("broken", held["weights.safetensors"], f"these are no weights: {error}")
                continue
            if digest_of_model(weights, one.card) != one.weights:
                yield Finding("broken", f"models/{name}", "its weights are not those that the manifest names")
        if "rows.parquet" in mine:
            try:
                frames.from_bytes(mine["rows.parquet"].read_bytes(), where=held["rows.parquet"])
            except (CeterisError, pa.ArrowException) as error:
                yield Finding("broken", held["rows.parquet"], f"cannot be read: {error.what if isinstance(error, CeterisError) else error}")


def _pages(package: Package) -> Iterator[Finding]:
    """README and NOTICE, written again from the other files. What another release wrote may read otherwise."""
    received, folder = package.received, package.folder
    other = received.manifest.by != RELEASE
    if other:
        yield Finding(
            "note", MANIFEST, f"written by {received.manifest.by}, this is {RELEASE}: what README and NOTICE say otherwise is only noted"
        )
    written = {README: readme(received), NOTICE: notice(received).text()}
    for name, mine in written.items():
        theirs = text_of(folder / name)
        if name == NOTICE and theirs != mine:
            releases = _releases(theirs), _releases(mine)
            if releases[0] != releases[1] and _listed(theirs) == _listed(mine):
                yield Finding("note", NOTICE, "texts of licences come with other releases of packages here, and are not compared")
                continue
        if theirs != mine:
            pairs = enumerate(zip_longest(theirs.split("\n"), mine.split("\n")), 1)
            line = next(n for n, (one, another) in pairs if one != another)
            what = f"line {line} is not what the package's other files say"
            yield Finding("note" if other else "broken", name, what)


_RELEASE_IN = re.compile(r"^(\S+ \([a-z ]+), (\S+ [0-9][^)]*)\)$", re.MULTILINE)


def _listed(text: str) -> str:
    """A NOTICE's list, without releases of packages."""
    return _RELEASE_IN.sub(r"\1)", text.partition("=" * 100)[0])


def _releases(text: str) -> list[str]:
    return [found[2] for found in _RELEASE_IN.finditer(text.partition("=" * 100)[0])]


def _pool_id(told: PoolShape) -> str:
    return digest_of([told.layout, told.roles, [one.digest for one in told.shards]])
