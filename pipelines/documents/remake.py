"""A package held against a pool and this machine, and its subset made again; what differs is named."""

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from curate import frames
from curate.audit import NOT_SHOWN
from curate.catalogue import Catalogue, versions_of
from curate.digest import sha256
from curate.errors import CeterisError, RecipeError
from curate.executor import Executor
from curate.model import Model
from curate.plan import Plan, Training
from curate.pool import Pool
from curate.record import Run
from curate.run import resolve
from curate.store import Store
from curate.takedown.revoked import revoked
from pipelines import verbs
from pipelines.catalog import catalogue
from pipelines.documents.examined import examine
from pipelines.documents.facts import Facts
from pipelines.documents.opened import Finding, Package, opened
from pipelines.documents.package import identity
from pipelines.documents.recipient import CARD, FUNNEL, told
from pipelines.documents.shapes import CardShape, ModelShape, PoolShape, SignalShape


@dataclass(frozen=True)
class Verified:
    """What was found of a package. `needs` says what pool it speaks of; `remade` is the digest of the subset made again (None: it was not
    made), `run` its run where a store was named, whose latest it is then; `same` whether nothing breaks the package, the pool is its pool,
    and what was made again is the same: rows, funnel, distributions."""

    subset: str
    digest: str
    rows: int
    findings: tuple[Finding, ...]
    pool: str | None = None
    remade: str | None = None
    run: str | None = None
    needs: str = ""

    @property
    def same(self) -> bool:
        """Whether all that was asked holds. Other code or libraries that give the same rows are no fault."""
        broken = any(one.kind == "broken" for one in self.findings)
        if broken or (self.pool is not None and any(one.part.startswith("pool") and one.kind != "note" for one in self.findings)):
            return False
        if any(one.kind == "differs" and one.part in (FUNNEL, CARD) for one in self.findings):
            return False
        return self.remade == self.digest if self.remade is not None else not any(one.kind == "missing" for one in self.findings)


def verify_package(
    path: str | Path,
    pool: str | Path | None = None,
    *,
    remake: bool = False,
    sets: Sequence[str] = (),
    with_weights: bool = False,
    store: str | Path | Store | None = None,
    executor: Executor | None = None,
    filters: Sequence[Path] = (),
    progress: verbs.Progress = verbs.silent,
) -> Verified:
    """Hold a package against itself; against a pool's shards where one is named; with `remake`, run its recipe there and compare.

    Paths in its recipe are from here: `sets` ("models.matcher.filter_network.trusted=trusted/") say where training rows lie. Models are
    trained again, or with `with_weights` taken from the package. Made in `store`, where it is the latest run then and rows taken down
    there are refused; else in a temporary one, which refuses none. A broken package, or another pool, is not made again.
    """
    with opened(Path(path)) as package:
        told = package.manifest
        found = examine(package)
        about = (told["subset"], told["digest"], told["rows"])
        if pool is None or any(one.kind == "broken" for one in found):
            if remake and pool is None:
                raise CeterisError("nothing can be made again without the pool", where=str(path), fix="name it with --pool")
            return Verified(*about, tuple(found), needs="" if any(one.kind == "broken" for one in found) else _needs(package))
        there = _open(package, Path(pool))
        found += _pool_differs(package.received.pools.pool, there, "pool")
        if not remake or any(one.kind != "note" for one in found):
            return Verified(*about, tuple(found), there.id)
        with nullcontext(str(store.address if isinstance(store, Store) else store)) if store else tempfile.TemporaryDirectory() as at:
            made = _Remaking(package, there, Store.open(at), catalogue(filters), sets)
            found += _not_refused(package, there) if not store else []
            found += made.before(with_weights)
            if any(one.kind == "missing" for one in found):
                return Verified(*about, tuple(found), there.id)
            run = Run(made.store, verbs.run_with_effort(made.recipe, there, made.store, executor, filters, progress).folder)
            found += _after(package, run)
            return Verified(*about, tuple(found), there.id, run.facts["subsets"][told["subset"]], run.folder if store else None)


def _not_refused(package: Package, pool: Pool) -> Iterator[Finding]:
    """What a temporary store makes nothing of: rows taken down where the package was made, or in the store at hand."""
    if rows := package.manifest["without"]:
        said = f"it was made without {rows:,} rows that were taken down there: --store names one that refuses the same"
        yield Finding("note", "revoked", said)
    at_hand = verbs.store_address()
    if (Path(at_hand) / "FORMAT").is_file() and (rows := revoked(Store.open(at_hand)).of_pool(pool).size):
        said = f"{rows:,} rows of this pool were taken down in {at_hand}, and are not refused in a temporary store: --store {at_hand}"
        yield Finding("note", "revoked", said)


def _needs(package: Package) -> str:
    told = package.received.pools.pool
    return f"{told.rows:,} rows in {len(told.shards):,} shards, layout {told.layout}"


def _open(package: Package, path: Path) -> Pool:
    return Pool.open(path, layout=package.received.pools.pool.layout, roles=package.received.pools.pool.roles)


def _pool_differs(told: PoolShape, pool: Pool, part: str) -> Iterator[Finding]:
    """Every shard that is gone, new, or holds other content; shards may lie under other names, in the same order."""
    if told.id == pool.id:
        return
    for name, value, before in (("layout", pool.layout, told.layout), ("roles", pool.roles, told.roles)):
        if before != value:
            yield Finding("differs", part, f"its {name}: {value}, in the package {before}")
    theirs, ours = {one.path: one for one in told.shards}, {one.path: one for one in pool.shards}
    known = {one.digest for one in told.shards} & {one.digest for one in pool.shards}
    for path, one in theirs.items():
        if path not in ours and one.digest not in known:
            yield Finding("missing", part, f"the shard {path} is not there ({one.rows:,} rows, SHA-256 {one.digest[:16]})")
        elif path in ours and ours[path].digest != one.digest:
            yield Finding("differs", part, f"the shard {path} holds other content: {ours[path].rows:,} rows, in the package {one.rows:,}")
    for path, mine in ours.items():
        if path not in theirs and mine.digest not in known:
            yield Finding("differs", part, f"the shard {path} is not in the package's pool")
    if [one.digest for one in told.shards] != [one.digest for one in pool.shards] and len(known) == len(theirs) == len(ours):
        yield Finding("differs", part, "its shards are in another order: their names sort otherwise")


class _Remaking:
    """The package's recipe on this machine: what can be said before it runs."""

    def __init__(self, package: Package, pool: Pool, store: Store, entries: Catalogue, sets: Sequence[str]) -> None:
        self.package, self.pool, self.store, self.entries = package, pool, store, entries
        recipe = replace(package.recipe, evaluate=None)  # judging it is another matter, and may need files that are elsewhere
        for assignment in sets:
            recipe = replace(recipe.set_text(assignment), evaluate=None)
        self.recipe = recipe

    def before(self, with_weights: bool) -> Iterator[Finding]:
        """What is missing or differs; puts the package's weights into the store where they are to be used."""
        told = self.package.received.measured
        gone = sorted(set(told.sources) - set(self.entries))
        yield from (Finding("missing", f"filter {name}", "there is none here: name its folder with --filters") for name in gone)
        yield from (elsewhere := list(self._elsewhere(set(told.sources))))
        if gone or elsewhere:
            return
        try:
            plan = resolve(self.recipe, self.pool, self.entries, self.store)
        except RecipeError as error:
            yield Finding("missing", error.where, f"{error.what}; {error.fix}")
            return
        for name, source in plan.sources.items():
            if told.sources.get(name) != source:
                yield Finding("note", f"filter {name}", "other source code than where the package was made")
        yield from _libraries(told.signals, plan)
        for name, training in plan.models.items():
            yield from self._model(name, training, with_weights)

    def _elsewhere(self, needed: set[str]) -> Iterator[Finding]:
        """Rows and files that models are made from and that are not where the recipe says."""
        for name, part in self.recipe.models.items():
            if part.kind not in self.entries or part.kind not in needed:
                continue
            made = self.entries[part.kind].load()
            if not isinstance(made, Model):
                continue
            for key in (*made.rows, *made.files):
                given = part.parameters.get(key)
                looks = isinstance(given, str) and (key in made.rows or "/" in given)
                if looks and not (self.recipe.base / str(given)).exists():
                    said = f"{key}: {given} is not here; say where with --set models.{name}.{part.kind}.{key}=PATH"
                    yield Finding("missing", f"model {name}", said)

    def _model(self, name: str, training: Training, with_weights: bool) -> Iterator[Finding]:
        told = self.package.received.measured.models.get(name)
        for pool, theirs in zip(training.rows, self.package.received.pools.models.get(name, []), strict=False):
            yield from (replace(one, kind="differs") for one in _pool_differs(theirs, pool, f"training rows of {name}"))
        other = told is None or training.id != told.id
        if other and not training.pending:
            yield Finding("differs", f"model {name}", "would be made otherwise: from other rows or files, or by another version")
        if not with_weights:
            return
        place = self.package.folder / "models" / name
        if other:
            yield Finding("missing", f"model {name}", "the package's weights are of a model that was made otherwise")
        elif not (place / "weights.safetensors").is_file():
            yield Finding("missing", f"model {name}", "its weights are not in the package: pack it with --weights, or train it again")
        elif told and self.store.json(f"{training.folder}/model.json") is None:
            _adopt(self.store, training, told, place)


def _adopt(store: Store, training: Training, told: ModelShape, place: Path) -> None:
    """Put a package's model where the store keeps the model that would be made."""
    folder, files = f"{training.folder}/{uuid.uuid4().hex}", dict[str, str]()
    for name in ("weights.safetensors", "card.json"):
        data = (place / name).read_bytes()
        files[name] = sha256(data)
        store.storage.put(f"{folder}/{name}", data)
    rows = place / "rows.parquet"
    part = store.put_frame(training.folder, "rows", frames.from_bytes(rows.read_bytes(), where=str(rows))) if rows.is_file() else None
    if part:
        store.put_json(f"{training.folder}/rows.json", vars(part))
    about = {"id": training.id, "kind": training.kind, "folder": folder, "weights": told.weights, "card": told.card, "files": files}
    store.put_json(f"{training.folder}/model.json", {**about, "rows": vars(part) if part else None})


def _libraries(told: Mapping[str, SignalShape], plan: Plan) -> Iterator[Finding]:
    """Releases, devices and versions of filters that are not those of the package."""
    seen = dict[tuple[str, str, str], None]()
    for name, theirs in told.items():
        mine = plan.measures.get(name)
        if mine is None:
            continue
        if mine.signal.version != theirs.version:
            yield Finding("differs", f"filter {theirs.filter}", f"version {mine.signal.version}, in the package {theirs.version}")
        for package, release in versions_of(mine.signal.uses).items():
            if (before := theirs.code.versions.get(package)) != release:
                seen[package, release, str(before)] = None
        device, before = mine.parameters.get("device"), theirs.parameters.get("device")
        if device != before:
            yield Finding("differs", f"evidence {name}", f"measured on {device}, in the package on {before}")
    for package, release, before in seen:
        yield Finding("note", f"library {package}", f"{release}, in the package {before}")


def _after(package: Package, run: Run) -> Iterator[Finding]:
    """Where what was made again parts from the package: models, evidence, and the first stage whose rows are others in number."""
    manifest, facts = package.manifest, Facts(run, package.manifest["subset"])
    if facts.digest == manifest["digest"]:
        yield from _tells(package, facts)
        return
    for model in facts.made:
        if model.weights != manifest["models"].get(model.name):
            yield Finding(
                "differs", f"model {model.name}", f"trained to other weights, {model.weights[:16]}: --with-weights takes the package's"
            )
    for one in facts.signals:
        if one.fingerprint != manifest["signals"].get(one.name):
            yield Finding("differs", f"evidence {one.name}", f"has another fingerprint, {one.fingerprint[:16]}")
    theirs = {line["stage"]: line for line in package.received.run.funnel()}
    for line in facts.stages:
        before = theirs.get(line["stage"])
        if before is None or (line["in"], line["kept"]) != (before["in"], before["kept"]):
            was = "has no such stage" if before is None else f"kept {before['kept']:,} of {before['in']:,}"
            yield Finding("differs", f"stage {line['stage']}", f"keeps {line['kept']:,} of {line['in']:,}; the package {was}")
            break
    mine, were = set(facts.subset.hex), set(package.subset.hex)
    yield Finding("differs", "subset", f"{len(mine - were):,} rows are new, {len(were - mine):,} are missing")


def _tells(package: Package, facts: Facts) -> Iterator[Finding]:
    """What the package says of the same rows, and what was made again says otherwise: stages, funnel, distributions. What was not shown
    where it was packed is not compared; where other rows are refused here, other numbers are only noted."""
    kind: Literal["differs", "note"] = "differs" if identity(facts)["without"] == package.manifest["without"] else "note"
    theirs, mine = package.received.run.funnel(), facts.run.funnel()
    for one, another in zip_longest(theirs, mine):
        if one != another:
            stage = (another or one)["stage"]
            yield Finding(kind, FUNNEL, f"tells other numbers or reasons of the stage {stage} than the run made again")
            break
    said, found = package.received.card, CardShape.model_validate(told(facts, {}))
    for name in ("node", "nodes", "models"):
        if getattr(said, name) != getattr(found, name):
            yield Finding(kind, CARD, f"its {name} are not those of the run made again")
    known = {one.column: one.rows for one in found.mixes}
    for one in said.mixes:
        if known.get(one.column) != one.rows and not any(each.value == NOT_SHOWN for each in one.rows):
            yield Finding(kind, CARD, f"its rows by {one.column} are not those of the run made again")
