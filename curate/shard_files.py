"""Whole files of a pool: which there are, what each holds, what is wrong with it, and its digest."""

import hashlib
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import jsonl
from curate.digest import canonical_json, digest_of, sha256_file
from curate.errors import PoolError, StoreError
from curate.parquet_files import probe_parquet, siblings
from curate.probes import Found, Probe, Unreadable
from curate.seal import sealed, unsealed
from curate.tar_reader import probe_tar

ENDINGS: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "jsonl": (".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.zstd", ".json.gz"),
    "tar": (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"),
    "txt": (".txt",),
}
_KINDS = {"parquet": "Parquet", "jsonl": "JSON lines", "tar": "tars", "txt": "texts"}
TABLES = {
    **dict.fromkeys((".csv", ".tsv"), "write it as Parquet, as by polars.read_csv(FILE).write_parquet(OTHER)"),
    ".json": "write one object a line, into a file that ends with .jsonl",
    ".ndjson": "let its name end with .jsonl",
}
"""Endings of tables that are not read, and what to do."""
FILES_PER_GROUP = 1024
_CACHE_VERSION = 4


def find(root: Path, only: str | None = None, endings: Collection[str] | None = None) -> tuple[str, list[str]]:
    """The kind of file a pool is made of (a key of ENDINGS, one of `endings` where given) and its data files (for txt: its folders),
    sorted, relative to the root.

    Hidden names and names that start with "_" are skipped; a folder reached by a link counts once and only inside the root. Text files
    count only where there are no others, and a tar beside the Parquet file of its name belongs to that. PoolError where there are none, or
    several kinds.
    """
    paths = [only] if only else sorted(_walk(root))
    by_ending = {ending: [path for path in paths if path.lower().endswith(ends)] for ending, ends in ENDINGS.items()}
    if endings is not None:
        by_ending = {ending: found for ending, found in by_ending.items() if ending in endings}
    pairs = {path.removesuffix(".tar") for path in by_ending.get("tar", [])} & {_stem(path) for path in by_ending.get("parquet", [])}
    if pairs:
        by_ending["parquet"] += [path for path in by_ending.pop("tar") if path.removesuffix(".tar") not in pairs]
    several = {_KINDS[ending]: found[0] for ending, found in by_ending.items() if found and ending != "txt"}
    if len(several) > 1:
        both = " and ".join(f"{kind} ({path})" for kind, path in several.items())
        raise PoolError(f"both {both}: one pool has one layout", where=str(root), fix="give the folder or the file of one of them")
    for ending, found in by_ending.items():
        if found:
            folders = ending == "txt" and not only
            return ending, sorted({os.path.dirname(path) or "." for path in found}) if folders else found
    looked_for = ", ".join(end for ending in by_ending for end in ENDINGS[ending])
    where = str(root / only if only else root)
    tables = sorted({ending for path in paths if (ending := os.path.splitext(path)[1].lower()) in TABLES})
    fix = f"{', '.join(tables)} is not read: {TABLES[tables[0]]}" if tables else "give a file or folder that holds some"
    raise PoolError(f"no data file (looked for {looked_for})", where=where, fix=fix)


def _stem(path: str) -> str:
    return path[: -len(".parquet")]


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
        for entry in sorted(_listing(root / folder), key=lambda entry: entry.name, reverse=True):
            if entry.name.startswith((".", "_")):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif _is_file(entry):
                yield path


def _listing(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        return list(os.scandir(folder))
    except OSError as error:
        what = f"the folder cannot be listed: {error.strerror}"
        raise PoolError(what, where=str(folder), fix="make it readable, or move it away") from error


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """A link that leads nowhere is a file that cannot be read, not no file."""
    return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))


def aside(root: Path, layout_ending: str) -> dict[str, tuple[int, str]]:
    """What under a pool's folder is none of its files: by ending (`hidden` for data files whose name starts with "." or "_"), how many, and
    the first. What lies beside a table and is read with it is not among it."""
    found: dict[str, tuple[int, str]] = {}
    ends, every = tuple(end for some in ENDINGS.values() for end in some), set(_walk(root))
    for path in sorted(every):
        if not path.lower().endswith(ENDINGS[layout_ending]) and not any(
            path.endswith(end) and path.removesuffix(end) + ".parquet" in every for end in (".npz", ".tar")
        ):
            ending = next((end for end in ends if path.lower().endswith(end)), os.path.splitext(path)[1].lower())
            found[ending] = (found.get(ending, (0, ""))[0] + 1, found.get(ending, (0, path))[1])
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            inside = os.path.relpath(os.path.join(folder, name), root)
            if name.lower().endswith(ENDINGS[layout_ending]) and any(part.startswith((".", "_")) for part in inside.split(os.sep)):
                found["hidden"] = (found.get("hidden", (0, ""))[0] + 1, found.get("hidden", (0, inside))[1])
    return found


def text_files(root: Path, shard: str) -> list[str]:
    """The files of a text-folder shard in row order, relative to the root; the shard may be one file."""
    if not (root / shard).is_dir():
        return [shard]
    prefix = "" if shard == "." else f"{shard}/"
    names = [entry.name for entry in os.scandir(root / shard) if _is_file(entry) and not entry.name.startswith((".", "_"))]
    return [prefix + name for name in sorted(names) if name.lower().endswith(ENDINGS["txt"])]


def probe_all(root: Path, ending: str, paths: Sequence[str], cache: Path | None) -> tuple[list[Probe], list[Unreadable]]:
    """Look at every file, through the cache where there is one; in the given order."""
    known = _load(cache)

    def look(path: str) -> Probe | Unreadable:
        kept = known.get(os.path.abspath(root / path))
        if kept is not None and ending != "txt" and tuple(kept["stat"]) == _state(root / path):
            tuples = {name: tuple(kept[name]) for name in ("groups", "stat", "image_paths")}
            beside = tuple(Unreadable(**{**each, "path": _beside(path, each["path"])}) for each in kept["beside"])
            return Probe(path, kept["digest"], columns=dict(kept["columns"]), beside=beside, reused=True, **tuples)
        return probe(root, ending, path)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as threads:
        results = list(threads.map(look, paths))
    probes = [result for result in results if isinstance(result, Probe)]
    if cache is not None and any(not each.reused for each in probes):
        entries = {os.path.abspath(root / each.path): {k: v for k, v in asdict(each).items() if k != "reused"} for each in probes}
        _save(cache, {**known, **entries})
    if ending == "parquet" and any(_has_tar(root, each) for each in probes):
        alone = {each.path: _without_tar(each) for each in probes if not _has_tar(root, each) and each.columns.get("key")}
        probes = [each for each in probes if each.path not in alone]
        results = [alone.get(each.path, each) for each in results]
    missed = [[result] if isinstance(result, Unreadable) else result.beside for result in results]
    return probes, [each for some in missed for each in some]


def _has_tar(root: Path, probe: Probe) -> bool:
    return any(each.suffix == ".tar" for each in siblings(root / probe.path))


def _without_tar(probe: Probe) -> Unreadable:
    detail = f"there is no {_stem(probe.path)}.tar beside it, as beside the others"
    return Unreadable(probe.path, "no_tar", detail, "make or download it again, or move it away")


def probe(root: Path, ending: str, path: str) -> Probe | Unreadable:
    """Read one file's structure and digest. PoolError if it changes meanwhile, or has two columns of one name."""
    if ending == "txt":
        return _probe_folder(root, path)
    file = root / path
    try:
        before = _state(file)
        if not before[0]:
            return Unreadable(path, "empty_file", "0 bytes", "make or download it again, or remove it")
        if ending == "parquet" and path.endswith(".tar"):
            fix = "make or download it again; or open the tars without their tables: `--layout webdataset`"
            return Unreadable(path, "no_table", f"there is no {path.removesuffix('.tar')}.parquet beside it, as beside the others", fix)
        found = _PROBES[ending](file, path)
        if isinstance(found, Unreadable):
            return found
        digest = sha256_file(file)
        for sibling in siblings(file) if ending == "parquet" else ():
            digest = digest_of([digest, sibling.suffix, sha256_file(sibling)])
        if _state(file) != before:
            raise PoolError("the file changed while it was read", where=str(file), fix="open the pool when nothing writes to it")
    except OSError as error:
        return Unreadable(path, "unreadable_file", str(error), "make the file readable, or remove it")
    return Probe(path, digest, found.groups, found.columns, before, found.image_paths, found.beside)


def _probe_jsonl(file: Path, path: str) -> Found | Unreadable:
    sample: list[dict[str, Any] | None] = []
    groups = []
    try:
        for lines in jsonl.batches(file):
            groups.append(len(lines))
            if len(groups) == 1:
                sample = [jsonl.parse(line) for line in lines[: jsonl.SAMPLE_LINES]]
    except jsonl.BombError as error:
        return Unreadable(path, "bomb", str(error), "unpack it yourself if you trust it")
    except PermissionError:
        raise  # the file is not broken
    except (pa.ArrowException, OSError) as error:
        code = "truncated" if "runcated" in str(error) else "bad_compression"
        return Unreadable(path, code, str(error), "make or download it again")
    if sample and not any(row is not None for row in sample):
        detail = f"none of its first {len(sample)} lines is a JSON object"
        return Unreadable(path, "not_jsonl", detail, "write one JSON object a line, or remove it")
    columns = jsonl.kinds(sample)
    return Found(tuple(groups), columns, tuple(name for name, kind in columns.items() if kind == "String"))


_PROBES: dict[str, Callable[[Path, str], Found | Unreadable]] = {"parquet": probe_parquet, "jsonl": _probe_jsonl, "tar": probe_tar}


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


def _state(path: Path) -> tuple[int, ...]:
    """(bytes, mtime_ns, ctime_ns, inode) of a file, and of each that lies beside it and is read with it."""
    found = [each.stat() for each in (path, *(siblings(path) if path.suffix.lower() == ".parquet" else ()))]
    return tuple(number for each in found for number in (each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino))


def _beside(path: str, name: str) -> str:
    """A sibling's path, whatever the root was when it was written down."""
    return os.path.join(os.path.dirname(path), os.path.basename(name))


def _load(cache: Path | None) -> dict[str, Any]:
    """A cache that is missing, damaged or of another version knows nothing."""
    if cache is None or not cache.is_file():
        return {}
    try:
        held = unsealed(cache.read_bytes(), where=str(cache))
    except StoreError:
        return {}
    return held["files"] if isinstance(held, dict) and held.get("version") == _CACHE_VERSION else {}


def _save(cache: Path, files: dict[str, Any]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    temporary = cache.with_name(f"{cache.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(sealed({"version": _CACHE_VERSION, "files": files}))
    os.replace(temporary, cache)
