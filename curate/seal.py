"""Seals: every record of a store holds the digest of all else in it, so that none is read that is not as it was written."""

import json
from typing import Any

from curate.digest import canonical_json, sha256
from curate.errors import StoreError

SEAL = "seal"


def sealed(value: Any) -> bytes:
    """A JSON value as it is written: a record with its seal; what is no record as it is."""
    text = canonical_json(json.loads(canonical_json(value)))  # as it will be read: with keys that are texts, in their order
    value = json.loads(text)
    return (canonical_json({**value, SEAL: sha256(text.encode())}) if isinstance(value, dict) else text).encode()


def unsealed(data: bytes, *, where: str) -> Any:
    """The value in a written file, without its seal. StoreError where it is not what its seal says; records of before there were seals
    are read as they are."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = f"a stored record is damaged: {' '.join(str(error).split())}"
        raise StoreError(what, where=where, fix="restore the file from a copy, or run again with a new --store") from error
    if not isinstance(value, dict) or SEAL not in value:
        return value
    seal = value.pop(SEAL)
    if sealed(value) != data or sha256(canonical_json(value).encode()) != seal:
        what = "a stored record is damaged: it is not what its seal says"
        raise StoreError(what, where=where, fix="restore the file from a copy, or run again with a new --store")
    return value


def is_sealed(data: bytes) -> bool:
    """Whether a written file is a record with a seal; the seal itself is not looked at."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and SEAL in value
