"""A subset as webdataset shards: samples in one fixed random order, images as they are, and what is known of each row beside them.

Rows are read once in the pool's order and laid aside; then each bucket of hashes is written in the order of its hashes. Memory holds
24 bytes a row of one bucket and one image at a time; the disk holds the subset twice while it is written.
"""

import io
import json
import shutil
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from curate.digest import canonical_json, h, hex_of, row_hash
from curate.exports.evidence import Evidence
from curate.exports.rows import Part, parts_of
from curate.pieces import read_originals
from curate.plan import POOL
from curate.record import Run, Selected
from curate.redaction import Blurring, Redaction

ROWS_PER_TAR = 10_000
ROWS_PER_BUCKET, BITS_AT_MOST = 65_536, 8

_INDEX = np.dtype([("high", "<u8"), ("low", "<u8"), ("at", "<u8")])
_LAID = struct.Struct("<44s8sqqq")
_MAGIC = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\0", "tif"), (b"MM\0*", "tif"))
_NOT_TOLD = ("uid", "text", "image", "html", "headers", "face_boxes")
_OURS = ("uid", "shard", "row", "copies", "copy", "copy_of", "evidence", "face_bboxes", "original_uid")


def write_tars(
    run: Run,
    chosen: Selected,
    out: Path,
    about: dict[str, Any],
    redaction: Redaction | None,
    blurring: Blurring | None,
    evidence: Evidence | None,
) -> tuple[list[str], dict[str, int]]:
    """NNNNN.tar of ROWS_PER_TAR samples each, and how many rows were written, how many of them without an image or a text.

    Copies of a row are samples KEY-0, KEY-1, ... Of these the first has the row's uid and each other one of its own, hashed from it, the
    copy's number and the subset's digest: uids stay distinct, so that the tars are a pool that runs, also after several exports. `copy`
    and `copy_of` in their json lead every copy back to its row; what leaves is thus neither taken for other rows nor joined twice.
    """
    aside = out / ".aside"
    aside.mkdir()
    laid = _Laid(aside, int(chosen.copies.sum()))
    facts = {name: about[name] for name in ("pool", "run", "recipe", "subset", "digest")}
    for part in parts_of(run, chosen):
        for each in _samples(run, part, facts, redaction, blurring, evidence):
            laid.add(*each)
        laid.flush()
    files = _write(laid, out)
    shutil.rmtree(aside)
    return files, {"written": laid.rows, "without_image": laid.without_image, "without_text": laid.without_text}


def _samples(
    run: Run, part: Part, facts: dict[str, str], redaction: Redaction | None, blurring: Blurring | None, added: Evidence | None
) -> Iterator[tuple[int, int, str, bytes | None, bytes | None, bytes]]:
    """(hash, hash, key, image, text, json) of every copy of every row."""
    told = [role for role in run.pool.roles if role not in _NOT_TOLD]
    boxes = ["face_boxes"] if "face_boxes" in run.pool.roles else []
    read = run.pool.read(part.shard, roles=["image", "text", *boxes, *told], rows=part.rows)
    texts = redaction.texts(read.frame["text"]) if redaction else read.frame["text"]
    images: list[bytes | None] = read.frame["image"].to_list()
    if blurring:
        images = blurring.encoded(images, read.frame["face_boxes"], read.faults.get("face_boxes"))
    known = [*[read.frame[role] for role in told], *_original(run, part)]
    evidence = _evidence(run, part).to_dicts()
    if added:
        known += added.plain([*_OURS, *facts, *(each.name for each in known)], part)
    unread = read.faults.get("face_boxes")
    keys = hex_of(part.uids)
    hashes = [h("shuffle", 0, part.uids, copy) for copy in range(int(part.copies.max()))]
    for n, (uid, text, image) in enumerate(zip(keys, texts, images, strict=True)):
        row = {"uid": uid, **facts, "shard": part.shard.path, "row": int(part.rows[n]), "copies": int(part.copies[n])}
        row |= {each.name: _json(each[n]) for each in known if each[n] is not None}
        if unread is not None and unread[n] is not None:
            row["face_bboxes"] = {"error": unread[n]}  # no boxes, so it is unreadable still where this is a pool
        elif boxes and read.frame["face_boxes"][n] is not None:
            row["face_bboxes"] = json.loads(read.frame["face_boxes"][n])
        if evidence:
            row["evidence"] = evidence[n]
        for copy in range(int(part.copies[n])):
            key = uid if part.copies[n] == 1 else f"{uid}-{copy}"
            own = row if part.copies[n] == 1 else {**row, "uid": _uid_of(uid, copy, facts["digest"]), "copy": copy, "copy_of": uid}
            said = canonical_json(own).encode()
            yield int(hashes[copy][n, 0]), int(hashes[copy][n, 1]), key, image, None if text is None else text.encode(), said


def _uid_of(uid: str, copy: int, digest: str) -> str:
    return row_hash([b"exported", digest.encode(), bytes.fromhex(uid), copy.to_bytes(8, "little")]).hex() if copy else uid


def _json(value: Any) -> Any:
    """A vector as a list, anything else as it is."""
    return value.to_list() if isinstance(value, pl.Series) else value


def _original(run: Run, part: Part) -> list[pl.Series]:
    """The uids as the pool wrote them, where they are not ours."""
    originals = read_originals(run.store, run.facts["pool"], part.number)
    return [] if originals is None else [originals.gather(part.rows).alias("original_uid")]


def _evidence(run: Run, part: Part) -> pl.DataFrame:
    """What the rules of the run asked of these rows, as far as it was measured; but vectors and keys."""
    asked = dict.fromkeys(column for node in run.facts["nodes"].values() for column in node["columns"])
    rows = pl.DataFrame({"row": part.rows.astype(np.uint64)})
    own = [column.split(".", 1)[1] for column in asked if column.startswith(f"{POOL}.")]
    found = run.pool.read(part.shard, columns=[name for name in own if name not in run.pool.vectors], rows=part.rows).frame.get_columns()
    low, high = int(part.rows[0]), int(part.rows[-1]) + 1
    for column in (column for column in asked if not column.startswith(f"{POOL}.")):
        name, field = column.rsplit(".", 1)
        near = [each for each in run.parts(name).get(part.shard.digest, []) if each.start < high and each.stop > low]
        frames = [run.store.frame(each, columns=["row", field]).cast({"row": pl.UInt64}) for each in near]
        if frames and frames[0][field].dtype != pl.Binary:
            known = pl.concat(frames).unique("row")
            found.append(rows.join(known, on="row", how="left", maintain_order="left")[field].alias(column))
    return pl.DataFrame(
        [
            each if each.dtype.is_numeric() or each.dtype == pl.Boolean else each.cast(pl.String)
            for each in sorted(found, key=lambda e: e.name)
        ]
    )


class _Laid:
    """Samples laid aside: their content one behind the other, and for each bucket of hashes where its samples lie."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.bits = folder, min(BITS_AT_MOST, (rows // ROWS_PER_BUCKET).bit_length())
        self.rows = self.without_image = self.without_text = 0
        self.content: BinaryIO = (folder / "content").open("w+b")
        self._fresh: list[tuple[int, int, int]] = []

    def add(self, high: int, low: int, key: str, image: bytes | None, text: bytes | None, said: bytes) -> None:
        self._fresh.append((high, low, self.content.tell()))
        sizes = [-1 if each is None else len(each) for each in (image, text, said)]
        self.content.write(_LAID.pack(key.encode(), _ending(image).encode() if image is not None else b"", *sizes))
        for each in (image, text, said):
            self.content.write(each or b"")
        self.rows += 1
        self.without_image += image is None
        self.without_text += text is None

    def flush(self) -> None:
        """Append what was added to its buckets' lists."""
        index = np.array(self._fresh, _INDEX)
        self._fresh.clear()
        buckets = (index["high"] >> np.uint64(32)) >> np.uint64(32 - self.bits)
        for bucket in np.unique(buckets).tolist():
            with (self.folder / f"{bucket:03d}").open("ab") as file:
                file.write(index[buckets == bucket].tobytes())  # NumPy's own writing does not see a disk that is full

    def __iter__(self) -> Iterator[tuple[str, str, bytes | None, bytes | None, bytes]]:
        """(key, ending, image, text, json) in the order of the hashes."""
        self.content.flush()
        for path in sorted(each for each in self.folder.iterdir() if each.name != "content"):
            index = np.fromfile(path, _INDEX)
            for at in index["at"][np.lexsort((index["low"], index["high"]))].tolist():
                self.content.seek(at)
                key, ending, *sizes = _LAID.unpack(self.content.read(_LAID.size))
                image, text, said = (None if size < 0 else self.content.read(size) for size in sizes)
                yield key.rstrip(b"\0").decode(), ending.rstrip(b"\0").decode(), image, text, said or b""
        self.content.close()


def _write(laid: _Laid, out: Path) -> list[str]:
    files: list[str] = []
    archive = None
    for number, (key, ending, image, text, said) in enumerate(laid):
        if number % ROWS_PER_TAR == 0:
            if archive is not None:
                archive.close()
            files.append(f"{len(files):05d}.tar")
            archive = tarfile.open(out / files[-1], "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  (closed with its last sample)
        assert archive is not None
        for name, data in ((ending, image), ("json", said), ("txt", text)):
            if data is not None:
                info = tarfile.TarInfo(f"{key}.{name}")  # no time, no owner: equal rows give equal bytes
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    if archive is not None:
        archive.close()
    return files


def _ending(image: bytes) -> str:
    """What an image's bytes say it is; `img` where they say nothing that is known."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "webp"
    if image[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((ending for magic, ending in _MAGIC if image.startswith(magic)), "img")
