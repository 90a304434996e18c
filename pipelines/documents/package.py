"""The verb `package`: a subset as what another machine needs to check it and to make it again from the same pool. No row's content.

A folder, or the same as one `.tar.zst`: manifest.json with the SHA-256 of every other file; subset.bin, the sorted uids and then how often
each is used, as big-endian 128-bit and 32-bit numbers, so that its SHA-256 is the subset's digest; the resolved recipe; the run's ledger
and funnel; the pools, each shard with its digest; filters with their fingerprints, source digests and libraries; models' cards, and weights
where they are small; the data card as README, with what only it says in card.json; the NOTICE of what the subset rests on. README and
NOTICE are written from the other files (`pipelines/documents/recipient.py`). The same run gives the same bytes.
"""

import json
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import frames
from curate.digest import canonical_json, digest_of, sha256_file
from curate.errors import CeterisError, StoreError
from curate.exports.export import name_export, refuse_taken_down
from curate.pieces import open_pool
from curate.pool import Pool
from curate.record import Run
from curate.store import Part
from pipelines.documents import recipient
from pipelines.documents.answers import Answers, read_answers
from pipelines.documents.facts import Facts, MadeModel, model_taken_down
from pipelines.documents.recipient import CARD, FUNNEL, LEDGER, MANIFEST, NOTICE, POOLS, README, RECIPE, RELEASE, SIGNALS, SUBSET

FORMAT = "ceteris-package 2"
ARCHIVE = ".tar.zst"
SMALL = 16 << 20
"""Bytes of weights that go along unasked."""


@dataclass(frozen=True)
class Packed:
    """What was written: `identity` digests what the package is about, without durations; `left_out` says whose weights stay, and why."""

    path: Path
    identity: str
    files: dict[str, str]
    left_out: dict[str, str]


def package(run: Run, subset: str, out: str | Path, *, weights: bool = False, answers: str | Path | None = None) -> Packed:
    """Write a subset's package: a folder, or one file where `out` ends in .tar.zst. Models' weights go along up to 16 MB, with `weights`
    all of them. CeterisError where `out` is there already, or rows of the subset were taken down."""
    path, facts = Path(out), Facts(run, subset)
    chosen = facts.subset
    if [line["digest"] for line in facts.ledger if line["what"] == "subset" and line["stage"] == subset] != [facts.digest]:
        what = f"rows of {subset} were taken down after its run, whose ledger names them still"
        raise CeterisError(what, where=run.folder, fix="run the recipe again, and pack that run")
    if path.exists():
        raise CeterisError("something of this name is there already", where=str(path), fix="name a new file or folder")
    attempt = path.absolute().parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        attempt.mkdir(parents=True)
        left_out = dict[str, str]()
        (attempt / SUBSET).write_bytes(chosen.uids.astype(">u8").tobytes() + chosen.copies.astype(">u4").tobytes())
        for name, text in _texts(facts, read_answers(Path(answers) if answers else None)):
            (attempt / name).write_text(text, encoding="utf-8")
        for model in facts.made:
            if reason := _weights(run, model, attempt, weights):
                left_out[model.name] = reason
        about = identity(facts)
        manifest = {"format": FORMAT, "by": RELEASE, **about, "identity": digest_of(about), "run": run.folder, "head": facts.head}
        (attempt / MANIFEST).write_text(_json({**manifest, "files": {}}), encoding="utf-8")
        received = recipient.Received(attempt)
        (attempt / README).write_text(recipient.readme(received), encoding="utf-8")
        (attempt / NOTICE).write_text(recipient.notice(received).text(), encoding="utf-8")
        files = {one.relative_to(attempt).as_posix(): sha256_file(one) for one in sorted(attempt.rglob("*")) if one.is_file()}
        del files[MANIFEST]
        (attempt / MANIFEST).write_text(_json({**manifest, "files": files}), encoding="utf-8")
        refuse_taken_down(facts.subset, path)
        if any(model_taken_down(run, model) for model in facts.made if model.name not in left_out):
            raise StoreError("rows that a model rests on were taken down meanwhile", where=str(path), fix="ask again; nothing is there")
        if path.name.endswith(ARCHIVE):
            packed = attempt.with_name(f"{attempt.name}.file")
            try:
                _archive(attempt, packed)
                packed.replace(path)
            finally:
                packed.unlink(missing_ok=True)
        else:
            attempt.replace(path)
    except OSError as error:
        fix = "make room, or name another place"
        raise CeterisError(f"cannot write there: {error.strerror or error}", where=str(path), fix=fix) from error
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    held = {path.name: sha256_file(path)} if path.is_file() else {**files, MANIFEST: sha256_file(path / MANIFEST)}
    place = path.absolute().parent if path.is_file() else path.absolute()
    named = {"subset": subset, "digest": facts.digest, "rows": len(chosen), "run": run.folder.removeprefix("runs/"), "layout": "package"}
    name_export(facts.subset, path, {**named, "folder": str(place), "files": held})  # so that a take-down knows of it
    return Packed(path, str(manifest["identity"]), files, left_out)


def identity(facts: Facts) -> dict[str, Any]:
    """What the package is about: equal wherever and however long the same run was made."""
    return {
        "subset": facts.name,
        "digest": facts.digest,
        "rows": len(facts.subset),
        "samples": facts.samples,
        "recipe": facts.recipe["digest"],
        "pool": facts.run.pool.id,
        "signals": {one.name: one.fingerprint for one in facts.signals},
        "models": {one.name: one.weights for one in facts.made},
        "without": sum(line["in"] - line["kept"] for line in facts.stages if line["stage"] == "revoked"),
    }


def told_pool(pool: Pool) -> dict[str, Any]:
    """What a pool is, without where it lies."""
    shards = [{"path": one.path, "size": one.size, "rows": one.rows, "digest": one.digest} for one in pool.shards]
    about = {"id": pool.id, "layout": pool.layout, "modality": pool.modality, "roles": pool.roles, "rows": pool.rows, "shards": shards}
    return {**about, "unreadable": [{"path": one.path, "code": one.code} for one in pool.unreadable]}


def _texts(facts: Facts, answers: Answers) -> Iterator[tuple[str, str]]:
    run = facts.run
    yield RECIPE, facts.recipe["text"]
    yield LEDGER, facts.ledger_text
    yield FUNNEL, _json(run.funnel())
    fed = {model.name: [told_pool(open_pool(run.store, key)) for key in model.trained_on] for model in facts.made}
    yield POOLS, _json({"pool": told_pool(run.pool), "models": fed})
    sources: dict[str, str] = next((line["sources"] for line in facts.ledger if line["what"] == "recipe"), {})
    signals = {one.name: {key: value for key, value in asdict(one).items() if key != "name"} for one in facts.signals}
    models = {one.name: {"kind": one.kind, "id": one.id, "weights": one.weights, "card": one.card} for one in facts.made}
    yield SIGNALS, _json({"name": run.facts["name"], "sources": sources, "signals": signals, "models": models})
    yield CARD, _json(recipient.told(facts, answers))


def _weights(run: Run, model: MadeModel, folder: Path, every: bool) -> str:
    """Copy a model's weights and the list of what it was trained on (hashes and uids); why not, else."""
    if model_taken_down(run, model):
        return "it rests on rows that were taken down"
    source = run.store.path(f"{model.files}/weights.safetensors")
    size = source.stat().st_size
    if size > SMALL and not every:
        return f"{size:,} bytes: --weights takes them along"
    place = folder / "models" / model.name
    place.mkdir(parents=True)
    shutil.copyfile(source, place / "weights.safetensors")
    (place / "card.json").write_text(canonical_json(model.card), encoding="utf-8")
    listed = run.store.json(f"{model.folder}/rows.json")
    if listed:
        (place / "rows.parquet").write_bytes(frames.to_bytes(run.store.frame(Part(**{**listed, "replaces": tuple(listed["replaces"])}))))
    return ""


def _archive(folder: Path, out: Path) -> None:
    """The files as one, compressed."""
    with pa.CompressedOutputStream(pa.OSFile(str(out), "wb"), "zstd") as stream:
        tar_of(folder, stream)


def tar_of(folder: Path, out: Any) -> None:
    """A folder's files as a tar, in name order, without times and owners: the same bytes for the same files."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                tar.addfile(info, file)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
