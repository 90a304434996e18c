"""Near-duplicate documents, Parquet to keep list: Ceteris and its peers on one corpus in one run, one thread each.

`python -m benchmarks.dedup FOLDER`. FOLDER has text-*.parquet (`text`) and truth.parquet: `id` (row number), `orig_id` (whose copy it is,
-1: of none), `jaccard_true` (of their word 5-grams), `level` ("single": alike with nothing, "exact": an equal copy).

Answers are checked first: our signatures against datasketch's over the same shingles, the number of shingles against Python's own, and the
pairs that agree in a band against datasketch's. Everybody's shingles are 5 words between white space, but text-dedup's, which folds case
and parts words at all that is no letter or digit. datasketch's and rensa's loops are as fast as they go: xxHash, a shared generator, no
pickling. datatrove runs its first three stages in this process, with `str.split` in place of spaCy. text-dedup writes what it keeps, as it
always does.
"""

import functools
import io
import logging
import struct
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from benchmarks._run import Answers, Engine, Work, Workload, command, texts_of

BANDS, ROWS, PERMUTATIONS, WORDS, THRESHOLD = 16, 8, 128, 5, 0.7
FILES = "text-*.parquet"
BINS = {">=.93": (0.93, 1.01), ".87-.93": (0.87, 0.93), ".77-.83": (0.77, 0.83), ".67-.73": (0.67, 0.73), ".45-.55": (0.45, 0.55)}
AS_PEERS = {"case": True, "punctuation": True, "unicode": ""}


def check(folder: Path, _part: str, documents: int, answers: Answers) -> dict[str, Any]:
    """Our shingles, signatures and candidates are what they should be, and everybody answers for every document."""
    import numpy as np
    import polars as pl
    from datasketch import MinHash, MinHashLSH

    from filters.near_duplicate_text import near_duplicate_text, sketch

    texts = pl.DataFrame({"text": pl.from_arrow(texts_of(folder, FILES, documents))})
    spaced = texts["text"].str.contains(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]").not_()  # the others are counted by characters
    rows = sketch(texts, exact=True, **AS_PEERS)
    lsh, signed, equal_pairs = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS)), {}, set()
    for text, by_words, (key, signature, shingles, _) in zip(texts["text"], spaced, rows.iter_rows(), strict=True):
        hashes = np.frombuffer(shingles, "<u4")
        assert not by_words or abs(hashes.size - len(shingles_of(text))) <= 1, "as many shingles as Python finds, but where hashes meet"
        signed[key] = MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32", hashfunc=int)
        signed[key].update_batch(hashes.tolist())
        assert np.array_equal(np.frombuffer(signature, "<u4"), signed[key].hashvalues), "datasketch's signature"
    for key, made in signed.items():
        equal_pairs |= {(min(key, other), max(key, other)) for other in lsh.query(made)}
        lsh.insert(key, made)
    found = near_duplicate_text.pairs(rows.with_columns(shingles=pl.lit(None, pl.Binary)), bands=BANDS, rows=ROWS, floor=0.0)
    assert set(found.select("a", "b").rows()) == equal_pairs, "datasketch's candidates"
    for name, keep in answers.items():
        assert len(keep) == texts.height, f"{name} answers for every document"
        assert sum(keep) <= texts.n_unique("text"), f"{name} keeps no document twice"
    return {"documents": texts.height, "equal signatures": len(signed), "equal candidate pairs": len(equal_pairs)}


def shingles_of(text: str) -> set[bytes]:
    """Every run of five words between white space, or the whole text if it has fewer: as the peers' documentation does it."""
    found = text.split()
    return {" ".join(found[i : i + WORDS]).encode() for i in range(max(len(found) - WORDS + 1, 1))}


def ceteris(folder: Path, _part: str, documents: int, *, parameters: dict[str, Any]) -> Work:
    """Our keep list, earlier rows preferred; rows equal but for what does not count share a key."""
    import numpy as np
    import polars as pl

    from curate.grouping import LINK_SCHEMA, keep_one
    from curate.sketches import Sketches
    from filters.near_duplicate_text import links, sketch

    def work() -> list[bool]:
        parts, left = [], documents
        for file in sorted(folder.glob(FILES)):
            if left <= 0:
                break
            texts = pl.read_parquet(file, columns=["text"]).head(left)
            left -= texts.height
            parts += [sketch(texts[start : start + 4096], **parameters) for start in range(0, texts.height, 4096)]
        rows = pl.concat(parts)
        distinct = rows.filter(pl.col("key").is_not_null()).unique("key", maintain_order=True).with_row_index("number")
        found = pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *links(Sketches.of(distinct), bands=BANDS, rows=ROWS)])
        alone = distinct.height + pl.int_range(pl.len(), dtype=pl.Int64)
        numbers = rows.select("key").join(distinct.select("key", "number"), on="key", how="left", maintain_order="left")
        classes = numbers.select(pl.coalesce(pl.col("number").cast(pl.Int64), alone)).to_series().to_numpy()
        ends = [found[end].cast(pl.Int64).to_numpy() for end in ("i", "j")]
        survivor, _ = keep_one(classes, (ends[0], ends[1], found["similarity"].to_numpy()), THRESHOLD)
        kept: list[bool] = (survivor == np.arange(rows.height)).tolist()
        return kept

    return work


def datasketch(folder: Path, _part: str, documents: int, *, index: dict[str, Any]) -> Work:
    """datasketch 2, earlier rows kept, candidates not verified."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    def work() -> list[bool]:
        lsh = MinHashLSH(num_perm=PERMUTATIONS, prepickle=False, **index)
        texts = texts_of(folder, FILES, documents).to_pylist()
        kept = []
        signed = MinHash.generator((shingles_of(text) for text in texts), num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
        for number, made in enumerate(signed):
            new = not lsh.query(made)
            kept.append(new)
            if new:
                lsh.insert(number, made, check_duplication=False)
        return kept

    return work


def rensa(folder: Path, _part: str, documents: int) -> Work:
    """rensa's streaming deduplicator at similarity .8, verified, earlier rows kept."""
    from rensa import RMinHash, RMinHashDeduplicator

    def work() -> list[bool]:
        index = RMinHashDeduplicator(threshold=0.8, num_perm=PERMUTATIONS, use_lsh=True)
        kept = []
        for number, text in enumerate(texts_of(folder, FILES, documents).to_pylist()):
            made = RMinHash(num_perm=PERMUTATIONS, seed=42)
            made.update(list(shingles_of(text)))
            kept.append(bool(index.add(str(number), made)))
        return kept

    return work


def datatrove(folder: Path, _part: str, documents: int) -> Work:
    """Signatures, buckets and clusters of datatrove's MinHash; any one of a cluster is kept, candidates not verified."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash
    from datatrove.utils.text import TextNormConfig
    from datatrove.utils.word_tokenizers import WordTokenizer
    from loguru import logger

    class Spaces(WordTokenizer):  # type: ignore[misc]
        """Words between white space."""

        def word_tokenize(self, text: str) -> list[str]:
            """As str.split."""
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            """Not asked for."""
            return [text]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            """Not asked for."""
            return [(0, len(text))]

    logger.remove()
    switches = ("lowercase", "norm_whitespace", "remove_punctuation", "norm_unicode_diacritics", "norm_numbers")
    config = minhash.MinhashConfig(
        n_grams=WORDS, num_buckets=BANDS, hashes_per_bucket=ROWS, norm_config=TextNormConfig(**dict.fromkeys(switches, False))
    )

    def work() -> list[bool]:
        texts = texts_of(folder, FILES, documents).to_pylist()
        with tempfile.TemporaryDirectory() as scratch, redirect_stderr(io.StringIO()):
            signatures, pairs, removed = (f"{scratch}/{name}" for name in ("signatures", "pairs", "removed"))
            data = (Document(text=text, id="") for text in texts)
            minhash.MinhashDedupSignature(signatures, config=config, language=Spaces()).run(data)
            for bucket in range(BANDS):
                minhash.MinhashDedupBuckets(signatures, pairs, config=config).run(None, bucket, BANDS)
            minhash.MinhashDedupCluster(pairs, removed, config=config).run(None, 0, 1)
            file = Path(removed) / "000000.remove"
            dropped = {number for (number,) in struct.iter_unpack("<I", file.read_bytes())} if file.exists() else set()
        return [number not in dropped for number in range(len(texts))]

    return work


def text_dedup(folder: Path, _part: str, documents: int) -> Work:
    """text-dedup's command with xxh3 and the same bands; the first of a cluster is kept, candidates not verified."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq
    from text_dedup.minhash import main

    datasets.disable_progress_bars()
    logging.disable(logging.INFO)
    scratch = tempfile.TemporaryDirectory()  # lives as long as the work
    place = Path(scratch.name)
    texts = texts_of(folder, FILES, documents)
    count = len(texts)
    pq.write_table(pa.table({"number": pa.array(range(count)), "text": texts}), place / "in.parquet")
    turns = iter(range(1_000_000))

    def work(_alive: tempfile.TemporaryDirectory[str] = scratch) -> list[bool]:
        out = place / f"out-{next(turns)}"
        given = {"--path": "parquet", "--data_files": place / "in.parquet", "--split": "train", "--cache_dir": place / out.name / "cache"}
        given |= {"--output": out / "kept", "--column": "text", "--num_proc": 1, "--ngram": WORDS, "--min_length": 0, "--hash_func": "xxh3"}
        given |= {"--hash_bits": 32, "--num_perm": PERMUTATIONS, "--b": BANDS, "--r": ROWS}
        with redirect_stderr(io.StringIO()):
            main([str(word) for pair in given.items() for word in pair], standalone_mode=False)
        kept = set(datasets.load_from_disk(str(out / "kept"))["number"])
        return [number in kept for number in range(count)]

    return work


def judge(folder: Path, _part: str, documents: int, answers: Answers) -> dict[str, dict[str, Any]]:
    """Recall: planted pairs of which not both are kept, by true Jaccard. Precision: the share of the dropped that are like something."""
    import pyarrow.parquet as pq

    rows = [row for row in pq.read_table(folder / "truth.parquet").to_pylist() if max(row["id"], row["orig_id"]) < documents]
    return {name: dict(_judged(keep, rows)) for name, keep in answers.items()}


def _judged(keep: list[bool], rows: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    pairs = [row for row in rows if row["orig_id"] not in (-1, row["id"])]
    found = {"exact": [row for row in pairs if row["level"] == "exact"]}
    for name, (low, high) in BINS.items():
        found[name] = [row for row in pairs if row["level"] != "exact" and low <= row["jaccard_true"] < high]
    parted = {name: sum(not (keep[row["id"]] and keep[row["orig_id"]]) for row in some) for name, some in found.items()}
    yield "recall", {name: round(parted[name] / len(some), 4) for name, some in found.items() if some}
    yield "dropped", keep.count(False)
    yield "precision", round(1 - sum(row["level"] == "single" and not keep[row["id"]] for row in rows) / max(keep.count(False), 1), 5)


WORKLOAD = Workload(
    name="dedup",
    about=__doc__,
    engines={
        "ceteris": Engine(functools.partial(ceteris, parameters=AS_PEERS)),
        "ceteris, folded words in normal form": Engine(functools.partial(ceteris, parameters={})),
        "datasketch, same bands": Engine(functools.partial(datasketch, index={"params": (BANDS, ROWS)}), "datasketch"),
        "datasketch, its bands for .8": Engine(functools.partial(datasketch, index={"threshold": 0.8}), "datasketch"),
        "rensa, streaming": Engine(rensa, "rensa"),
        "datatrove, same bands": Engine(datatrove, "datatrove.pipeline.dedup.minhash"),
        "text-dedup, same bands": Engine(text_dedup, "text_dedup.minhash"),
    },
    check=check,
    judge=judge,
    checked=2000,
    facts={"bands": BANDS, "rows": ROWS, "words": WORDS, "threshold of ours": THRESHOLD},
)

if __name__ == "__main__":
    command(WORKLOAD)
