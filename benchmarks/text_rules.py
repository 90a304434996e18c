# ruff: noqa: T201  a benchmark prints
"""The published text rules: Ceteris beside datatrove's filters, on the same texts in one run, one thread on one core.

`python benchmarks/text_rules.py [FOLDER] [--documents 20000] [--rounds 3]`, with datatrove installed. FOLDER has text-*.parquet or other
*.parquet with `text`; without it the texts are this machine's documentation (the sources of benchmarks/text_corpus.py) from 200 characters.

Words are those of `str.split` for both, sentences end as `c4_text` says: datatrove's own tokenizers (spaCy, Punkt) would cost it much more.
Thresholds are those of the shipped recipes here and the filters' defaults there, with the five end marks of 2024's FineWeb. Decisions and
reasons are compared first. Where they differ, datatrove judges again without the two things it does on its own: to know stop words in lower
case only, and to let lines end in an apostrophe. What remains is counted as unexplained. Then both take turns, `--rounds` times, each rule
set on all texts, then FineWeb's sets one after the other, each on what the last one kept. Ratios are of processor times in the best round,
from texts in memory (Python strings there, a column here) to reasons.
"""

import argparse
import datetime
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # before any of them is loaded
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import polars as pl  # noqa: E402
from datatrove.data import Document  # noqa: E402
from datatrove.pipeline.filters import (  # noqa: E402
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from text_corpus import sources  # noqa: E402

from curate.recipe import Recipe  # noqa: E402
from filters.c4_text import c4_text  # noqa: E402
from filters.fineweb_text import fineweb_text  # noqa: E402
from filters.gopher_quality import gopher_quality  # noqa: E402
from filters.gopher_repetition import gopher_repetition  # noqa: E402

KEPT = "kept"
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s")
RECIPES = {name: Recipe.load(ROOT / "pipelines" / "recipes" / f"{name}.yaml") for name in ("c4", "fineweb")}

# Rule set: recipe, stage, its signals, and datatrove's filter.
RULES: dict[str, tuple[str, str, dict[str, Callable[[pl.DataFrame], pl.DataFrame]], Any]] = {
    "Gopher repetition": (
        "fineweb",
        "unrepetitive",
        {"gopher_repetition": gopher_repetition},
        gopher_repetition_filter.GopherRepetitionFilter(),
    ),
    "Gopher quality": ("fineweb", "prose", {"gopher_quality": gopher_quality}, gopher_quality_filter.GopherQualityFilter()),
    "C4": ("c4", "clean", {"page": lambda rows: c4_text(rows)}, c4_filters.C4QualityFilter()),
    "C4 in FineWeb": (
        "fineweb",
        "clean",
        {"page": lambda rows: c4_text(rows, punctuation=False)},
        c4_filters.C4QualityFilter(filter_no_terminal_punct=False),
    ),
    "FineWeb": (
        "fineweb",
        "text",
        {"left": lambda rows: fineweb_text(rows, cleaned=False)},
        fineweb_quality_filter.FineWebQualityFilter(stop_chars=(".", "'", '"', "!", "?")),
    ),
}
WHOLE = "FineWeb, all of it"
CHAIN = ("Gopher repetition", "Gopher quality", "C4 in FineWeb", "FineWeb")
LEFT: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {"left": lambda rows: fineweb_text(rows, cleaned=True)}

# Datatrove's reasons by our columns.
REASONS = {
    "empty": ("duplicate_paragraphs", "punctuated_lines"),
    "dup_para_frac": ("duplicate_paragraphs",),
    "dup_para_char_frac": ("duplicate_paragraph_chars",),
    "dup_line_frac": ("duplicate_lines",),
    "dup_line_char_frac": ("duplicate_line_chars",),
    **{f"top_{n}_gram": (f"top_{n}_gram",) for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": (f"duplicate_{n}_grams",) for n in range(5, 11)},
    "gopher_short_doc": ("words",),
    "gopher_long_doc": ("words",),
    "gopher_below_avg_threshold": ("mean_length",),
    "gopher_above_avg_threshold": ("mean_length",),
    "gopher_too_many_hashes": ("hashes",),
    "gopher_too_many_ellipsis": ("ellipses",),
    "gopher_too_many_bullets": ("bullet_lines",),
    "gopher_too_many_end_ellipsis": ("ellipsis_lines",),
    "gopher_below_alpha_threshold": ("alphabetic",),
    "gopher_enough_stop_words": ("stop_words",),
    "lorem_ipsum": ("lorem_ipsum", "curly_bracket"),  # it says which line comes first, we say which is asked first
    "curly_bracket": ("lorem_ipsum", "curly_bracket"),
    "too_few_sentences": ("sentences",),
    "line_punct_ratio": ("punctuated_lines",),
    "short_line_ratio": ("short_lines",),
    "char_dup_ratio": ("duplicate_line_chars",),
    "list_ratio": ("newlines_per_word",),
    KEPT: (KEPT,),
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(f"text-rules-{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json"))
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    one_tokenizer()
    rows = texts_of(given.folder).head(given.documents)
    texts = rows["text"].to_list()
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine(),
        "versions": {name: version(name) for name in ("datatrove", "numba", "polars")},
        "documents": len(texts),
        "megabytes": round(rows["text"].str.len_bytes().sum() / 1e6, 1),
        "answers": {name: compared(name, rows, texts) for name in (*RULES, WHOLE)},
    }
    print(json.dumps(report, indent=1))
    report["rule sets"] = timed(rows, texts, given.rounds)
    report["load"] = [report.pop("load"), os.getloadavg()]
    for name, line in report["rule sets"].items():
        print(json.dumps({name: line}))
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def texts_of(folder: Path | None) -> pl.DataFrame:
    """Distinct `text`, in an order that does not follow the files'."""
    if folder is None:
        said = pl.DataFrame({"text": [text for text in sources() if len(text) >= 200]})
    else:
        said = pl.read_parquet(folder / ("text-*.parquet" if any(folder.glob("text-*.parquet")) else "*.parquet"), columns=["text"])
    return said.unique("text", maintain_order=True).sample(fraction=1.0, shuffle=True, seed=0)


def one_tokenizer(words: Callable[[str], list[str]] = str.split) -> None:
    """Make datatrove part words and sentences as we do."""
    for module in (gopher_repetition_filter, gopher_quality_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, _language=None: words(text)
    c4_filters.split_into_sentences = lambda text, _language=None: [""] * (len(SENTENCE_END.findall(text)) + 1)


def theirs(name: str, documents: list[Any]) -> list[str]:
    """Datatrove's reason for each document, or KEPT."""
    chosen = [RULES[each][3].filter for each in (CHAIN if name == WHOLE else (name,))]
    return [next((said[1] for judge in chosen if (said := judge(document)) is not True), KEPT) for document in documents]


def ours(name: str, rows: pl.DataFrame) -> list[str]:
    """For each row the column of the first of the recipe's clauses that is not true, or KEPT; later sets see only what is still kept."""
    reasons, alive = pl.Series([KEPT]).new_from_index(0, rows.height), pl.Series(range(rows.height), dtype=pl.UInt32)
    for each in CHAIN if name == WHOLE else (name,):
        recipe, stage, signals, _ = RULES[each]
        used = LEFT if name == WHOLE and each == "FineWeb" else signals
        part = rows[alive]
        frames = [measure(part).rename(lambda column, signal=signal: f"{signal}.{column}") for signal, measure in used.items()]
        evidence = pl.concat(frames, how="horizontal")
        said = pl.Series([KEPT]).new_from_index(0, part.height)
        for clause in reversed(RECIPES[recipe].stages[stage].rule.clauses):
            holds = clause.evaluate(evidence).fill_null(False)
            said = said.zip_with(holds, pl.Series([clause.columns[0].split(".")[1]]).new_from_index(0, part.height))
        reasons = reasons.scatter(alive, said)
        alive = alive.filter(said == KEPT)
    return reasons.to_list()


def compared(name: str, rows: pl.DataFrame, texts: list[str]) -> dict[str, Any]:
    """How many decisions and reasons are equal, and whether what differs is explained."""
    found, expected = ours(name, rows), theirs(name, documents_of(texts))
    differing = [place for place in range(len(texts)) if found[place] not in REASONS[expected[place]]]
    marks = c4_filters.END_PUNCTUATION
    one_tokenizer(lambda text: text.lower().split())
    c4_filters.END_PUNCTUATION = tuple(mark for mark in marks if mark != "'")
    again = theirs(name, documents_of([texts[place] for place in differing]))
    one_tokenizer()
    c4_filters.END_PUNCTUATION = marks
    unexplained = [place for place, said in zip(differing, again, strict=True) if found[place] not in REASONS[said]]
    return {
        "kept by datatrove": expected.count(KEPT),
        "kept by ceteris": found.count(KEPT),
        "other decisions": sum((found[place] == KEPT) != (expected[place] == KEPT) for place in differing),
        "other reasons": len(differing),
        "unexplained": [{"text": texts[place][:100], "datatrove": expected[place], "ceteris": found[place]} for place in unexplained],
    }


def documents_of(texts: list[str]) -> list[Any]:
    """Datatrove's documents, anew, since its filters change them."""
    return [Document(text=text, id="") for text in texts]


def timed(rows: pl.DataFrame, texts: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Best processor seconds of each, in turn, and how many times datatrove's ours go into."""
    found = {}
    for name in (*RULES, WHOLE):
        best = {"datatrove": float("inf"), "ceteris": float("inf")}
        for _ in range(rounds):
            documents = documents_of(texts)
            runs: dict[str, Callable[[], object]] = {
                "datatrove": lambda name=name, documents=documents: theirs(name, documents),  # type: ignore[misc]
                "ceteris": lambda name=name: ours(name, rows),  # type: ignore[misc]
            }
            for engine, run in runs.items():
                began = time.process_time()
                run()
                best[engine] = min(best[engine], time.process_time() - began)
        seconds = {f"{engine}, processor s": round(spent, 3) for engine, spent in best.items()}
        found[name] = {**seconds, "ratio": round(best["datatrove"] / best["ceteris"], 1)}
    return found


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = sorted(flag for flag in said.get("flags", "").split() if flag.startswith(("avx", "sse4", "fma")))
    return {
        "cpu": said.get("model name", platform.machine()),
        "flags": flags,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }


if __name__ == "__main__":
    main()
