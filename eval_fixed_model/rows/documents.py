"""Documents as the trainer reads them: made tokens once, one after the other in a memory-mapped array."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from curate.digest import UInt64s, hex_of
from curate.errors import CeterisError, PoolError
from eval_fixed_model.loops import Reads
from eval_fixed_model.rows.arrays import Indices, Positions, has_twice, header
from eval_fixed_model.rows.tokens import Numbers, Offsets, tokenizer_of
from eval_fixed_model.scale import TextScale

NO_TEXT, EMPTY_TEXT = "no_text", "empty_text"
_MARKER, _ROWS = "rows.json", 1 << 14


@dataclass(frozen=True)
class Documents:
    """n documents at one scale: document i is tokens[offsets[i]:offsets[i + 1]], at least one; `uids` (n, 2) words.

    `rejected` lists the rows that no arm can train on (uid as hex, code): they leave every arm alike.
    """

    scale_digest: str
    tokens: Numbers
    offsets: Offsets
    uids: UInt64s
    rejected: pl.DataFrame

    @staticmethod
    def open(folder: Path) -> "Documents":
        """Map a folder that `materialise` has finished. Raises CeterisError when it has not."""
        if not (folder / _MARKER).is_file():
            raise CeterisError(
                "no finished documents lie here", where=str(folder), fix="materialise them again; an interrupted run leaves such folders"
            )
        tokens, offsets = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in ("tokens.npy", "offsets.npy"))
        uids = np.load(folder / "uids.npy", allow_pickle=False)
        about = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        if len(uids) != about["rows"] or len(offsets) != len(uids) + 1 or len(tokens) != offsets[-1]:
            raise CeterisError("the arrays are not the ones that were written", where=str(folder), fix="delete the folder and run again")
        return Documents(about["scale"], tokens, offsets, uids, pl.read_parquet(folder / "rejected.parquet"))

    @functools.cached_property
    def _positions(self) -> Positions:
        return Positions(self.uids)

    def indices(self, uids: UInt64s) -> Indices:
        """Positions of these uids, in the order given, copies included; those that are not here (rejected) are left out."""
        return self._positions.of(uids)


def materialise(reads: Reads, scale: TextScale, folder: Path) -> Documents:
    """Make every text tokens, once, and write tokens.npy, offsets.npy, uids.npy and rejected.parquet into `folder`; rows.json comes last.

    `reads` yields uids (n, 2) and frames with the column `text`. Rows without text, or with an empty one, are rejected with a code.
    Raises PoolError when a uid comes twice. Memory: some thousand texts, and 24 bytes a row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).unlink(missing_ok=True)
    tokenizer = tokenizer_of(scale)
    kept: list[UInt64s] = [np.empty((0, 2), np.uint64)]
    lengths: list[Indices] = [np.zeros(1, np.int64)]
    codes: list[pl.DataFrame] = [pl.DataFrame(schema={"uid": pl.String, "code": pl.String})]
    with (folder / "tokens.npy").open("wb") as tokens:
        header(tokens, tokenizer.dtype, (0,))
        for all_uids, frame in reads:
            for start in range(0, len(frame), _ROWS):
                uids, texts = all_uids[start : start + _ROWS], frame["text"][start : start + _ROWS]
                good = (texts.str.len_bytes() > 0).fill_null(False)
                encoded = tokenizer.encode(texts.filter(good).to_list())
                some = np.diff(encoded.offsets) > 0  # a tokenizer may make nothing of a text that is not empty
                tokens.write(np.ascontiguousarray(encoded.numbers, tokenizer.dtype).tobytes())
                lengths.append(np.diff(encoded.offsets)[some])
                fine = good.to_numpy().copy()
                fine[fine] = some
                kept.append(uids[fine])
                code = pl.select(pl.when(texts.is_null()).then(pl.lit(NO_TEXT)).otherwise(pl.lit(EMPTY_TEXT))).to_series()
                codes.append(pl.DataFrame({"uid": hex_of(uids[~fine]), "code": code.filter(pl.Series(~fine))}))
        offsets, every = np.cumsum(np.concatenate(lengths)), np.concatenate(kept)
        header(tokens, tokenizer.dtype, (int(offsets[-1]),))
    if has_twice(every):
        raise PoolError("a uid was read twice", where=str(folder), fix="read each row of the pool once")
    np.save(folder / "offsets.npy", offsets, allow_pickle=False)
    np.save(folder / "uids.npy", every, allow_pickle=False)
    pl.concat(codes).write_parquet(folder / "rejected.parquet")
    (folder / f"{_MARKER}.new").write_text(json.dumps({"rows": len(every), "scale": scale.digest}), encoding="utf-8")
    (folder / f"{_MARKER}.new").replace(folder / _MARKER)
    return Documents.open(folder)
