"""What the files of a pool are together: layout, roles, the kind of every column, where files drift apart, and the shards."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from curate.errors import PoolError
from curate.layouts import BYTES, NULL, SCALARS, Layout, dtype_of, override_line, recognise, unify
from curate.probes import Probe
from curate.shard_files import digest_with_images
from curate.shard_reader import references
from curate.wanted import Place


@dataclass(frozen=True)
class Shard:
    """One file, or one folder of text files. `path` is posix, relative to the pool's root; `digest` is the hex SHA-256 of its content (and
    of the list of image files it names); `groups` are the rows of each piece that can be read by itself."""

    path: str
    size: int
    rows: int
    digest: str
    groups: tuple[int, ...]


def understand(
    root: Path, ending: str, probes: Sequence[Probe], layout: str | None, overrides: Mapping[str, str]
) -> tuple[Layout, dict[str, str], dict[str, str]]:
    """Layout and roles as the first shard shows them, and the kind of every column over all shards."""
    first = next((probe for probe in probes if probe.columns), probes[0])
    union = {name: kind for probe in reversed(probes) for name, kind in probe.columns.items()}
    shown = {**first.columns, **{name: union[name] for name in overrides.values() if name in union}}
    found, roles = recognise(ending, shown, str(root / first.path), layout, overrides)
    return found, roles, _kinds(root, ending, probes, first, roles)


def _kinds(root: Path, ending: str, probes: Sequence[Probe], first: Probe, roles: Mapping[str, str]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    by_column = {column: role for role, column in roles.items()}
    for probe in probes:
        for name, kind in probe.columns.items():
            both = unify(kinds.get(name, NULL), kind)
            if both is None:
                both = _drifted(root, ending, probe, name, kinds[name], by_column.get(name))
            kinds[name] = both
        for name, role in by_column.items():
            required = ending == "parquet" or (ending != "tar" and role in ("uid", "text", "image", "url"))
            if probe.columns and required and name not in probe.columns:
                what = f"column {name!r} (role {role}) is missing; found {', '.join(probe.columns)}; expected as in {first.path}"
                fix = f"remove the file, or for a column that all have {override_line(role, 'COLUMN')}"
                raise PoolError(what, where=str(root / probe.path), fix=fix)
    return kinds


def _drifted(root: Path, ending: str, probe: Probe, name: str, expected: str, role: str | None) -> str:
    """What a column is where two shards disagree: bytes may hold text; nothing else may differ in a role or in Parquet's scalar columns."""
    found = probe.columns[name]
    if role not in (None, "image") and {found, expected} == {"String", BYTES}:
        return "String"
    if role == "face_boxes" and found.startswith("nested") and expected.startswith("nested"):
        return "nested list"
    if role is None and (ending == "jsonl" or (not (dtype_of(found) and dtype_of(expected)) and not {found, expected} & set(SCALARS))):
        return "nested and other values"
    fix = f"write the column as {expected} in every file, or remove the file"
    if role:
        fix += f", or for another column {override_line(role, 'COLUMN')}"
    raise PoolError(f"column {name!r} drifts: found {found}, expected {expected}", where=str(root / probe.path), fix=fix)


def ending_of(layout: str, path: str) -> str:
    """The kind of file (a key of ENDINGS) of a layout's shard."""
    if layout in ("text-folder", "webdataset"):
        return "txt" if layout == "text-folder" else "tar"
    return "parquet" if path.lower().endswith(".parquet") else "jsonl"


def shards_of(root: Path, ending: str, probes: Sequence[Probe], roles: Mapping[str, str]) -> list[Shard]:
    """The shards of what was probed, in its order."""
    image = roles.get("image")

    def shard(probe: Probe) -> Shard:
        digest = probe.digest
        if image in probe.image_paths:
            digest = digest_with_images(digest, references(Place(root, probe.path, ending, probe.groups), image))
        return Shard(probe.path, probe.size, sum(probe.groups), digest, probe.groups)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        return list(threads.map(shard, probes))
