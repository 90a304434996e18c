"""The published text rules: Ceteris beside datatrove's filters, on the same texts in one run, one thread on one core.

`python -m benchmarks.text_rules FOLDER`. FOLDER has pages-*.parquet: texts with their line breaks, by which these rules judge.

Words are those of `str.split` for both, sentences end as `c4_text` says: datatrove's own tokenizers (spaCy, Punkt) would cost it much more.
Thresholds are those of the shipped recipes here and the filters' defaults there, with the five end marks of 2024's FineWeb. Decisions and
reasons are compared first. Where they differ, datatrove judges again without the two things it does on its own: to know stop words in lower
case only, and to let lines end in an apostrophe. A difference that remains fails the check. Each rule set judges all texts, then FineWeb's
sets one after the other, each what the last one kept; from texts in memory (Python strings there, a column here) to reasons.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._run import ROOT, Answers, Engine, Work, Workload, command, texts_of

FILES = "pages-*.parquet"
KEPT = "kept"
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s")
WHOLE = "FineWeb, all of it"
CHAIN = ("Gopher repetition", "Gopher quality", "C4 in FineWeb", "FineWeb")
STAGES = {  # rule set: recipe and stage
    "Gopher repetition": ("fineweb", "unrepetitive"),
    "Gopher quality": ("fineweb", "prose"),
    "C4": ("c4", "clean"),
    "C4 in FineWeb": ("fineweb", "clean"),
    "FineWeb": ("fineweb", "text"),
}

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


def ceteris(folder: Path, part: str, documents: int) -> Work:
    """For each text the column of the first of the recipe's clauses that is not true, or KEPT; later sets see only what is still kept."""
    import polars as pl

    from curate.recipe import Recipe
    from filters.c4_text import c4_text
    from filters.fineweb_text import fineweb_text
    from filters.gopher_quality import gopher_quality
    from filters.gopher_repetition import gopher_repetition

    recipes = {name: Recipe.load(ROOT / "pipelines" / "recipes" / f"{name}.yaml") for name in ("c4", "fineweb")}
    signals: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "Gopher repetition": gopher_repetition,
        "Gopher quality": gopher_quality,
        "C4": c4_text,
        "C4 in FineWeb": functools.partial(c4_text, punctuation=False),
        "FineWeb": functools.partial(fineweb_text, cleaned=part == WHOLE),
    }
    rows = pl.DataFrame({"text": pl.from_arrow(texts_of(folder, FILES, documents))})

    def work() -> list[str]:
        reasons, alive = pl.Series([KEPT]).new_from_index(0, rows.height), pl.Series(range(rows.height), dtype=pl.UInt32)
        for name in CHAIN if part == WHOLE else (part,):
            recipe, stage = STAGES[name]
            clauses = recipes[recipe].stages[stage].rule.clauses  # type: ignore[union-attr]
            some = rows[alive]
            signal = clauses[0].columns[0].partition(".")[0]
            evidence = signals[name](some).rename(functools.partial(_named, signal))
            said = pl.Series([KEPT]).new_from_index(0, some.height)
            for clause in reversed(clauses):
                holds = clause.evaluate(evidence).fill_null(False)
                said = said.zip_with(holds, pl.Series([clause.columns[0].split(".")[1]]).new_from_index(0, some.height))
            reasons = reasons.scatter(alive, said)
            alive = alive.filter(said == KEPT)
        return reasons.to_list()

    return work


def _named(signal: str, column: str) -> str:
    return f"{signal}.{column}"


def datatrove(folder: Path, part: str, documents: int, *, alike: bool = False) -> Work:
    """Datatrove's reason for each text, or KEPT; `alike`: without the two things that it does on its own."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import c4_filters, fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter

    for module in (gopher_repetition_filter, gopher_quality_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, _language=None: text.split()
    c4_filters.split_into_sentences = lambda text, _language=None: [""] * (len(SENTENCE_END.findall(text)) + 1)
    if alike:
        gopher_quality_filter.split_into_words = lambda text, _language=None: text.lower().split()
        c4_filters.END_PUNCTUATION = tuple(mark for mark in c4_filters.END_PUNCTUATION if mark != "'")
    judges = {
        "Gopher repetition": gopher_repetition_filter.GopherRepetitionFilter(),
        "Gopher quality": gopher_quality_filter.GopherQualityFilter(),
        "C4": c4_filters.C4QualityFilter(),
        "C4 in FineWeb": c4_filters.C4QualityFilter(filter_no_terminal_punct=False),
        "FineWeb": fineweb_quality_filter.FineWebQualityFilter(stop_chars=(".", "'", '"', "!", "?")),
    }
    chosen = [judges[name].filter for name in (CHAIN if part == WHOLE else (part,))]
    texts = texts_of(folder, FILES, documents).to_pylist()

    def reason(text: str) -> str:
        document = Document(text=text, id="")  # filters change it
        return next((said[1] for judge in chosen if (said := judge(document)) is not True), KEPT)

    return lambda: [reason(text) for text in texts]


def check(folder: Path, _part: str, documents: int, answers: Answers) -> dict[str, Any]:
    """Decisions and reasons are datatrove's, but for the two things that it does on its own."""
    texts = texts_of(folder, FILES, documents).to_pylist()
    found = answers["ceteris"]
    assert len(found) == len(texts), "a reason for every text"
    if THEIRS not in answers:
        return {"texts": len(texts), "kept": found.count(KEPT), "as datatrove": None}
    again = answers[ALIKE]
    other = [place for place, said in enumerate(answers[THEIRS]) if found[place] not in REASONS[said]]
    unexplained = [(texts[place][:100], found[place], again[place]) for place in other if found[place] not in REASONS[again[place]]]
    assert not unexplained, f"reasons that nothing explains: {unexplained[:5]}"
    return {"texts": len(texts), "kept": found.count(KEPT), "other reasons, all explained": len(other)}


def judge(_folder: Path, _part: str, _documents: int, answers: Answers) -> dict[str, dict[str, Any]]:
    """How many are kept, and how many decisions and reasons are not ours."""
    found = answers["ceteris"]
    lines: dict[str, dict[str, Any]] = {name: {"kept": said.count(KEPT)} for name, said in answers.items()}
    if THEIRS in answers:
        pairs = list(zip(found, answers[THEIRS], strict=True))
        lines[THEIRS]["other decisions"] = sum((ours == KEPT) != (said == KEPT) for ours, said in pairs)
        lines[THEIRS]["other reasons"] = sum(ours not in REASONS[said] for ours, said in pairs)
    return lines


THEIRS, ALIKE = "datatrove", "datatrove, without what it does on its own"
PACKAGE = "datatrove.pipeline.filters"
WORKLOAD = Workload(
    name="text_rules",
    about=__doc__,
    engines={
        "ceteris": Engine(ceteris),
        THEIRS: Engine(datatrove, PACKAGE),
        ALIKE: Engine(functools.partial(datatrove, alike=True), PACKAGE, clocked=False),
    },
    check=check,
    judge=judge,
    parts=(*STAGES, WHOLE),
    documents=20_000,
    checked=2000,
    rounds=2,
)

if __name__ == "__main__":
    command(WORKLOAD)
