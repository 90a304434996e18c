# ruff: noqa: T201  a benchmark prints
"""A pool with the columns of DataComp's CommonPool metadata: `python -m benchmarks.metadata_pool FOLDER [--rows 1000000] [--seed 1]`.

Parquet shards of 100,000 rows in one row group, Snappy, as pandas writes them. Captions are made-up words by Zipf's law, of lognormal
number, with file names, empty texts, unspaced scripts, tabs, no-break and ideographic spaces among them; sides are those of web images with
some very flat and many small ones; scores are Float32, correlated with each other, some null; uids and digests are drawn. One shard is held
at a time, and each depends on the seed and its number alone: a larger pool begins with the smaller one's shards.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SHARD_ROWS = 100_000
WORDS, HOSTS = 20_000, 5_000
SYLLABLES = [first + vowel for first in "bcdfglmnprstv" for vowel in "aeiou"]
OTHERS = ("写真", "東京タワー", "фото", "купить", "صورة", "café", "größe", "🎉", "niño", "한국")
ODD = (
    "",
    " ",
    "IMG_4031.jpg",
    "a\tb\nc",
    "one\u00a0two\u3000three",
    "\x1cx\x1dy\x1ez",
    "\u200bhidden\u200b",
    "東京\u3000京都\u2003大阪府",
    "  .  ",
    "a b c",
)
Random = np.random.Generator


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(write(given.folder, given.rows, given.seed))


def write(folder: Path, rows: int, seed: int, shard_rows: int = SHARD_ROWS) -> str:
    """Make the pool; says how large it is."""
    folder.mkdir(parents=True, exist_ok=True)
    words, hosts, size = vocabulary(np.random.default_rng([seed, 0])), hosts_of(np.random.default_rng([seed, 1])), 0
    for number, start in enumerate(range(0, rows, shard_rows)):
        random = np.random.default_rng([seed, 2, number])
        made = shard(random, shard_rows, words, hosts).slice(0, rows - start)  # the last one is cut, not drawn anew
        file = folder / f"{number:08d}.parquet"
        pq.write_table(made, file.with_suffix(".part"), compression="snappy", row_group_size=shard_rows)
        file.with_suffix(".part").rename(file)
        size += file.stat().st_size
    return f"{rows:,} rows in {-(-rows // shard_rows)} shards, {size / 1_000_000:,.0f} MB"


def vocabulary(random: Random) -> pa.Array:
    """Words, the most frequent first."""
    lengths = random.integers(1, 5, WORDS)
    parts = random.choice(SYLLABLES, (WORDS, 4))
    made = ["".join(part[:length]) for part, length in zip(parts.tolist(), lengths.tolist(), strict=True)]
    for place, word in zip(random.integers(50, WORDS, 40 * len(OTHERS)).tolist(), OTHERS * 40, strict=True):
        made[place] = word
    return pa.array(made)


def hosts_of(random: Random) -> pa.Array:
    """Beginnings of addresses."""
    parts = random.choice(SYLLABLES, (HOSTS, 4))
    return pa.array([f"https://{'www.' if number % 2 else 'cdn.'}{''.join(part)}.com/media/" for number, part in enumerate(parts.tolist())])


def shard(random: Random, rows: int, words: pa.Array, hosts: pa.Array) -> pa.Table:
    """The rows of one shard."""
    width, height = sides(random, rows)
    b32 = np.clip(random.normal(0.24, 0.05, rows), -0.1, 0.6)
    l14 = np.clip(0.5 * (b32 - 0.24) + random.normal(0.19, 0.045, rows), -0.1, 0.6)
    absent = pa.array(random.random(rows) < 0.002)
    tails = hexed(random, rows, 8)
    return pa.table(
        {
            "uid": hexed(random, rows, 16),
            "url": pc.binary_join_element_wise(hosts.take(pa.array(random.integers(0, HOSTS, rows))), tails, ".jpg", ""),
            "text": captions(random, rows, words),
            "original_width": width,
            "original_height": height,
            "clip_b32_similarity_score": scores(b32, absent),
            "clip_l14_similarity_score": scores(l14, absent),
            "face_bboxes": boxes(random, rows),
            "sha256": hexed(random, rows, 32),
        }
    )


def hexed(random: Random, rows: int, width: int) -> pa.Array:
    """Texts of 2 `width` hex digits."""
    offsets = np.arange(0, 2 * width * (rows + 1), 2 * width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(random.bytes(width * rows).hex().encode()))


def captions(random: Random, rows: int, words: pa.Array) -> pa.Array:
    """Texts of mostly 3 to 20 words; one in 25 is something else."""
    counts = np.clip(random.lognormal(2.1, 0.6, rows).astype(np.int32), 1, 60)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    drawn = (WORDS ** random.random(int(offsets[-1]))).astype(np.int32) - 1  # the k-th word as often as 1 / k
    spaced = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words.take(pa.array(drawn))), " ")
    odd = pa.array(ODD).take(pa.array(random.integers(0, len(ODD), rows)))
    return pc.if_else(pa.array(random.random(rows) < 0.04), odd, spaced)


def sides(random: Random, rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Widths and heights in pixels; a seventh are shorter than 200, a twentieth more than three times as long as wide."""
    width = np.clip(random.lognormal(6.3, 0.65, rows), 1, 12_000).astype(np.int64)
    shape = np.exp(random.normal(-0.15, 0.55, rows))
    return width, np.clip(width * shape, 1, 12_000).astype(np.int64)


def scores(values: npt.NDArray[np.float64], absent: pa.Array) -> pa.Array:
    """Float32, null where absent."""
    return pc.if_else(absent, pa.scalar(None, pa.float32()), pa.array(values.astype(np.float32)))


def boxes(random: Random, rows: int) -> pa.Array:
    """Boxes of faces: lists of four numbers within 0 and 1, mostly none."""
    counts = random.poisson(0.3, rows)
    total = int(counts.sum())
    corners: Any = pa.array(random.random(4 * total))
    inner = pa.ListArray.from_arrays(pa.array(np.arange(0, 4 * total + 1, 4, dtype=np.int32)), corners)
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)), inner)


if __name__ == "__main__":
    main()
