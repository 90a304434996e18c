"""The verb `revoke`: what a request for take-down names, what it touches, and taking it out of the store."""

import getpass
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s, hex_of, words_of_hex
from curate.errors import CeterisError
from curate.executor import Executor, InProcess
from curate.journal import PENDING
from curate.pieces import read_originals
from curate.record import Run
from curate.store import Store
from curate.takedown.gone import Gone, Indices, runs_of
from curate.takedown.named_rows import Plain
from curate.takedown.request import Found, look, take_down
from curate.takedown.tombstones import KINDS, plain_host
from curate.takedown.touched import Touched
from pipelines.verbs import open_store, refuse_torn, store_address

_PREFIX = re.compile(rf"({'|'.join(KINDS)}):(?!//)(.+)", re.DOTALL)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_SHA256, _UID = re.compile(r"[0-9a-fA-F]{64}"), re.compile(r"[0-9a-fA-F]{32}")
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[^\s/?#:@\\*\[\]]+")
DETAILS = ("source", "license", "url")


@dataclass(frozen=True)
class Revocation:
    """What a request names and touches; `done`, where it was carried out, says which request it is and what became of subsets."""

    found: Found
    touched: Touched
    rows: pl.DataFrame
    done: dict[str, Any] | None

    def left(self) -> list[dict[str, Any]]:
        """Of every subset touched: which run and name, how many rows leave, and of which sources and declared licences they are."""
        told = []
        for one in self.touched["subsets"]:
            for run, name in one["names"] or [["", ""]]:
                rows = self.rows.filter(pl.col("subsets").list.contains(f"{run}/{name}"))
                by = {column: dict(rows[column].value_counts(sort=True, name="n").rows()) for column in ("source", "license")}
                told.append(
                    {"run": run, "subset": name, "digest": one["digest"], "after": self._after(run, name), "left": one["rows"], **by}
                )
        return told

    def _after(self, run: str, name: str) -> str | None:
        changed: dict[str, list[str]] = ((self.done or {}).get("runs", {}).get(run) or {}).get("subsets", {})
        return changed[name][1] if name in changed else None

    def to_json(self) -> dict[str, Any]:
        """All but uids and addresses of rows, JSON-able; names that met none are as they were asked."""
        about = {
            "rows": self.found.count,
            "already": self.found.already,
            "named_by": self.found.kinds,
            "met_no_row": list(self.found.unmet),
            "not_looked_through": self.found.unread,
        }
        done = {key: self.done[key] for key in ("number", "again", "undone")} if self.done else None
        return {**about, "touched": self.touched, "subsets": self.left(), "done": done}


def plain_of(names: Iterable[str], kind: str | None = None) -> Plain:
    """What names say: `kind:value` (uid, url, domain, text, image: SHA-256 of a text's or an image's bytes), or a value alone, of the kind
    given or, without one, an address or a uid of 32 hex digits. CeterisError for what is neither."""
    if kind is not None and kind not in KINDS:
        raise CeterisError(f"there is no kind {kind}", where="--kind", fix=f"one of {', '.join(KINDS)}")
    said: dict[str, set[str]] = {one: set() for one in KINDS}
    for name in names:
        refuse_torn({"a name": name})
        found = _PREFIX.fullmatch(name)
        of, value = (found[1], found[2]) if found and not (kind == "url" and _ADDRESS.match(name)) else (kind or _guessed(name), name)
        if of in ("text", "image") and not _SHA256.fullmatch(value):
            raise CeterisError(
                f"{value[:80]!r} is no SHA-256", where=f"{of}:", fix="64 hex digits: `sha256sum FILE`, of the bytes as the pool has them"
            )
        if of == "domain" and not _HOST.fullmatch(plain_host(value)):
            raise CeterisError(
                f"{value[:80]!r} is no domain", where="domain:", fix="a host without scheme, port and path: domain:example.org"
            )
        said[of].add(value)
    hexed = sorted(value.lower() for value in said["uid"] if _UID.fullmatch(value))
    return Plain(
        words_of_hex(hexed) if hexed else np.zeros((0, 2), np.uint64),
        frozenset(value for value in said["uid"] if not _UID.fullmatch(value)),
        frozenset(said["url"]),
        frozenset(map(plain_host, said["domain"])),
        frozenset(map(bytes.fromhex, said["text"])),
        frozenset(map(bytes.fromhex, said["image"])),
    )


def _guessed(name: str) -> str:
    if _ADDRESS.match(name):
        return "url"
    if _UID.fullmatch(name):
        return "uid"
    raise CeterisError(f"what is {name[:80]!r}?", fix=f"write its kind before it, {_likely(name)}, or give --kind: {', '.join(KINDS)}")


def _likely(name: str) -> str:
    """Kinds that a name may be of, as examples."""
    host = "." in name.strip(".") and ":" not in name and _HOST.fullmatch(plain_host(name))
    return f"such as domain:{name[:40]} for a host or uid:{name[:40]} for a row" if host else f"such as uid:{name[:40]}"


def names_in(file: str) -> list[str]:
    """The lines of a file (`-`: of standard input) that say something; those that begin with # do not."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CeterisError(f"the list cannot be read: {error}", where=file, fix="give a file of UTF-8, one name a line") from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def revoke(
    names: Sequence[str],
    *,
    store: Store | str | Path | None = None,
    kind: str | None = None,
    copies: bool = True,
    near: bool = False,
    yes: bool = False,
    who: str | None = None,
    reason: str = "",
    executor: Executor | None = None,
) -> Revocation:
    """Find the rows that names name (`plain_of`) in every pool of the store, and say what they touch; with `yes`, take them out for good.

    With `copies` rows of the same image, or text, go with them; with `near` those of nearly the same image, in pools that runs are on
    (`pipelines/provenance/pictures.py`). `who` (else this user) and `reason` stand in the tombstone. Without `yes` nothing is written.
    """
    at, plain = open_store(store), plain_of(names, kind)
    found = look(at, plain, copies, (lambda gone: _near(gone, executor or InProcess())) if near else None)
    touched, rows = found.touched(), listed(found)
    done = None
    if yes:
        done = take_down(found, who=who or _user(), reason=reason, time=datetime.now(UTC).isoformat(timespec="seconds"))
    return Revocation(found, done["touched"] if done else touched, rows, done)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return f"user {os.getuid()}"


def interrupted(store: str | Path | None = None) -> bool:
    """Whether a take-down counts in this store and is not done; whoever opens the store does it to its end."""
    return (Path(store_address(store)) / PENDING).is_file()


def listed(found: Found) -> pl.DataFrame:
    """The rows, a line for each in each pool: uid as the pool writes it, pool, shard, row, source, declared licence, url, and the subsets
    that hold it as RUN/NAME. For the owner of the pool, on request; none of it stays in the store."""
    gone, frames = found.gone, [pl.DataFrame(schema=_LISTED)]
    held = _subsets_of(gone)
    for key, shards in gone.pools.items():
        pool, done = gone.pool(key), 0
        for number, rows in shards.items():
            uids = gone.uids[key][done : done + rows.size]
            done += rows.size
            there = (pool.root / pool.shards[number].path).exists()
            details = [one for one in DETAILS if one in pool.roles and there]
            read = pool.read(pool.shards[number], roles=details, rows=rows).frame if details else pl.DataFrame()
            columns = {one: read[one] if one in details else pl.Series([None] * rows.size, dtype=pl.String) for one in DETAILS}
            place = {"uid": _as_written(found.store, key, number, rows, uids), "pool": key, "shard": pool.shards[number].path}
            subsets = [[name for name, words in held.items() if uid in words] for uid in map(tuple, uids.tolist())]
            frame = pl.DataFrame(
                {**place, "row": rows.astype(np.uint64), **columns, "subsets": pl.Series(subsets, dtype=pl.List(pl.String))}
            )
            frames.append(frame.cast(pl.Schema(_LISTED)))
    return pl.concat(frames)


_LISTED = {"uid": pl.String, "pool": pl.String, "shard": pl.String, "row": pl.UInt64}
_LISTED |= {**dict.fromkeys(DETAILS, pl.String), "subsets": pl.List(pl.String)}  # type: ignore[dict-item]


def _subsets_of(gone: Gone) -> dict[str, set[tuple[int, ...]]]:
    """Of every subset of every run, as RUN/NAME, the uids of the rows that are in it."""
    found = {}
    for folder, facts in runs_of(gone.store).items():
        run = Run(gone.store, folder)
        for name in facts["subsets"]:
            words = run.subset(name).uids
            found[f"{folder}/{name}"] = set(map(tuple, words[gone.among(words)].tolist()))
    return found


def _as_written(store: Store, key: str, shard: int, rows: Indices, uids: UInt64s) -> list[str]:
    originals = read_originals(store, key, shard) if store.json(f"{key}/uids/{shard:06d}.json") else None
    there = [None] * rows.size if originals is None else originals.gather(rows).to_list()
    return [written or uid for written, uid in zip(there, hex_of(uids), strict=True)]


def _near(gone: Gone, executor: Executor) -> dict[str, Indices]:
    """By shard digest: rows of pools that runs are on with nearly the same image as one of the rows."""
    from pipelines.provenance.pictures import showing  # decodes images

    runs: dict[str, list[Run]] = {}
    for folder, facts in runs_of(gone.store).items():
        runs.setdefault(facts["pool"], []).append(Run(gone.store, folder))
    images = {image for key, held in gone.pools.items() for number, rows in held.items() for image in _images(gone, key, number, rows)}
    found: dict[str, set[int]] = {}
    for key, on in runs.items():
        pool = gone.pool(key)
        if "image" not in pool.roles:
            continue
        edges = np.cumsum([0, *(shard.rows for shard in pool.shards)])
        for image in images:
            numbers = np.array(showing(gone.store, on, image, np.empty(0, np.int64), executor, every=True).numbers, np.int64)
            for number, shard in zip(numbers, np.searchsorted(edges, numbers, side="right") - 1, strict=True):
                found.setdefault(pool.shards[shard].digest, set()).add(int(number - edges[shard]))
    return {digest: np.array(sorted(rows), np.int64) for digest, rows in found.items()}


def _images(gone: Gone, key: str, shard: int, rows: Indices) -> list[bytes]:
    pool = gone.pool(key)
    if "image" not in pool.roles:
        return []
    return pool.read(pool.shards[shard], roles=["image"], rows=rows).frame["image"].drop_nulls().to_list()


def write_list(rows: pl.DataFrame, file: str) -> None:
    """The rows for the owner of the pool: JSON lines, of a file called .txt uids alone, one a line; `-` is standard output."""
    lines = (
        rows["uid"].unique(maintain_order=True).to_list()
        if file.endswith(".txt")
        else [json.dumps(row, ensure_ascii=False) for row in rows.to_dicts()]
    )
    text = "".join(f"{line}\n" for line in lines)
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CeterisError(f"the list cannot be written: {error.strerror}", where=file, fix="name a file that can be written") from error
