"""What was taken down, without saying what it was: keyed hashes of uids, addresses and contents, under a key that only the store has.

revocations/key          32 random bytes, readable by their owner alone
revocations/NNNNNN/      one folder a request: tombstone.json (when, who, why, counts, the file of hashes), retrain.json, ledger.jsonl
revocations/parts/       the files of hashes: kind, high, low

A keyed hash is the first 16 bytes of SHA-256(key, kind, value): of a uid its 16 bytes, of an address or a host its text, of a text or an
image the SHA-256 of its bytes.
"""

import os
import secrets
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import UInt64s, words_of
from curate.errors import StoreError
from curate.storage import ExistsError, LocalStorage
from curate.store import Part, Store
from curate.takedown.revoked import REQUESTS

KINDS = ("uid", "url", "domain", "text", "image")
KEY = f"{REQUESTS}/key"
KEY_BYTES = 32
SCHEMA = {"kind": pl.String(), "high": pl.UInt64(), "low": pl.UInt64()}

Indices = npt.NDArray[np.int64]


def key_of(store: Store) -> bytes:
    """The store's own key, made when it is first asked for. StoreError where it is damaged: what was taken down could not be told."""
    with suppress(KeyError):
        key = store.storage.get(KEY)
        if len(key) != KEY_BYTES:
            raise StoreError("the key of the tombstones is damaged", where=f"{store.address}/{KEY}", fix="restore it from a copy")
        return key
    if requests(store):
        raise StoreError("the key of the tombstones is gone", where=f"{store.address}/{KEY}", fix="restore it from a copy")
    with suppress(ExistsError):
        if isinstance(store.storage, LocalStorage):
            _put_privately(store, secrets.token_bytes(KEY_BYTES))
        else:
            store.storage.put(KEY, secrets.token_bytes(KEY_BYTES))
    return store.storage.get(KEY)


def _put_privately(store: Store, key: bytes) -> None:
    """A file that nobody else can read at any moment, whole or not at all."""
    path, attempt = store.path(KEY), store.path(f"tmp/{uuid.uuid4().hex}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(attempt, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(attempt, path)
    except FileExistsError as error:
        raise ExistsError(KEY) from error
    finally:
        attempt.unlink()


def requests(store: Store) -> list[int]:
    """The numbers of all requests that count."""
    keys = store.storage.list(f"{REQUESTS}/")
    return [int(key.split("/")[1]) for key in keys if key.endswith("/tombstone.json")]


def keyed(key: bytes, kind: str, values: Iterable[bytes]) -> UInt64s:
    """Keyed hashes, (n, 2) words."""
    start = sha256(key + kind.encode().ljust(8, b"\0"))
    found = []
    for value in values:
        one = start.copy()
        one.update(value)
        found.append(one.digest()[:16])
    return words_of(found)


def keyed_uids(key: bytes, words: UInt64s) -> UInt64s:
    """Keyed hashes of uids, which also stand where the uids stood."""
    raw = words.astype(">u8").tobytes()
    return keyed(key, "uid", (raw[i : i + 16] for i in range(0, len(raw), 16)))


def content_hash(value: bytes | str) -> bytes:
    """What a text or an image is known by: its SHA-256, 32 bytes."""
    return sha256(value.encode() if isinstance(value, str) else value).digest()


@dataclass(frozen=True)
class Tombstones:
    """Keyed hashes by kind, sorted, (n, 2) words, and the request that each is of."""

    key: bytes
    hashes: Mapping[str, UInt64s] = field(default_factory=dict)
    numbers: Mapping[str, Indices] = field(default_factory=dict)

    @classmethod
    def of(cls, key: bytes, frames: Sequence[tuple[int, pl.DataFrame]]) -> "Tombstones":
        """From (number of the request, its hashes); of two requests the first counts."""
        every = [frame.with_columns(request=pl.lit(number, pl.Int64)) for number, frame in frames]
        whole = pl.concat([pl.DataFrame(schema={**SCHEMA, "request": pl.Int64}), *every])
        whole = whole.sort("kind", "high", "low", "request").unique(["kind", "high", "low"], keep="first", maintain_order=True)
        by_kind = {str(kind): one for (kind,), one in whole.group_by("kind", maintain_order=True)}
        words = {kind: one.select("high", "low").to_numpy().astype(np.uint64) for kind, one in by_kind.items()}
        return cls(key, words, {kind: one["request"].to_numpy() for kind, one in by_kind.items()})

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.hashes)

    def known(self, kind: str, words: UInt64s) -> Indices:
        """The request that names each of these hashes; 0 where none does."""
        there = self.hashes.get(kind)
        if there is None or not len(words):
            return np.zeros(len(words), np.int64)
        place = np.minimum(np.searchsorted(there[:, 0], words[:, 0]), len(there) - 1)
        return np.where((there[place] == words).all(axis=1), self.numbers[kind][place], 0)

    def of_values(self, kind: str, values: Iterable[bytes]) -> Indices:
        """As `known`, of the values themselves."""
        return self.known(kind, keyed(self.key, kind, values))

    def of_uids(self, words: UInt64s) -> Indices:
        """As `known`, of uids; a hash that stands where a uid stood is known too."""
        if "uid" not in self.hashes:
            return np.zeros(len(words), np.int64)
        return np.maximum(self.known("uid", keyed_uids(self.key, words)), self.known("uid", words))


def read_tombstones(store: Store, after: int = 0) -> Tombstones:
    """Those of all requests numbered higher than `after`."""
    numbers = [number for number in requests(store) if number > after]
    if not numbers:
        return Tombstones(b"")
    return Tombstones.of(key_of(store), [(number, _hashes(store, number)) for number in numbers])


def stand_in(store: Store, uids: UInt64s) -> UInt64s | None:
    """The keyed hashes that stand where these uids stood in pools; None in a store that took nothing down."""
    return keyed_uids(key_of(store), uids) if requests(store) else None


def _hashes(store: Store, number: int) -> pl.DataFrame:
    part = store.json(f"{REQUESTS}/{number:06d}/tombstone.json")["hashes"]
    return store.frame(Part(**{**part, "replaces": tuple(part["replaces"])})).cast(pl.Schema(SCHEMA))


_HOST = (
    r"(?i)^[\x00-\x20]*(?:https?:[/\\]*|(?:[a-z][a-z0-9+.\-]*:)?[/\\]{2,})?"  # as browsers read it: of http the slashes may lack
    r"(?:[^/?#\\]*@)?(\[[^\]/?#]*\]|[^/?#:@\\]+)"
)
_ODD = r"[^\x21-\x24\x26-\x7e]"  # a percent sign, white space, or beyond ASCII
_DOTS = str.maketrans({"\u3002": ".", **dict.fromkeys("\u00ad\u200b\u2060\ufeff", "")})
"""Other scripts' full stop; and characters that a host is read without."""


def hosts(urls: pl.Series) -> pl.Series:
    """The host of each address as `plain_host` writes it; null where there is none."""
    found = urls.str.replace_all(r"[\t\n\r]", "").str.extract(_HOST, 1)
    odd = found.filter(found.str.contains(_ODD)).unique()
    made = pl.Series([plain_host(host) for host in odd], dtype=pl.String)
    return found.replace(odd, made).str.to_lowercase().str.strip_chars(".")


def plain_host(host: str) -> str:
    """A host or domain as it is compared: lower case, no dots around it, `%61` the letter that it stands for (the URL standard's host
    parser), other scripts as DNS writes them (UTS 46, non-transitional: what stands for another letter is that letter, but a sharp s is
    none of two)."""
    host = unquote(host)
    if host.isascii():
        return host.strip().lower().strip(".")
    lower = "".join(map(str.lower, unicodedata.normalize("NFKC", host).translate(_DOTS)))
    labels = unicodedata.normalize("NFKC", lower).strip().strip(".").split(".")
    return ".".join(one if one.isascii() else f"xn--{one.encode('punycode').decode()}" for one in labels)


def parents(host: str) -> list[str]:
    """A host, as `plain_host` writes it, and every domain that it belongs to."""
    parts = host.split(".")
    return [".".join(parts[place:]) for place in range(len(parts))]
