"""A pool: immutable shards opened in place, the roles of their columns, and their rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from curate.digest import UInt64s, digest_of
from curate.errors import PoolError
from curate.layouts import SCALARS, dtype_of, layout_named, nearest, override_line, vector_kind, vector_length
from curate.probes import Unreadable
from curate.shard_files import find, probe_all
from curate.shard_reader import read_rows
from curate.structure import Shard, ending_of, shards_of, understand
from curate.uids import number_duplicates, refuse_duplicates, uids_of_content, uids_of_places, uids_of_strings, uids_within
from curate.wanted import ROLE_KINDS, Indices, Place, Wanted

__all__ = ["Pool", "Read", "Shard", "Unreadable", "number_duplicates", "refuse_duplicates"]

_SAMPLE_ROWS, _SAMPLE_CHARS, _NO_ROWS = 3, 200, np.empty(0, np.int64)
_MAGIC = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"))


class Read(NamedTuple):
    """Rows as asked, and for each column of `frame` in which a value could not be read its error codes, aligned (null: fine)."""

    frame: pl.DataFrame
    faults: dict[str, pl.Series]


@dataclass(frozen=True)
class Pool:
    """Rows in (shard, row number) order. `columns` are the columns that recipes may use as `pool.NAME`: scalars, and vectors of floats as
    Binary (little-endian float16), whose lengths are `vectors`; `digest_level` is "stat" where
    every shard's digest was reused because size, times and inode had not changed, else "full". A referenced image file counts by its
    size and time at either level."""

    root: Path
    layout: str
    modality: str
    roles: dict[str, str]
    columns: dict[str, pl.DataType]
    shards: tuple[Shard, ...]
    unreadable: tuple[Unreadable, ...]
    digest_level: str
    vectors: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(
        cls, path: str | Path, *, layout: str | None = None, roles: Mapping[str, str] | None = None, cache: Path | None = None
    ) -> "Pool":
        """Open a folder or a file where it lies. `roles` overrides role -> column (an empty column: no such role); `cache`, a JSON file,
        remembers what was read of each unchanged file. Files that cannot be read are listed in `unreadable`; the others are used.

        PoolError: nothing there, nothing readable, an unknown layout, roles that are missing or ambiguous, shards that drift apart.
        """
        endings = None if layout is None else layout_named(layout).endings
        path = Path(path)
        if not path.exists():
            raise PoolError("there is no such file or folder", where=str(path), fix="check the path")
        root, only = (path, None) if path.is_dir() else (path.parent, path.name)
        ending, files = find(root, only, endings)
        probes, unreadable = probe_all(root, ending, files, cache)
        if not probes:
            first = unreadable[0]
            what = f"none of {len(unreadable)} data files can be read; the first is {first.code}: {first.detail}"
            raise PoolError(what, where=str(root / first.path), fix=first.fix)
        found, named, kinds = understand(root, ending, probes, layout, roles or {})
        return cls(
            root=root,
            layout=found.name,
            modality="image-text" if "image" in named else found.modality,
            roles=named,
            columns={name: dtype for name, kind in kinds.items() if (dtype := dtype_of(kind))},
            shards=tuple(shards_of(root, ending, probes, named)),
            unreadable=tuple(unreadable),
            digest_level="stat" if all(probe.reused for probe in probes) else "full",
            vectors={name: length for name, kind in kinds.items() if (length := vector_length(kind))},
        )

    @classmethod
    def described(cls, layout: str) -> "Pool":
        """A pool of this layout without a shard: enough to plan on. PoolError for an unknown one."""
        known = layout_named(layout)
        named = {name: "String" for name in (*known.needs, *known.roles.values())}
        roles = {role: role for role in ("text", *(("image", "url", "license", "source") if known.image else ()))}
        columns = {**named, **{name: "String" for role, name in roles.items() if role != "image"}, **known.columns}
        held = {
            "root": "",
            "layout": layout,
            "modality": "image-text" if known.image else known.modality,
            "roles": {**roles, **known.roles},
            "columns": columns,
            "shards": [],
            "unreadable": [],
            "digest_level": "full",
        }
        return cls.from_json(held)

    @property
    def id(self) -> str:
        """Hex digest of what the pool is: layout, roles and shard digests in order; not of where it lies."""
        return digest_of([self.layout, self.roles, [shard.digest for shard in self.shards]])

    @property
    def rows(self) -> int:
        """Rows of all readable shards."""
        return sum(shard.rows for shard in self.shards)

    def read(
        self,
        shard: Shard,
        *,
        roles: Sequence[str] = (),
        columns: Sequence[str] = (),
        start: int = 0,
        stop: int | None = None,
        rows: Sequence[int] | Indices | None = None,
    ) -> Read:
        """Roles (named by the role; String, face_boxes as JSON, image as Binary; all null where the pool has no such role) and pool columns
        (named pool.NAME) of a row range, or of sorted absolute row numbers. What cannot be read is null with a fault; no row is ever lost.

        Fault codes: invalid_utf8, unreadable, not_finite, bad_json, wrong_type, wrong_length, no_column, missing_file, outside_pool;
        of tars also missing_member, duplicate_member, two_images, unsafe_name, not_a_file, too_large.
        """
        wanted = [Wanted(role, self.roles.get(role), ROLE_KINDS.get(role, "String")) for role in roles]
        wanted += [Wanted(f"pool.{name}", name, self._kind(name)) for name in columns]
        chosen = np.arange(start, shard.rows if stop is None else stop) if rows is None else np.asarray(rows, np.int64)
        if chosen.size and (chosen[0] < 0 or chosen[-1] >= shard.rows or (rows is not None and (chosen[1:] < chosen[:-1]).any())):
            raise PoolError(f"rows must be sorted and lie within 0 .. {shard.rows - 1}", where=shard.path, fix="ask for rows of this shard")
        values = read_rows(self._place(shard), wanted, chosen.astype(np.int64, copy=False))
        faults = {want.name: codes for want, (_, codes) in zip(wanted, values, strict=True) if codes.null_count() < len(codes)}
        return Read(pl.DataFrame([column for column, _ in values]), {name: codes.alias(name) for name, codes in faults.items()})

    def uids(self, shard: Shard, start: int = 0, stop: int | None = None) -> tuple[UInt64s, pl.Series | None]:
        """The uids of a shard's rows start to stop as (n, 2) words, high first; and as they were written where they are not 32 hex digits.

        Without a uid column: hashes of all roles' values, equal for identical rows until `number_duplicates` tells them apart. A row whose
        uid cannot be read gets the hash of its place. PoolError: null uids, naming file and rows.
        """
        end = shard.rows if stop is None else stop
        if "uid" not in self.roles:
            spans = [(max(a, start), min(b, end)) for a, b in _spans(shard.groups) if a < end and b > start]
            parts = [self.read(shard, roles=sorted(self.roles), start=a, stop=b).frame for a, b in spans]
            return np.concatenate([np.empty((0, 2), np.uint64), *map(uids_of_content, parts)]), None
        layout = layout_named(self.layout)
        within = layout.uid_within if self.roles["uid"] == layout.roles.get("uid") else None
        frame, faults = self.read(shard, roles=["uid"], columns=[within] if within else [], start=start, stop=end)
        faulty = np.zeros(end - start, bool)
        for codes in faults.values():
            faulty |= codes.is_not_null().to_numpy()
        uids = frame.get_column("uid")
        self._refuse_nulls(shard, start + np.flatnonzero(uids.is_null().to_numpy() & ~faulty))
        if not within and not faults:
            return uids_of_strings(uids)
        words = np.empty((end - start, 2), np.uint64)
        fine = frame.filter(~faulty)
        originals: pl.Series | None
        if within:
            words[~faulty], originals = uids_within(fine.get_column(f"pool.{within}"), fine.get_column("uid"))
        else:
            words[~faulty], originals = uids_of_strings(fine.get_column("uid"))
        words[faulty] = uids_of_places(shard.digest, start + np.flatnonzero(faulty))
        return words, originals if originals is None or not faulty.any() else _spread(originals, ~faulty)

    def refuse_changes(self, cache: Path | None = None) -> None:
        """PoolError, naming the first, where shards are gone or hold other content than when opened; `cache` as for `open`."""
        there = [shard for shard in self.shards if (self.root / shard.path).exists()]
        probes = probe_all(self.root, ending_of(self.layout, there[0].path), [shard.path for shard in there], cache)[0] if there else []
        now = (
            {one.path: one.digest for one in shards_of(self.root, ending_of(self.layout, there[0].path), probes, self.roles)}
            if there
            else {}
        )
        changed = [shard.path for shard in self.shards if now.get(shard.path) != shard.digest]
        if changed:
            where = self.root / changed[0]
            what = "holds other content than when it was opened" if where.exists() else "is gone"
            others = f" ({len(changed) - 1} more)" if len(changed) > 1 else ""
            raise PoolError(f"the shard {what}{others}", where=str(where), fix="restore it, or run the recipe again")

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-able, so that another process re-opens it without looking at a file."""
        return {
            "root": str(self.root.absolute()),
            "layout": self.layout,
            "modality": self.modality,
            "roles": self.roles,
            "columns": {name: self._kind(name) for name in self.columns},
            "shards": [asdict(shard) for shard in self.shards],
            "unreadable": [asdict(each) for each in self.unreadable],
            "digest_level": self.digest_level,
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Pool":
        """The pool that `to_json` wrote down."""
        shards = tuple(Shard(**{**shard, "groups": tuple(shard["groups"])}) for shard in held["shards"])
        columns = {name: dtype for name, kind in held["columns"].items() if (dtype := dtype_of(kind))}
        vectors = {name: length for name, kind in held["columns"].items() if (length := vector_length(kind))}
        unreadable = tuple(Unreadable(**each) for each in held["unreadable"])
        root, roles = Path(held["root"]), dict(held["roles"])
        return cls(root, held["layout"], held["modality"], roles, columns, shards, unreadable, held["digest_level"], vectors)

    def describe(self, refused: Callable[[Shard], Indices] = lambda _: _NO_ROWS) -> dict[str, Any]:
        """What the pool is believed to be, JSON-able: layout, modality, roles, rows, shards, columns, unreadable files, sample rows; of
        these none that is `refused`, by row number."""
        shard = next((shard for shard in self.shards if shard.rows), None)
        sample = []
        if shard:
            skipped = refused(shard)
            shown = np.setdiff1d(np.arange(min(shard.rows, _SAMPLE_ROWS + skipped.size)), skipped)[:_SAMPLE_ROWS]
            sample = self.read(shard, roles=list(self.roles), rows=shown).frame.to_dicts()
        return {
            "path": str(self.root),
            "id": self.id,
            "layout": self.layout,
            "modality": self.modality,
            "roles": self.roles,
            "rows": self.rows,
            "shards": len(self.shards),
            "bytes": sum(each.size for each in self.shards),
            "columns": {name: self._kind(name) if name in self.vectors else str(dtype) for name, dtype in self.columns.items()},
            "unreadable": [asdict(each) for each in self.unreadable],
            "digest_level": self.digest_level,
            "sample": [{role: _shown(value) for role, value in row.items()} for row in sample],
        }

    def _kind(self, column: str) -> str:
        if column not in self.columns:
            what = f"the pool has no column {column!r} for rules{nearest(column, list(self.columns))}"
            raise PoolError(what, where=str(self.root), fix="columns: " + ", ".join(self.columns))
        if column in self.vectors:
            return vector_kind(self.vectors[column])
        dtype = self.columns[column]
        return next(kind for kind, each in SCALARS.items() if each == dtype)

    def _place(self, shard: Shard) -> Place:
        return Place(self.root, shard.path, ending_of(self.layout, shard.path), shard.groups)

    def _refuse_nulls(self, shard: Shard, rows: Indices) -> None:
        if rows.size:
            shown = ", ".join(map(str, rows[:5].tolist())) + (", ..." if rows.size > 5 else "")
            what = f"the uid column {self.roles['uid']!r} is null in {rows.size} rows: {shown}"
            fix = f"fill it; for another column {override_line('uid', 'COLUMN')}, for none `--role uid=`"
            raise PoolError(what, where=str(self.root / shard.path), fix=fix)


def _spans(groups: Iterable[int]) -> list[tuple[int, int]]:
    ends = np.cumsum(list(groups), dtype=np.int64).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []


def _spread(values: pl.Series, where: "np.ndarray[Any, np.dtype[np.bool_]]") -> pl.Series:
    """Values at the true places, null at the others."""
    index = np.where(where, np.cumsum(where) - 1, 0)
    frame = pl.DataFrame({"value": values.gather(index) if len(values) else [None] * len(where), "there": where})
    return frame.select(pl.when("there").then("value").cast(pl.String).alias(values.name)).to_series()


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        kind = next((name for magic, name in _MAGIC if value.startswith(magic)), "unknown format")
        kind = "WebP" if value[:4] == b"RIFF" and value[8:12] == b"WEBP" else kind
        return f"{kind}, {len(value)} bytes"
    return value if not isinstance(value, str) or len(value) <= _SAMPLE_CHARS else value[:_SAMPLE_CHARS] + "..."
