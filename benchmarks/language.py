# ruff: noqa: T201  a benchmark prints
"""Language identification: Ceteris beside langdetect, on the same texts in one run, one thread on one core.

`python benchmarks/language.py [FOLDER] [--documents 1000] [--captions 2000] [--rounds 5]`. FOLDER has *.parquet with `text` and, for
accuracy, `lang_true` (ISO 639-1); without it the texts are what the installed packages say of themselves. Captions are 3 to 12 words of a
document, or 8 to 24 characters where there are no spaces, each from another document.

Answers are checked first: every label and probability of engine `sampled` against the package's own with `DetectorFactory.seed = 0` and
its profiles in name order. Then engines take turns, `--rounds` times: langdetect on as many texts as were checked, Ceteris on all there are
up to ten times as many. Rates are of the best round, wall and processor time apart, since other load blurs wall times; ratios are of
processor times. What a process pays once (imports, profiles, kernels from the disk or compiled) is given apart.
"""

import argparse
import datetime
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before any of them is loaded
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import polars as pl  # noqa: E402
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory  # noqa: E402
from langdetect.lang_detect_exception import LangDetectException  # noqa: E402

from filters.language import language  # noqa: E402

ENGINES = ("sampled", "all")
CHARACTERS_AT_MOST = 10_000
ROWS_PER_CALL = 4096  # as the engine calls signals


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(f"language-{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json"))
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    documents = texts_of(given.folder)
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine(),
        "versions": {name: version(name) for name in ("langdetect", "numba", "polars")},
        "start, seconds": start(),
    }
    for name, texts, checked in (("documents", documents, given.documents), ("captions", captions_of(documents), given.captions)):
        report[name] = compared(texts, min(checked, texts.height), given.rounds)
        print(json.dumps({name: report[name]}, indent=1))
    report["load"] = [report.pop("load"), os.getloadavg()]
    print(json.dumps({key: value for key, value in report.items() if key not in ("documents", "captions")}))
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def texts_of(folder: Path | None) -> pl.DataFrame:
    """Distinct `text`, with `lang_true` where it is known, in an order that does not follow the files'."""
    if folder is None:
        said = pl.DataFrame({"text": sorted({one.read_text("METADATA") or "" for one in distributions()} - {""})})
        return said.sample(fraction=1.0, shuffle=True, seed=0)
    read = pl.read_parquet(folder / "*.parquet", columns=["text"]) if not _has_truth(folder) else pl.read_parquet(folder / "text-*.parquet")
    known = [name for name in ("text", "lang_true") if name in read.columns]
    return read.select(known).unique("text", maintain_order=True).sample(fraction=1.0, shuffle=True, seed=0)


def _has_truth(folder: Path) -> bool:
    return any(folder.glob("text-*.parquet"))


def captions_of(documents: pl.DataFrame) -> pl.DataFrame:
    """A caption from somewhere in each document."""
    rng = random.Random(0)

    def cut(text: str) -> str:
        words = text[:CHARACTERS_AT_MOST].split()
        count = rng.randint(3, 12)
        if not words or len(text) / len(words) > 20:
            begin = rng.randrange(max(1, min(len(text), CHARACTERS_AT_MOST) - 2 * count))
            return text[begin : begin + 2 * count]
        begin = rng.randrange(max(1, len(words) - count))
        return " ".join(words[begin : begin + count])

    return documents.with_columns(text=pl.Series([cut(text) for text in documents["text"].to_list()])).unique("text", maintain_order=True)


def compared(texts: pl.DataFrame, checked: int, rounds: int) -> dict[str, Any]:
    """Check, then time in turn, then set side by side."""
    sample, many = texts.head(checked), texts.head(10 * checked)
    package = reference()
    strings = sample["text"].to_list()
    expected = [package(text) for text in strings]
    found = dict(zip(ENGINES, (measured(sample, engine) for engine in ENGINES), strict=True))
    assert found["sampled"] == expected, "langdetect's own answers"
    timed: dict[str, tuple[int, Callable[[], object]]] = {
        "langdetect": (checked, lambda: [package(text) for text in strings]),
        **{engine: (many.height, lambda engine=engine: measured(many, engine)) for engine in ENGINES},  # type: ignore[misc]
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, (_, run) in timed.items():
            wall, spent = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - spent))
    lines = {}
    for name, (count, _) in timed.items():
        wall, spent = (min(column) for column in zip(*times[name], strict=True))
        lines[name] = {"texts": count, "per second": round(count / wall), "per processor second": round(count / spent)}
    slow = lines["langdetect"]["per processor second"]
    return {
        "mean bytes": round(float(many["text"].str.len_bytes().mean() or 0)),  # type: ignore[arg-type]
        "checked": checked,
        "equal labels and probabilities": sum(a == b for a, b in zip(found["sampled"], expected, strict=True)),
        "labels equal with all n-grams": sum(a[0] == b[0] for a, b in zip(found["all"], expected, strict=True)),
        "accuracy": accuracy(many) if "lang_true" in many.columns else {},
        "engines": lines,
        "times langdetect": {engine: round(lines[engine]["per processor second"] / slow, 1) for engine in ENGINES},
    }


def measured(texts: pl.DataFrame, engine: str) -> list[tuple[str, float]]:
    """Ceteris, called as a run calls it; from a column of text to answers in Python."""
    parts = [language(texts[at : at + ROWS_PER_CALL], engine=engine) for at in range(0, texts.height, ROWS_PER_CALL)]
    return pl.concat(parts).select("code", "prob").rows()


def reference() -> Callable[[str], tuple[str, float]]:
    """langdetect with a seed and its profiles in name order; probabilities as the Float32 that is stored."""
    factory = DetectorFactory()
    files = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if "." not in path.name)
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in files])
    factory.set_seed(0)

    def detect(text: str) -> tuple[str, float]:
        detector = factory.create()
        detector.append(text[:CHARACTERS_AT_MOST])
        try:
            found = detector.get_probabilities()
        except LangDetectException:
            found = []
        return (found[0].lang, float(pl.Series([found[0].prob], dtype=pl.Float32)[0])) if found else ("und", 0.0)

    return detect


def accuracy(texts: pl.DataFrame) -> dict[str, float]:
    """Share of right answers, Chinese of either script being one language. langdetect's is that of `sampled`."""
    right = texts["lang_true"].str.slice(0, 2).to_list()
    return {
        engine: round(sum(code[:2] == true for (code, _), true in zip(measured(texts, engine), right, strict=True)) / texts.height, 4)
        for engine in ENGINES
    }


def start() -> dict[str, float]:
    """Seconds until the first answer of a new process, kernels kept from before; the first of two runs may have had to compile."""
    code = "import polars as pl; from filters.language import language; language(pl.DataFrame({'text': ['the house']}), engine='all')"
    code += "; language(pl.DataFrame({'text': ['the house']}))"
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        seconds.append(round(time.perf_counter() - began, 2))
    return {"first process": seconds[0], "later process": seconds[1]}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = sorted(flag for flag in said.get("flags", "").split() if flag.startswith(("avx", "sse4", "fma")))
    return {"cpu": said.get("model name", platform.machine()), "flags": flags, "cores": os.cpu_count(), "load": os.getloadavg()}


if __name__ == "__main__":
    main()
