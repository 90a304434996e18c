# ruff: noqa: T201  a benchmark prints
"""Near-duplicate documents, Parquet to keep list: Ceteris and its peers on one corpus in one run, one thread each.

`python benchmarks/dedup.py FOLDER [--peers-python PYTHON] [--repeat 3]`. FOLDER has text-*.parquet (`text`) and, for recall and precision,
truth.parquet: `id` (row number), `orig_id` (whose copy it is, -1: of none), `jaccard_true` (of their word 5-grams), `level` ("single":
alike with nothing, "exact": an equal copy). Peers are looked for in PYTHON's environment; those that are missing are left out.

Answers are checked first: our signatures against datasketch's over the same shingles, the number of shingles against Python's own, and
the pairs that agree in a band against datasketch's. Then every engine runs in turn, in its own process on one core, `--repeat` times.
"in process" is reading, sketching, linking and deciding in a warm process; "process" is from the start of the interpreter to its end, with
our kernels compiled before. Everybody's shingles are 5 words between white space. Ratios are of medians; other load blurs wall times, so
processor times are given too.
"""

import argparse
import collections
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
ROOT = Path(__file__).parents[1]
BANDS, ROWS, PERMUTATIONS = 16, 8, 128
OURS = "ceteris"
BINS = {">=.93": (0.93, 1.01), ".87-.93": (0.87, 0.93), ".77-.83": (0.77, 0.83), ".67-.73": (0.67, 0.73), ".45-.55": (0.45, 0.55)}
AS_PEERS = {"case": True, "punctuation": True, "unicode": ""}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threshold", type=float, default=0.7, help="of ours, on the estimated similarity")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(f"dedup-{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json"))
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    if given.engine:
        one_run(given.engine, given.folder, given.threshold, given.times, given.out)
        return
    print(json.dumps(check(given.folder)))
    found = measured(given)
    truth = given.folder / "truth.parquet"
    answers = {name: judged(runs[0]["keep"], truth) if truth.exists() else {} for name, runs in found.items()}
    report = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu(),
        "python": platform.python_version(),
        "bands": BANDS,
        "rows": ROWS,
        "threshold": given.threshold,
        "engines": {name: {**summary(runs), **answers[name]} for name, runs in found.items()},
    }
    report["ratios to ceteris"] = ratios(report["engines"])
    for name, line in report["engines"].items():
        print(json.dumps({"engine": name, **line}))
    print(json.dumps({"ratios to ceteris": report["ratios to ceteris"]}, indent=1))
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def check(folder: Path, documents: int = 2000) -> dict[str, int]:
    """Raise AssertionError unless our shingles, signatures and candidates are what they should be on the first documents."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import polars as pl
    from datasketch import MinHash, MinHashLSH

    from filters.near_duplicate_text import near_duplicate_text, sketch

    texts = pl.read_parquet(folder / "text-*.parquet", columns=["text"], n_rows=documents)
    spaced = texts["text"].str.contains(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]").not_()  # the others are counted by characters
    rows = sketch(texts, exact=True, **AS_PEERS)
    lsh, signed, equal_pairs = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS)), {}, set()
    for text, by_words, (key, signature, shingles, _) in zip(texts["text"], spaced, rows.iter_rows(), strict=True):
        hashes = np.frombuffer(shingles, "<u4")
        assert not by_words or abs(hashes.size - len(shingles_of(text))) <= 1, (
            "as many shingles as Python finds, but for a meeting of hashes"
        )
        signed[key] = MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32", hashfunc=int)
        signed[key].update_batch(hashes.tolist())
        assert np.array_equal(np.frombuffer(signature, "<u4"), signed[key].hashvalues), "datasketch's signature"
    for key, made in signed.items():
        equal_pairs |= {(min(key, other), max(key, other)) for other in lsh.query(made)}
        lsh.insert(key, made)
    found = near_duplicate_text.pairs(rows.with_columns(shingles=pl.lit(None, pl.Binary)), bands=BANDS, rows=ROWS, floor=0.0)
    assert set(found.select("a", "b").rows()) == equal_pairs, "datasketch's candidates"
    return {"documents checked": documents, "equal signatures": len(signed), "equal candidate pairs": len(equal_pairs)}


def shingles_of(text: str, words: int = 5) -> set[bytes]:
    """Every run of five words between white space, or the whole text if it has fewer: as the peers' documentation does it."""
    found = text.split()
    return {" ".join(found[i : i + words]).encode() for i in range(max(len(found) - words + 1, 1))}


def texts_of(folder: Path) -> list[str]:
    """All texts as Python strings, which is where the peers start."""
    import pyarrow.parquet as pq

    files = sorted(folder.glob("text-*.parquet"))
    return [text for file in files for text in pq.read_table(file, columns=["text"], use_threads=False)["text"].to_pylist()]


def ceteris(folder: Path, threshold: float, *, parameters: dict[str, Any]) -> list[bool]:
    """Our keep list, earlier rows preferred; rows equal but for what does not count share a key."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import polars as pl

    from curate.grouping import LINK_SCHEMA, keep_one
    from curate.sketches import Sketches
    from filters.near_duplicate_text import links, sketch

    parts = []
    for file in sorted(folder.glob("text-*.parquet")):
        texts = pl.read_parquet(file, columns=["text"])
        parts += [sketch(texts[start : start + 4096], **parameters) for start in range(0, texts.height, 4096)]
    rows = pl.concat(parts)
    distinct = rows.filter(pl.col("key").is_not_null()).unique("key", maintain_order=True).with_row_index("number")
    found = pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *links(Sketches.of(distinct), bands=BANDS, rows=ROWS)])
    alone = distinct.height + pl.int_range(pl.len(), dtype=pl.Int64)
    numbers = rows.select("key").join(distinct.select("key", "number"), on="key", how="left", maintain_order="left")
    classes = numbers.select(pl.coalesce(pl.col("number").cast(pl.Int64), alone)).to_series().to_numpy()
    ends = [found[end].cast(pl.Int64).to_numpy() for end in ("i", "j")]
    survivor, _ = keep_one(classes, (ends[0], ends[1], found["similarity"].to_numpy()), threshold)
    kept: list[bool] = (survivor == np.arange(rows.height)).tolist()
    return kept


def datasketch(folder: Path, _threshold: float, *, index: dict[str, Any]) -> list[bool]:
    """datasketch 2 as fast as it goes: xxHash, a shared generator, no pickling, earlier rows kept, candidates not verified."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=PERMUTATIONS, prepickle=False, **index)
    texts = texts_of(folder)
    kept = []
    signed = MinHash.generator((shingles_of(text) for text in texts), num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
    for number, made in enumerate(signed):
        new = not lsh.query(made)
        kept.append(new)
        if new:
            lsh.insert(number, made, check_duplication=False)
    return kept


def rensa(folder: Path, _threshold: float) -> list[bool]:
    """rensa's streaming deduplicator at similarity .8, verified, earlier rows kept."""
    from rensa import RMinHash, RMinHashDeduplicator

    index = RMinHashDeduplicator(threshold=0.8, num_perm=PERMUTATIONS, use_lsh=True)
    kept = []
    for number, text in enumerate(texts_of(folder)):
        made = RMinHash(num_perm=PERMUTATIONS, seed=42)
        made.update(list(shingles_of(text)))
        kept.append(bool(index.add(str(number), made)))
    return kept


ENGINES: dict[str, tuple[str | None, Callable[[Path, float], list[bool]]]] = {
    OURS: (None, lambda folder, threshold: ceteris(folder, threshold, parameters=AS_PEERS)),
    "ceteris, folded words in normal form": (None, lambda folder, threshold: ceteris(folder, threshold, parameters={})),
    "datasketch, same bands": ("datasketch", lambda folder, t: datasketch(folder, t, index={"params": (BANDS, ROWS)})),
    "datasketch, its bands for .8": ("datasketch", lambda folder, t: datasketch(folder, t, index={"threshold": 0.8})),
    "rensa, streaming": ("rensa", rensa),
}


def one_run(name: str, folder: Path, threshold: float, times: int, out: Path) -> None:
    """Run one engine in this process, and leave what the last of `times` runs took and kept in `out`."""
    package, engine = ENGINES[name]
    version = importlib.metadata.version(package) if package else "this tree"
    for _ in range(times):
        wall, used = time.perf_counter(), time.process_time()
        keep = engine(folder, threshold)
        wall, used = time.perf_counter() - wall, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    out.write_text(json.dumps({"keep": keep, "wall": wall, "cpu": used, "peak MiB": peak, "version": version}), encoding="utf-8")


def measured(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every run of every engine, in turn. Ours runs once in a process for the whole process's times, and twice in another to be warm."""
    found: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    present = {name: given.peers_python if package else sys.executable for name, (package, _) in ENGINES.items() if name in given.engines}
    for name, python in list(present.items()):
        package = ENGINES[name][0]
        if package and subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode:
            print(f"{name}: {package} is not installed, left out")
            del present[name]
    for _ in range(given.repeat):
        for name, python in present.items():
            whole = timed(python, name, given, times=1)
            warm = whole if ENGINES[name][0] else timed(python, name, given, times=2)
            found[name].append({**whole, "wall": warm["wall"], "cpu": warm["cpu"]})
            print(f"{name}: {warm['wall']:.2f} s in process, {whole['process wall']:.2f} s the process", flush=True)
    return found


def timed(python: str, name: str, given: argparse.Namespace, times: int) -> dict[str, Any]:
    """One process that runs an engine."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run.json"
        options = [
            "--engine",
            name,
            "--times",
            str(times),
            "--core",
            str(given.core),
            "--threshold",
            str(given.threshold),
            "--out",
            str(out),
        ]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([python, __file__, str(given.folder), *options], env={**os.environ, **dict.fromkeys(THREADS, "1")}, check=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        made: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {**made, "process wall": wall, "process cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the runs of one engine, which all must keep the same rows."""
    assert all(run["keep"] == runs[0]["keep"] for run in runs), "the same answer every time"
    seconds = {name: round(statistics.median(run[name] for run in runs), 3) for name in ("wall", "cpu", "process wall", "process cpu")}
    documents = len(runs[0]["keep"])
    peak = max(run["peak MiB"] for run in runs)
    return {"version": runs[0]["version"], **seconds, "documents per second": round(documents / seconds["wall"]), "peak MiB": peak}


def ratios(engines: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times longer every other engine takes than ours."""
    own = engines.get(OURS, {})
    times = ("wall", "cpu", "process wall", "process cpu")
    return {name: {key: round(line[key] / own[key], 2) for key in times} for name, line in engines.items() if own and name != OURS}


def judged(keep: list[bool], truth: Path) -> dict[str, Any]:
    """Recall: planted pairs of which not both are kept, by true Jaccard. Precision: the share of the dropped that are like something."""
    import pyarrow.parquet as pq

    rows = pq.read_table(truth).to_pylist()
    pairs = [row for row in rows if row["orig_id"] not in (-1, row["id"])]
    found = {"exact": [row for row in pairs if row["level"] == "exact"]}
    found |= {
        name: [row for row in pairs if row["level"] != "exact" and low <= row["jaccard_true"] < high] for name, (low, high) in BINS.items()
    }
    recall = {
        name: round(sum(not (keep[row["id"]] and keep[row["orig_id"]]) for row in some) / len(some), 4)
        for name, some in found.items()
        if some
    }
    dropped = keep.count(False)
    wrong = sum(row["level"] == "single" and not keep[row["id"]] for row in rows)
    return {"recall": recall, "dropped": dropped, "precision": round(1 - wrong / max(dropped, 1), 5)}


def cpu() -> dict[str, Any]:
    """What the processor is, and which vector instructions it has."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        facts = dict(reversed([line.split("\t", 1) for line in lines if "\t" in line]))
        flags = [flag for flag in facts.get("flags", "").split() if flag.startswith(("avx", "sse4", "bmi"))]
        return {"model": facts.get("model name", "").strip("\t: "), "flags": flags, "cores": os.cpu_count(), "load": os.getloadavg()}
    return {"model": platform.processor(), "cores": os.cpu_count()}


if __name__ == "__main__":
    main()
