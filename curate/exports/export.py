"""Subsets leave: as Parquet rows, JSON lines or webdataset shards with their uid, as a list of uids, or as DataComp's `.npy` of pairs."""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate.digest import sha256_file
from curate.errors import CeterisError, StoreError
from curate.exports.evidence import Evidence
from curate.exports.lines import write_lines
from curate.exports.parquet import write_parquet
from curate.exports.tars import write_tars
from curate.journal import pending
from curate.ledger import name_file
from curate.record import Run, Selected
from curate.redaction import Blurring, Redaction
from curate.subset import Subset

__all__ = ["LAYOUTS", "Blurring", "Redaction", "export"]

LAYOUTS = ("parquet", "uids", "npy", "webdataset", "jsonl.zst")
_NAMED = ("subset", "digest", "rows", "run", "layout")
_TEXTS, _IMAGES = ("parquet", "webdataset", "jsonl.zst"), ("parquet", "webdataset")


def export(
    run: Run,
    subset: str,
    out: Path,
    layout: str,
    redaction: Redaction | None = None,
    blurring: Blurring | None = None,
    evidence: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write a subset into the new folder `out`; returns what it is: subset, digest, rows, run, recipe, pool, layout, files.

    `parquet` copies the rows in the pool's order, every column as it was (of JSON lines and tars those that rules can use), and `uid`, 32
    hex digits; a column of that name that holds anything else is kept as `original_uid` (and the json's `caption` beside a tar's captions,
    which leave as `text`, as `original_caption`; with a `redaction` it stays back). What it is stands in the files' metadata under
    `ceteris`. (Images that a pool names by path stay where they are.) `jsonl.zst` writes the same without images and nested columns.
    `webdataset` writes tars of 10,000 samples, shuffled once by uid: KEY.jpg (or what the image is), KEY.txt, and KEY.json: the uid, where
    the row came from, and what its rules saw. `uids` writes uids.txt, one per line, sorted; `npy` writes subset.npy, a sorted array of
    dtype u8,u8 (DataComp's file of sample ids). All but `parquet` stand beside export.json. A row that a subset holds n times is written n
    times, in `parquet` and `jsonl.zst` once with the column `copies`. The folder appears whole or not at all. CeterisError if `out`
    already holds something; StoreError if rows are taken down meanwhile.

    `evidence` adds columns to rows, and names to each json of `webdataset`: {name: signal.column}. With a `redaction`, texts leave changed,
    and with a `blurring` images; what was changed stands in export.json beside the rows. The pool is never changed.
    """
    if layout not in LAYOUTS:
        raise CeterisError(f"there is no export layout {layout}", fix=f"one of {', '.join(LAYOUTS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CeterisError("the place to export to is not empty", where=str(out), fix="name a new folder")
    if redaction and (layout not in _TEXTS or "text" not in run.pool.roles):
        what = f"the layout {layout} holds no text" if layout not in _TEXTS else "this pool has no text"
        raise CeterisError(f"nothing can be redacted: {what}", where=str(out), fix="export parquet, of a pool with the role text")
    if blurring:
        _check_boxes(run, out, layout)
    if layout == "webdataset" and "image" not in run.pool.roles:
        raise CeterisError("webdataset holds images, and this pool has none", where=str(out), fix="export parquet or jsonl.zst")
    if evidence and layout not in _TEXTS:
        fix = f"export {', '.join(_TEXTS)}"
        raise CeterisError(f"the layout {layout} takes no columns of evidence", where=str(out), fix=fix)
    added = Evidence(run, evidence) if evidence else None
    chosen = run.subset(subset)
    about: dict[str, Any] = {"subset": subset, "digest": chosen.digest, "rows": len(chosen), "run": run.folder.removeprefix("runs/")}
    about |= {"recipe": run.facts["recipe"], "pool": run.pool.id, "layout": layout}
    if (chosen.copies > 1).any():
        about["with_copies"] = int(chosen.copies.sum())
    if evidence:
        about["evidence"] = dict(evidence)
    changes = [each for each in (redaction, blurring) if each]
    attempt = out.absolute().parent / f".{out.name}.{uuid.uuid4().hex}"
    try:
        attempt.mkdir(parents=True)
    except OSError as error:
        raise CeterisError(f"cannot write there: {error.strerror}", where=str(out), fix="name a folder that can be made") from error
    try:
        if layout == "parquet":
            named = about | ({"redaction": redaction.name} if redaction else {}) | ({"blurring": blurring.name} if blurring else {})
            files = write_parquet(run, chosen, attempt, named, redaction, blurring, added)
        elif layout == "webdataset":
            files, counts = write_tars(run, chosen, attempt, about, redaction, blurring, added)
            about |= counts
        else:
            lines = layout == "jsonl.zst"
            files = write_lines(run, chosen, attempt, redaction, added) if lines else [_list(chosen, attempt, layout)]
        for change in changes:
            about |= change.facts
        if layout in ("webdataset", "jsonl.zst"):
            about["sha256"] = {name: sha256_file(attempt / name) for name in files}
        if layout != "parquet" or changes:
            (attempt / "export.json").write_text(json.dumps({**about, "files": files}, indent=2) + "\n", encoding="utf-8")
        digests = {name: about.get("sha256", {}).get(name) or sha256_file(attempt / name) for name in files}
        refuse_taken_down(chosen, out)
        attempt.replace(out)
    except OSError as error:
        fix = "make room (webdataset needs the subset's size twice while it is written), or name another folder"
        raise CeterisError(f"cannot write there: {error.strerror or error}", where=str(out), fix=fix) from error
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    name_export(chosen, out, {name: about[name] for name in _NAMED} | {"folder": str(out.absolute()), "files": digests})
    return {**about, "files": files}


def name_export(chosen: Selected, out: Path, export: dict[str, Any]) -> None:
    """Write down in the store, and its chain, what was exported and where to, so that a take-down can say which exports hold a row: one
    that counts after this knows of it. StoreError where one counted before."""
    store = chosen.run.store
    number = len(store.storage.list("exports/")) + 1
    while not store.put_json(f"exports/{number:06d}.json", export):
        number += 1  # another process was quicker
    name_file(store, f"exports/{number:06d}.json")
    refuse_taken_down(chosen, out, there=True)


def refuse_taken_down(chosen: Selected, out: Path, there: bool = False) -> None:
    """StoreError where rows of a subset were taken down since it was selected; `there`: what holds them lies at `out` already."""
    run = chosen.run
    if pending(run.store) or Run(run.store, run.folder).facts["subsets"].get(chosen.name) != chosen.digest:
        what = f"rows of {chosen.name} were taken down while they were written"
        raise StoreError(what, where=str(out), fix="delete it, and ask again" if there else "ask again; nothing is there")


def _check_boxes(run: Run, out: Path, layout: str) -> None:
    missing = [role for role in ("image", "face_boxes") if role not in run.pool.roles]
    if missing or layout not in _IMAGES:
        what = f"this pool has no role {missing[0]}" if missing else f"the layout {layout} holds no images"
        fix = "name the column of boxes with --role face_boxes=COLUMN, and run again" if missing else "export webdataset or parquet"
        raise CeterisError(f"nothing can be blurred: {what}", where=str(out), fix=fix)


def _list(chosen: Subset, out: Path, layout: str) -> str:
    if layout == "uids":
        lines = (f"{uid}\n" * int(copies) for uid, copies in zip(chosen.hex, chosen.copies, strict=True))
        (out / "uids.txt").write_text("".join(lines), encoding="ascii")
        return "uids.txt"
    uids = np.repeat(chosen.uids, chosen.copies, axis=0)
    pairs = np.empty(len(uids), dtype="u8,u8")
    pairs["f0"], pairs["f1"] = uids[:, 0], uids[:, 1]
    with (out / "subset.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(pairs))
        file.write(pairs.data)  # NumPy's own writing does not see a disk that is full
    return "subset.npy"
