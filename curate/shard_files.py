"""Whole files of a pool: which there are, what each holds, what is wrong with it, and its digest."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate import jsonl
from curate.digest import canonical_json, digest_of, sha256_file
from curate.errors import PoolError
from curate.footer import null_counts
from curate.layouts import IMAGE, kind_of

ENDINGS: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "jsonl": (".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.zstd", ".json.gz"),
    "txt": (".txt",),
}
FILES_PER_GROUP = 1024
_CACHE_VERSION = 1


@dataclass(frozen=True)
class Unreadable:
    """A file of which nothing can be read: why (`code`, `detail`) and what to do (`fix`)."""

    path: str
    code: str
    detail: str
    fix: str


@dataclass(frozen=True)
class Probe:
    """What one readable file, or one folder of text files, holds. `stat` is (size, mtime_ns, ctime_ns, inode) when it was read;
    `image_paths` names columns that hold, or may hold, paths of images; `reused` says that a cache knew it and it was not read again."""

    path: str
    digest: str
    groups: tuple[int, ...]
    columns: dict[str, str]
    stat: tuple[int, ...]
    image_paths: tuple[str, ...] = ()
    reused: bool = field(default=False, compare=False)


def find(root: Path, only: str | None = None) -> tuple[str, list[str]]:
    """The kind of file a pool is made of (a key of ENDINGS) and its data files (for txt: its folders), sorted, relative to the root.

    Hidden names and names that start with "_" are skipped; a folder reached by a link counts once and only inside the root. Text files
    count only where there are no others. PoolError where there are none, or both Parquet and JSON lines.
    """
    paths = [only] if only else sorted(_walk(root))
    by_ending = {ending: [path for path in paths if path.lower().endswith(ends)] for ending, ends in ENDINGS.items()}
    if by_ending["parquet"] and by_ending["jsonl"]:
        what = f"both Parquet ({by_ending['parquet'][0]}) and JSON lines ({by_ending['jsonl'][0]}): one pool has one layout"
        raise PoolError(what, where=str(root), fix="give the folder or the file of one of them")
    for ending, found in by_ending.items():
        if found:
            folders = ending == "txt" and not only
            return ending, sorted({os.path.dirname(path) or "." for path in found}) if folders else found
    looked_for = ", ".join(end for ends in ENDINGS.values() for end in ends)
    where = str(root / only if only else root)
    raise PoolError(f"no data file (looked for {looked_for})", where=where, fix="give a file or folder that holds some")


def _walk(root: Path) -> Iterator[str]:
    """Files under the root; real folders first, then those that only links lead to, each once."""
    real_root = os.path.realpath(root)
    seen = {real_root}
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        real = os.path.realpath(root / folder)
        if folder and (real in seen or not real.startswith(real_root + os.sep)):
            continue
        seen.add(real)
        for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name, reverse=True):
            if entry.name.startswith((".", "_")):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif entry.is_file():
                yield path


def text_files(root: Path, shard: str) -> list[str]:
    """The files of a text-folder shard in row order, relative to the root; the shard may be one file."""
    if not (root / shard).is_dir():
        return [shard]
    prefix = "" if shard == "." else f"{shard}/"
    names = [entry.name for entry in os.scandir(root / shard) if entry.is_file() and not entry.name.startswith((".", "_"))]
    return [prefix + name for name in sorted(names) if name.lower().endswith(ENDINGS["txt"])]


def probe_all(root: Path, ending: str, paths: Sequence[str], cache: Path | None) -> tuple[list[Probe], list[Unreadable]]:
    """Look at every file, through the cache where there is one; in the given order."""
    known = _load(cache)

    def look(path: str) -> Probe | Unreadable:
        kept = known.get(os.path.abspath(root / path))
        if kept is not None and ending != "txt" and tuple(kept["stat"]) == _stat(root / path):
            columns, groups = dict(kept["columns"]), tuple(kept["groups"])
            return Probe(path, kept["digest"], groups, columns, tuple(kept["stat"]), tuple(kept["image_paths"]), reused=True)
        return probe(root, ending, path)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        results = list(threads.map(look, paths))
    probes = [result for result in results if isinstance(result, Probe)]
    if cache is not None and any(not each.reused for each in probes):
        entries = {os.path.abspath(root / each.path): {k: v for k, v in asdict(each).items() if k != "reused"} for each in probes}
        _save(cache, {**known, **entries})
    return probes, [result for result in results if isinstance(result, Unreadable)]


def probe(root: Path, ending: str, path: str) -> Probe | Unreadable:
    """Read one file's structure and digest. PoolError if it changes meanwhile, or has two columns of one name."""
    if ending == "txt":
        return _probe_folder(root, path)
    file = root / path
    try:
        before = _stat(file)
        if not before[0]:
            return Unreadable(path, "empty_file", "0 bytes", "make or download it again, or remove it")
        found = _probe_parquet(file, path) if ending == "parquet" else _probe_jsonl(file, path)
        if isinstance(found, Unreadable):
            return found
        digest = sha256_file(file)
        if _stat(file) != before:
            raise PoolError("the file changed while it was read", where=str(file), fix="open the pool when nothing writes to it")
    except OSError as error:
        return Unreadable(path, "unreadable_file", str(error), "make the file readable, or remove it")
    groups, columns, image_paths = found
    return Probe(path, digest, groups, columns, before, image_paths)


_Found = tuple[tuple[int, ...], dict[str, str], tuple[str, ...]]


def _probe_parquet(file: Path, path: str) -> _Found | Unreadable:
    with file.open("rb") as stream:
        head = stream.read(64)
        stream.seek(max(0, file.stat().st_size - 4))
        tail = stream.read(4)
    if head[:4] != b"PAR1":
        return _foreign(path, head)
    if tail != b"PAR1":
        return Unreadable(path, "truncated", "it starts as Parquet but its footer is missing", "make or download it again")
    try:
        with pq.ParquetFile(file) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
            groups = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        columns = {name: kind_of(type_) for name, type_ in zip(schema.names, schema.types, strict=True)}
        image_paths = _may_hold_paths(file, columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        return Unreadable(path, "bad_footer", str(error), "make or download it again")
    if sum(groups) != metadata.num_rows or min(groups, default=0) < 0:
        detail = f"row groups hold {sum(groups)} rows, the footer says {metadata.num_rows}"
        return Unreadable(path, "bad_footer", detail, "make or download it again")
    for name in schema.names:
        if schema.names.count(name) > 1:
            what = f"{schema.names.count(name)} columns are called {name!r}"
            raise PoolError(what, where=str(file), fix="rename one and write the file again")
    return groups, columns, image_paths


def _may_hold_paths(file: Path, columns: dict[str, str]) -> tuple[str, ...]:
    """String columns, and image structs some of whose bytes may be null."""
    images = [name for name, kind in columns.items() if kind == IMAGE]
    nulls = null_counts(file) if images else []
    whole = {name for name in images if all(group.get(f"{name}.bytes") == 0 for group in nulls)}
    return tuple(name for name, kind in columns.items() if kind == "String" or (kind == IMAGE and name not in whole))


def _foreign(path: str, head: bytes) -> Unreadable:
    if head.startswith(b"version https://git-lfs"):
        return Unreadable(path, "not_parquet", "it is a Git LFS pointer, not the file", "fetch it with `git lfs pull`")
    if head.startswith(b"PARE"):
        return Unreadable(path, "not_parquet", "it is encrypted Parquet", "decrypt it first")
    kind = "an HTML page" if head.lstrip().startswith(b"<") else "no Parquet file"
    return Unreadable(path, "not_parquet", f"it is {kind}: it starts with {head[:24]!r}", "make or download it again, or remove it")


def _probe_jsonl(file: Path, path: str) -> _Found | Unreadable:
    sample: list[dict[str, Any] | None] = []
    groups = []
    try:
        for lines in jsonl.batches(file):
            groups.append(len(lines))
            if len(groups) == 1:
                sample = [jsonl.parse(line) for line in lines[: jsonl.SAMPLE_LINES]]
    except jsonl.BombError as error:
        return Unreadable(path, "bomb", str(error), "unpack it yourself if you trust it")
    except (pa.ArrowException, OSError) as error:
        code = "truncated" if "runcated" in str(error) else "bad_compression"
        return Unreadable(path, code, str(error), "make or download it again")
    if sample and not any(row is not None for row in sample):
        detail = f"none of its first {len(sample)} lines is a JSON object"
        return Unreadable(path, "not_jsonl", detail, "write one JSON object a line, or remove it")
    columns = jsonl.kinds(sample)
    return tuple(groups), columns, tuple(name for name, kind in columns.items() if kind == "String")


def _probe_folder(root: Path, path: str) -> Probe:
    files = text_files(root, path)
    listing = [_listed(root, name) for name in files]
    groups = tuple(min(FILES_PER_GROUP, len(files) - start) for start in range(0, len(files), FILES_PER_GROUP))
    size = sum(size for _, size, _ in listing)
    return Probe(path, digest_of(listing), groups, {"text": "String", "path": "String"}, (size,))


def _listed(root: Path, name: str) -> tuple[str, int, str]:
    """(path, size, digest) of one text file; one that cannot be read is a row of its own, and will be a faulty one."""
    try:
        return name, (root / name).stat().st_size, sha256_file(root / name)
    except OSError:
        return name, 0, "unreadable"


def digest_with_images(digest: str, references: Iterator[tuple[str, int, int]]) -> str:
    """A shard's digest where its images lie beside it: over its content's and each referenced file's (path, size, mtime_ns)."""
    state = hashlib.sha256(digest.encode())
    for reference in references:
        state.update(canonical_json(reference).encode() + b"\n")
    return state.hexdigest()


def _stat(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _load(cache: Path | None) -> dict[str, Any]:
    """A cache that is missing, damaged or of another version knows nothing."""
    if cache is None or not cache.is_file():
        return {}
    try:
        held = json.loads(cache.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return held["files"] if isinstance(held, dict) and held.get("version") == _CACHE_VERSION else {}


def _save(cache: Path, files: dict[str, Any]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary = cache.with_name(f"{cache.name}.{uuid.uuid4().hex}")
    temporary.write_text(canonical_json({"version": _CACHE_VERSION, "files": files}), encoding="utf-8")
    os.replace(temporary, cache)
