"""Scores that are what they say: every digest of a store's evaluations, or of an exported folder of them, checked before a number is read.

The chain: a folder of conditions is named by their digest; an entry by that of what was trained; its ledger holds every
training's record, each line the hash of the one before, and the store's own chain its head; a record holds the digest of the
answers and of the weights; a subset's folder is named by the digest of its rows. Numbers are taken again from the answers. So
what is damaged, cut short, swapped or brought from elsewhere is found. Who makes the whole chain anew can still lie: training
again gives equal weights, or does not."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate import frames, ledger
from curate.digest import canonical_json, digest_of, sha256
from curate.errors import CeterisError
from curate.seal import unsealed
from eval_fixed_model.conditions import conditions_id
from eval_fixed_model.loops import loop_of
from eval_fixed_model.scale import Scale, kept_scale, load_scale
from eval_fixed_model.score import SeedScore, checkpoint_file, checkpoints
from eval_fixed_model.statistics import Look
from pipelines.scores.evaluations import look_of
from pipelines.scores.trained_rows import TrainedRows, Unfit, text_of

STORE = ".ceteris"


@dataclass(frozen=True)
class Refused:
    """Something that does not verify: where it lies, which arm it is about (empty: all of it), and why."""

    where: str
    arm: str
    why: str


@dataclass(frozen=True)
class VerifiedArm:
    """An arm of which every score verifies. `unchecked` says what could not be held against anything, since it is not there."""

    name: str
    id: str
    kind: str
    rows: int
    run: str
    pool: str
    scores: dict[int, SeedScore]
    without_leaks: dict[int, float]
    leaked: int
    where: str
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """What a folder holds, under one set of conditions: arms, contrasts as (pool, candidate's id, control's id), and what was refused;
    and the last look that was taken at a candidate, by (pool, its id). `scale` judges as its last evaluation, those `before` as others."""

    held: dict[str, Any]
    id: str
    scale: Scale | None
    arms: tuple[VerifiedArm, ...]
    contrasts: frozenset[tuple[str, str, str]]
    refused: tuple[Refused, ...]
    looks: dict[tuple[str, str], Look] = field(default_factory=dict)
    before: tuple[Scale, ...] = ()


def verified(place: Path) -> list[Verified]:
    """Every set of conditions in a store, in the folder that holds one, or in an exported `scores` folder or a part of it.

    Reads only. CeterisError where there are no scores; everything else that is wrong is in `refused`.
    """
    root, folders = _found(place)
    if not folders:
        raise CeterisError(
            "there are no scores here", where=str(place), fix="name a store, its `scores` folder, or one of the folders in it"
        )
    chain = _Chain.read(root) if root else None
    return [_Folder(folder, root, chain).verified() for folder in folders]


def _found(place: Path) -> tuple[Path | None, list[Path]]:
    """The store, where it is one, and its folders of conditions, also those that lack the conditions."""
    for root in (place, place / STORE):
        if (root / "FORMAT").is_file():
            return root, _folders(root / "scores")
    if (place / "conditions.json").is_file() or (place / "entries").is_dir():
        return None, [place]
    return None, _folders(place / "scores") or _folders(place)


def _folders(scores: Path) -> list[Path]:
    return sorted({file.parent for name in ("conditions.json", "entries") for file in scores.glob(f"*/{name}")})


@dataclass(frozen=True)
class _Chain:
    """The heads that a store's own ledger names, and what breaks it."""

    heads: frozenset[tuple[str, str]]
    broken: str

    @staticmethod
    def read(root: Path) -> "_Chain":
        previous, heads = ledger.START, set()
        for number, file in enumerate(sorted((root / "ledger").glob("*.json"))):
            data = file.read_bytes()
            try:
                line = json.loads(data)
                follows = (line["n"], line["previous"]) == (number, previous)
                heads.add((line["run"], line["head"]))
            except (ValueError, KeyError, TypeError):
                follows = False
            if not follows:
                return _Chain(frozenset(heads), f"{file.name} does not follow from the one before it")
            previous = sha256(data)
        return _Chain(frozenset(heads), "")


@dataclass
class _Folder:
    """One folder of conditions, being checked."""

    folder: Path
    root: Path | None
    chain: _Chain | None
    refused: list[Refused] = field(default_factory=list)

    def verified(self) -> Verified:
        arms: dict[str, VerifiedArm] = {}
        contrasts: set[tuple[str, str, str]] = set()
        looks: dict[tuple[str, str], Look] = {}
        held: dict[str, Any] = {}
        scale: Scale | None = None
        before: list[Scale] = []
        try:
            held = self._conditions()
            entries = sorted((self.folder / "entries").glob("*.json"))
            if not entries:
                raise Unfit("it has no entries: nothing says what was trained")
            listed: set[str] = set()
            for key in sorted(self._known() - {f"scores/{self.folder.name}/entries/{file.name}" for file in entries}):
                self._refuse(self.folder / "entries" / Path(key).name, "", Unfit("the store's chain of heads knows it, and it is gone"))
            for file in entries:
                try:
                    entry = self._entry(file)
                    scale = self._scale(entry, held)
                    before.append(scale)
                except CeterisError as error:
                    self._refuse(file, "", error)
                    continue
                listed |= {key for arm in entry["arms"].values() for key in arm["scores"].values()}
                found = self._arms(entry, file, scale)
                arms |= {f"{entry['run']}/{arm.name}/{file.name}": arm for arm in found}
                ids = {name: arm["id"] for name, arm in entry["arms"].items()}
                contrasts |= {(entry["pool"], ids[a], ids[b]) for a, b in entry["contrasts"]}
                if look := look_of(entry):
                    looked = [(entry["pool"], arm["id"]) for arm in entry["arms"].values() if arm["kind"] == "candidate"]
                    looks |= {key: max(looks.get(key, look), look, key=lambda one: one.number) for key in looked}
            if not any(one.arm == "" for one in self.refused):
                for file in sorted(self.folder.glob("*/seed-*/train.json")):
                    if "/".join(("scores", *file.parts[-4:-1])) not in listed:
                        self._refuse(
                            file.parent, "", Unfit("no entry lists it: its evaluation was not finished, or the score is from elsewhere")
                        )
        except CeterisError as error:
            self._refuse(self.folder, "", error)
        return Verified(
            *(held, self.folder.name, scale, tuple(arms.values()), frozenset(contrasts), tuple(dict.fromkeys(self.refused)), looks),
            tuple(before[:-1]),
        )

    def _known(self) -> set[str]:
        """The entries under these conditions that the store's chain has heads of."""
        heads = self.chain.heads if self.chain else frozenset[tuple[str, str]]()
        return {key for key, _ in heads if key.startswith(f"scores/{self.folder.name}/entries/")}

    def _refuse(self, where: Path, arm: str, error: CeterisError) -> None:
        place = error.where if error.where and not isinstance(error, Unfit) else ""
        self.refused.append(Refused(str(where), arm, f"{error.what} ({place})" if place and place != str(where) else error.what))

    def _conditions(self) -> dict[str, Any]:
        held = _json(self.folder / "conditions.json")
        if conditions_id(held) != self.folder.name:
            raise Unfit(f"conditions.json has the digest {conditions_id(held)}, and its folder is called {self.folder.name}")
        return held

    def _entry(self, file: Path) -> dict[str, Any]:
        """What was trained: named by its digest, and by the head of its ledger in the store's chain."""
        entry = _json(file)
        if not file.stem.endswith(f"-{digest_of(entry)[:16]}"):
            raise Unfit("the entry is not the one that its name is the digest of")
        if lacking := sorted({"run", "pool", "scale", "arms", "contrasts", "leaked"} - entry.keys()):
            raise Unfit(f"the entry does not say: {', '.join(lacking)}")
        foreign = sorted({key for arm in entry["arms"].values() for key in arm["scores"].values() if key.split("/")[1] != self.folder.name})
        if foreign:
            raise Unfit(f"it lists scores of other conditions: {foreign[0]}")
        return entry

    def _scale(self, entry: dict[str, Any], held: dict[str, Any]) -> Scale:
        """As it is here now, if it trains and asks as it did; judged by what the entry wrote down."""
        scale = load_scale(entry["scale"])
        if held["scale"] not in (scale.digest, scale.whole_digest):
            raise Unfit(f"the scale {scale.name} here has the digest {scale.digest[:16]}, that of these scores {held['scale'][:16]}")
        items = _items_digest(scale)
        if items != held["items"]:
            raise Unfit(f"the evaluation items here have the digest {items[:16]}, those of these scores {str(held['items'])[:16]}")
        return kept_scale(scale.model_dump(mode="json"), entry.get("beside", {}), scale.folder)

    def _records(self, file: Path) -> dict[str, dict[str, Any]]:
        """Score's key -> what the entry's ledger says of the training."""
        facts = file.with_suffix(".jsonl")
        if not facts.is_file():
            raise Unfit("its ledger is missing")
        text = text_of(facts)
        head = ledger.check(text, where=facts.name)
        key = f"scores/{self.folder.name}/entries/{file.name}"
        if self.chain is not None and self.chain.broken:
            raise Unfit(f"the store's chain of heads is broken: {self.chain.broken}")
        if self.chain is not None and (key, head) not in self.chain.heads:
            raise Unfit("the store's chain of heads does not know its ledger")
        first, *lines = [json.loads(line) for line in text.split("\n") if line]
        if first.get("entry") != key:
            raise Unfit(f"its ledger is that of {first.get('entry')}")
        return {line["score"]: line for line in lines if line["what"] == "training"}

    def _arms(self, entry: dict[str, Any], file: Path, scale: Scale) -> Iterator[VerifiedArm]:
        """Those of which every seed verifies: a mean over what is left would be of chosen seeds."""
        try:
            records = self._records(file)
        except CeterisError as error:
            self._refuse(file, "", error)
            return
        leaked, rows = frozenset(entry["leaked"]), TrainedRows(self.root, self.chain.heads if self.chain else None)
        for name, arm in entry["arms"].items():
            scores, clean, unchecked, sound = {}, {}, list[str](), True
            for seed, key in arm["scores"].items():
                place = self.folder.joinpath(*key.split("/")[2:])
                try:
                    rows.refuse_revoked(key)
                    scores[int(seed)] = self._score(place, key, int(seed), records, scale)
                    clean[int(seed)] = SeedScore.read(place, scale, leaked).headline
                    unchecked += rows.unchecked(place.parent.name, arm, int(seed), entry)
                except CeterisError as error:
                    self._refuse(place, name, error)
                    sound = False
            if sound:
                yield VerifiedArm(
                    name, arm["id"], arm["kind"], arm["rows"], entry["run"], entry["pool"], scores, clean, len(leaked), str(file),
                    tuple(dict.fromkeys(unchecked)),
                )  # fmt: skip

    def _score(self, place: Path, key: str, seed: int, records: dict[str, dict[str, Any]], scale: Scale) -> SeedScore:
        if not (place / "train.json").is_file() or not (place / "items.parquet").is_file():
            raise Unfit("the score is not there, or not all of it")
        about = recorded_score(place, key, seed, records)
        if about["scale"] not in (scale.digest, scale.whole_digest):
            raise Unfit(f"it was trained at a scale of the digest {about['scale'][:16]}")
        data = (place / "items.parquet").read_bytes()
        if sha256(data) != about["answers"]:
            raise Unfit("items.parquet is not what its digest in train.json says")
        frames.from_bytes(data, where="items.parquet")
        before = about.get("answers before", {})
        for step in checkpoints(scale):
            file = place / checkpoint_file(step)
            if not file.is_file() or sha256(file.read_bytes()) != before.get(str(step)):
                raise Unfit(f"{file.name} is not what its digest in train.json says")
        return SeedScore.read(place, scale)


def recorded_score(place: Path, key: str, seed: int, records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The training's record in a score's folder, held against what the entry's ledger wrote down. Unfit where it is another."""
    about = _json(place / "train.json")
    written = {name: value for name, value in records.get(key, {}).items() if name in about}
    other = sorted(name for name in about if written.get(name, _ABSENT) != about[name])
    if place.name != f"seed-{about.get('seed')}" or about.get("seed") != seed:
        raise Unfit(f"train.json is that of seed {about.get('seed')}, and lies in {place.name}")
    if other:
        raise Unfit(f"train.json is not what the ledger wrote down: {', '.join(other)}")
    if "answers" not in about:
        raise Unfit("train.json has no digest of the answers: it was written by an earlier version; evaluate again in a new store")
    return about


_ABSENT = object()


@lru_cache(maxsize=16)
def _items_digest(scale: Scale) -> str:
    return loop_of(scale).items_digest(scale)


def _json(file: Path) -> dict[str, Any]:
    """A stored JSON object, written as it is written here."""
    text = text_of(file)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unfit(f"{file.name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unfit(f"{file.name} holds no record")
    if text not in (canonical_json(value), json.dumps(value, indent=1)):
        raise Unfit(f"{file.name} was not written by Ceteris, or was changed")
    return dict(unsealed(text.encode(), where=file.name))
