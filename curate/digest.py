"""The only two hashes: SHA-256 for digests, xxh3_128 for rows."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

UInt64s = npt.NDArray[np.uint64]

# Constants of XXH3 for inputs of 9 to 16 bytes: bytes 32..63 of its default secret, and its primes
# (xxHash specification, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
_SECRET = (0x78E5C0CC4EE679CB, 0x2172FFCC7DD05A82, 0x8E2443F7744608B8, 0x4C263A81E69035E0)
_PRIME64_1, _PRIME64_2, _PRIME32_2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x85EBCA77


def sha256(data: bytes | memoryview) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_path(path: Path) -> str:
    """Of a file as `sha256_file`; of a folder the digest of the names and contents of the files right in it."""
    if path.is_file():
        return sha256_file(path)
    return digest_of({one.name: sha256_file(one) for one in path.iterdir() if one.is_file()})


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """Hex SHA-256 of a JSON-able value's canonical text."""
    return sha256(canonical_json(value).encode())


def short(digest: str) -> str:
    """The first 16 hex digits: what names folders."""
    return digest[:16]


def row_hash(parts: Iterable[bytes]) -> bytes:
    """xxh3_128 (16 bytes) of length-prefixed parts: one row's content, or one foreign uid."""
    return xxhash.xxh3_128_digest(b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]))


def h(domain: str, seed: int, uids: UInt64s, *more: int) -> UInt64s:
    """Hash uids, shape (n, 2) as (high, low) words, to (n, 2) words: independent of h in any other domain, seed or `more` (epoch, copy).

    It is xxh3_128 of the 16 uid bytes under a 64-bit seed drawn from the other arguments by SHA-256, vectorised.
    """
    key = int.from_bytes(hashlib.sha256(canonical_json([domain, seed, *more]).encode()).digest()[:8], "little")
    return xxh3_128_of_16(uids, key)


def h_with(domain: str, seed: int, uids: UInt64s, numbers: UInt64s) -> UInt64s:
    """Hash pairs of a uid and a number, one of each a line, to (n, 2) words; independent of h and of each other."""
    words = h(domain, seed, uids, 0)
    words[:, 1] ^= numbers
    return h(domain, seed, words, 1)


def xxh3_128_of_16(words: UInt64s, seed: int) -> UInt64s:
    """xxh3_128 with `seed` of n 16-byte inputs given as big-endian (high, low) words; the digests in the same form."""
    first, last = words[:, 0].byteswap(), words[:, 1].byteswap()
    mask = (1 << 64) - 1
    flip_low = np.uint64(((_SECRET[0] ^ _SECRET[1]) - seed) & mask)
    flip_high = np.uint64(((_SECRET[2] ^ _SECRET[3]) + seed) & mask)
    low, high = _multiply(first ^ last ^ flip_low, _PRIME64_1)
    low += np.uint64(15 << 54)
    last = last ^ flip_high
    high += last + (last & np.uint64(0xFFFFFFFF)) * np.uint64(_PRIME32_2 - 1)
    low ^= high.byteswap()
    out_low, out_high = _multiply(low, _PRIME64_2)
    out_high += high * np.uint64(_PRIME64_2)
    return np.stack([_avalanche(out_high), _avalanche(out_low)], axis=1)


def _multiply(a: UInt64s, b: int) -> tuple[UInt64s, UInt64s]:
    """64 x 64 -> 128-bit product as (low, high) words."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    b_low, b_high = np.uint64(b & 0xFFFFFFFF), np.uint64(b >> 32)
    a_low, a_high = a & mask, a >> half
    low_low, high_low, low_high, high_high = a_low * b_low, a_high * b_low, a_low * b_high, a_high * b_high
    cross = (low_low >> half) + (high_low & mask) + low_high
    high = high_high + (high_low >> half) + (cross >> half)
    return (cross << half) | (low_low & mask), high


def _avalanche(x: UInt64s) -> UInt64s:
    x = (x ^ (x >> np.uint64(37))) * np.uint64(0x165667919E3779F9)
    return x ^ (x >> np.uint64(32))


def words_of(uids: Iterable[bytes]) -> UInt64s:
    """16-byte uids as (n, 2) words, high first, so that words sort as the hex text does."""
    joined = b"".join(uids)
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def hex_of(words: UInt64s) -> list[str]:
    """(n, 2) words as 32 hex digits each."""
    text = words.astype(">u8").tobytes().hex()
    return [text[i : i + 32] for i in range(0, len(text), 32)]


def words_of_hex(texts: Iterable[str]) -> UInt64s:
    """32-hex-digit uids as (n, 2) words."""
    return words_of([bytes.fromhex("".join(texts))])


def order_of(words: UInt64s) -> npt.NDArray[np.int64]:
    """Indices that sort (n, 2) words ascending; equal ones stay in order."""
    bits = np.uint64(max(len(words) - 1, 1).bit_length())  # the low bits give way to the row's number: numbers sort faster than places
    keys = words[:, 0] >> bits << bits
    keys |= np.arange(len(words), dtype=np.uint64)
    keys.sort()
    order = (keys & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
    keys >>= bits
    same = np.flatnonzero(keys[1:] == keys[:-1])
    if same.size:  # few: rows whose high words meet so far are sorted again
        places = np.union1d(same, same + 1)
        mine = np.sort(order[places])
        order[places] = mine[np.lexsort((words[mine, 1], words[mine, 0]))]
    return order
