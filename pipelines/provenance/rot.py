"""Pool rot: what of a pool of addresses was still there when it was fetched, and whether it was still the same."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CeterisError, PoolError, nearest
from curate.pool import Pool, Shard
from curate.takedown.tombstones import hosts
from pipelines.verbs import Progress, silent

NEAR = 31
"""Bits of 256 by which two PDQ hashes of one picture may differ (Meta's distance for a match)."""
TELLING = 50
"""The least quality of a PDQ hash that says anything of its picture."""
STATES = ("declared", "there", "obtained", "same_file", "same_picture", "other_picture", "other_file", "unchecked")
_HASH, _STATUS, _OBTAINED, _ERROR = "sha256", "status", "success", "error_message"
_KEY = ["high", "low", "copy"]
_BATCH = 256
_REASON = 80  # characters of what a fetcher says went wrong


@dataclass(frozen=True)
class Rot:
    """Rows by state, in all and by host and source: `declared` by the earlier pool, `there` as rows of the later one, `obtained` with
    content; of those `same_file` by hash, `same_picture` or `other_picture` by PDQ where the file is another, `other_file` where no picture
    could be compared, `unchecked` where nothing says.

    `matched_by`: uid or url. `unexpected`: rows of the later pool that the earlier one does not declare. `lost`: what the fetcher said of
    rows without content. `compared`: pictures that were looked at, `left` that were not (beyond the sample).
    """

    later: str
    earlier: str
    matched_by: str
    total: dict[str, int]
    by_host: list[dict[str, Any]]
    by_source: list[dict[str, Any]]
    unexpected: int
    lost: list[dict[str, Any]]
    compared: int
    left: int

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def rot(
    later: Pool,
    earlier: Pool | None = None,
    *,
    by: str | None = None,
    hashes: str | None = None,
    pdq: str | None = None,
    sample: int | None = None,
    progress: Progress = silent,
) -> Rot:
    """Hold what was fetched against what was declared: by the earlier pool, or by the later one's own columns.

    Rows meet by uid where both pools have one, else by url; rows of one url in order. `hashes`: the declaring pool's column of SHA-256
    (`sha256` of an earlier pool unless given), `pdq` of PDQ hashes, both in hex. Files are the same where any hash of the one, declared
    or of its bytes, is any of the other's; img2dataset's `sha256` is of the bytes as they came, before it resized them. Pictures are
    compared where files differ, or nothing says, and both are at hand, or a PDQ hash is declared; at most `sample` of them, drawn by key.
    """
    declaring = earlier or later
    by = by or ("uid" if all("uid" in pool.roles for pool in (later, declaring)) else "url")
    for pool in (later, declaring):
        if by not in ("uid", "url") or by not in pool.roles:
            raise PoolError(
                f"its rows cannot be met by {by}", where=str(pool.root), fix=f"its roles are {', '.join(pool.roles)}; name one of uid, url"
            )
    hashes = hashes or (_HASH if earlier and _HASH in earlier.columns else None)
    for column in (hashes, pdq):
        if column and column not in declaring.columns:
            raise PoolError(f"the pool has no column {column}", where=str(declaring.root), fix=nearest(column, declaring.columns))
    got = _numbered(pl.concat([_fetched(later, number, shard, by) for number, shard in enumerate(later.shards)])) if later.shards else None
    if got is None or not declaring.rows:
        raise CeterisError("there are no rows to look at", where=str(later.root), fix="name pools with rows")
    said = _numbered(pl.concat([_declared(declaring, number, shard, by, hashes, pdq) for number, shard in enumerate(declaring.shards)]))
    met = said.join(got, on=_KEY, how="left")
    met = met.with_columns(there=pl.col("at").is_not_null(), obtained=pl.col("obtained").fill_null(False))
    same = pl.col("declared_hash") == pl.col("got_hash")
    met = met.with_columns(state=pl.when(pl.col("obtained") & same.fill_null(False)).then(pl.lit("same_file")))
    doubtful = met.filter(pl.col("obtained") & pl.col("state").is_null()).sort("high", "low", "copy")
    looked = doubtful if sample is None else doubtful.head(sample)
    seen = _compared(looked, later, earlier, progress)
    met = met.join(seen, on=_KEY, how="left").with_columns(state=pl.coalesce("state", "seen"))
    told = pl.col("declared_hash").is_not_null() & pl.col("got_hash").is_not_null()
    met = met.with_columns(
        state=pl.when(pl.col("obtained")).then(pl.coalesce("state", pl.when(told).then(pl.lit("other_file")), pl.lit("unchecked")))
    )
    lost = met.filter(pl.col("there") & ~pl.col("obtained"))["error"].fill_null("(nothing said)").str.head(_REASON).value_counts()
    unexpected = got.join(said, on=_KEY, how="anti").height if earlier else 0
    total = _counts(met, None)[0]
    return Rot(
        str(later.root),
        str(declaring.root),
        by,
        {state: total[state] for state in STATES},
        _counts(met, "host") if "url" in declaring.roles else [],
        _counts(met, "source") if "source" in declaring.roles else [],
        unexpected,
        lost.sort("count", "error", descending=[True, False]).rename({"error": "said", "count": "rows"}).to_dicts(),
        seen.filter(pl.col("seen").is_in(["same_picture", "other_picture"])).height,
        doubtful.height - looked.height,
    )


def _keys(pool: Pool, shard: Shard, by: str) -> pl.DataFrame:
    if by == "uid":
        words = pool.uids(shard)[0]
        return pl.DataFrame({"high": words[:, 0], "low": words[:, 1]})
    urls = pool.read(shard, roles=["url"]).frame["url"]
    known = pl.when(urls.is_not_null())
    return pl.select(high=known.then(urls.hash(0)), low=known.then(urls.hash(1)))


def _fetched(pool: Pool, number: int, shard: Shard, by: str) -> pl.DataFrame:
    """Of every row its key, where it is, whether it has content, the hash that the fetcher took, and what it said."""
    columns = [name for name in (_STATUS, _HASH, _ERROR) if name in pool.columns]
    read = pool.read(shard, columns=columns).frame if columns else pl.DataFrame()
    frame = _keys(pool, shard, by).with_columns(at=pl.lit(number, pl.UInt32), row=pl.int_range(pl.len(), dtype=pl.UInt64))
    if _STATUS in columns:
        obtained = read[f"pool.{_STATUS}"].cast(pl.String).str.to_lowercase() == _OBTAINED
    elif "image" in pool.roles:
        obtained = pl.concat([part.select(pl.col("image").is_not_null()) for part in _pictures(pool, shard)]).to_series()
    else:
        what = f"nothing says what was fetched: it has no column {_STATUS} and no images"
        raise PoolError(what, where=str(pool.root), fix="name the pool that was fetched, as img2dataset writes it, first")
    none = pl.Series([None], dtype=pl.String).new_from_index(0, shard.rows)
    return frame.with_columns(
        obtained=obtained.fill_null(False),
        got_hash=_hex(read[f"pool.{_HASH}"]) if _HASH in columns else none,
        error=read[f"pool.{_ERROR}"].cast(pl.String) if _ERROR in columns else none,
    )


def _declared(pool: Pool, number: int, shard: Shard, by: str, hashes: str | None, pdq: str | None) -> pl.DataFrame:
    columns = list(dict.fromkeys(name for name in (hashes, pdq) if name))
    roles = [role for role in ("url", "source") if role in pool.roles]
    read = pool.read(shard, roles=roles, columns=columns).frame
    none = pl.Series([None], dtype=pl.String).new_from_index(0, shard.rows)
    return _keys(pool, shard, by).with_columns(
        declared_at=pl.lit(number, pl.UInt32),
        declared_row=pl.int_range(pl.len(), dtype=pl.UInt64),
        host=hosts(read["url"]) if "url" in roles else none,
        source=read["source"] if "source" in roles else none,
        declared_hash=_hex(read[f"pool.{hashes}"]) if hashes else none,
        declared_pdq=_hex(read[f"pool.{pdq}"]) if pdq else none,
    )


def _hex(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).str.strip_chars().str.to_lowercase()


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of one key told apart by their order."""
    return frame.with_columns(copy=pl.int_range(pl.len(), dtype=pl.UInt32).over("high", "low"))


def _pictures(pool: Pool, shard: Shard) -> Iterator[pl.DataFrame]:
    for start in range(0, shard.rows, _BATCH):
        yield pool.read(shard, roles=["image"], start=start, stop=min(start + _BATCH, shard.rows)).frame


def _images(pool: Pool, places: pl.DataFrame, at: str, row: str) -> list[bytes | None]:
    """The images at these places, in this order."""
    found: dict[tuple[int, int], bytes | None] = {}
    for number in places[at].unique(maintain_order=True).to_list():
        rows = np.unique(places.filter(pl.col(at) == number)[row].to_numpy()).astype(np.int64)
        images = pool.read(pool.shards[number], roles=["image"], rows=rows).frame["image"].to_list()
        found |= dict(zip(((number, each) for each in rows.tolist()), images, strict=True))
    return [found[place] for place in places.select(at, row).iter_rows()]


def _compared(doubtful: pl.DataFrame, later: Pool, earlier: Pool | None, progress: Progress) -> pl.DataFrame:
    """Of each row of which a file or a picture can be compared: its state."""
    schema = pl.Schema({**{name: doubtful.schema[name] for name in _KEY}, "seen": pl.String()})
    had = earlier is not None and "image" in earlier.roles
    if "image" not in later.roles or not (
        had or doubtful["declared_pdq"].is_not_null().any() or doubtful["declared_hash"].is_not_null().any()
    ):
        return pl.DataFrame(schema=schema)
    found, ordered = [], doubtful.sort("declared_at", "declared_row")
    for start in range(0, ordered.height, _BATCH):
        part = ordered[start : start + _BATCH]
        new = _images(later, part, "at", "row")
        old = _images(earlier, part, "declared_at", "declared_row") if had and earlier is not None else [None] * part.height
        declared = part.select("declared_hash", "got_hash", "declared_pdq").iter_rows()
        seen = [_seen(*one) for one in zip(new, old, declared, strict=True)]
        found.append(part.select(_KEY).with_columns(seen=pl.Series(seen, dtype=pl.String)))
        progress("pictures", start + part.height, ordered.height)
    return pl.concat([pl.DataFrame(schema=schema), *found])


def _seen(new: bytes | None, old: bytes | None, declared: tuple[str | None, str | None, str | None]) -> str | None:
    """What the two files, and else the two pictures, say; None where nothing can be compared."""
    if new is None:
        return None
    said, got, pdq = declared
    before = {said, _sha256(old) if old is not None else None} - {None}
    if {got, _sha256(new)} & before:
        return "same_file"
    here, there = _pdq(new), bytes.fromhex(pdq) if pdq else _pdq(old)
    if here is None or there is None:
        return "other_file" if before else None
    return "same_picture" if (int.from_bytes(here) ^ int.from_bytes(there)).bit_count() <= NEAR else "other_picture"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _pdq(data: bytes | None) -> bytes | None:
    from filters._image import ImageError, decode
    from filters._pdq import pdq

    try:
        digest, quality = pdq(np.asarray(decode(data))) if data is not None else (b"", 0)
    except ImageError:
        return None
    return digest if quality >= TELLING else None


def _counts(met: pl.DataFrame, by: str | None) -> list[dict[str, Any]]:
    """Rows by state, of each group, the largest first."""
    states = [
        pl.len().alias("declared"),
        pl.col("there").sum(),
        pl.col("obtained").sum(),
        *((pl.col("state") == name).sum().alias(name) for name in STATES[3:]),
    ]
    if by is None:
        return [Counter(met.select(states).row(0, named=True))]
    return met.group_by(pl.col(by).fill_null("(none)")).agg(states).sort("declared", by, descending=[True, False]).to_dicts()
