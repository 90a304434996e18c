"""What the captions of a run's subsets say: which concepts, how evenly, and what they never say."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.balance import Balance
from curate.errors import CeterisError
from curate.model import loaded, shelve
from curate.plan import POOL, parted
from curate.recipe import Recipe
from curate.record import Run
from filters import concept_list, entity_list
from filters._buffers import flat
from filters._caption_words import KINDS, WORDS

Counts = npt.NDArray[np.int64]

TAIL = 0.06
"""The share of matches that MetaCLIP's 20,000 leaves to the tail of 400 million pairs (Xu et al., arXiv 2309.16671, section 3.3)."""
_LISTS: dict[str, Callable[..., Any]] = {"concepts": concept_list.load, "caption_entities": entity_list.load}
_CAPTION, _FREQUENCY, _ALL = "caption", "caption_frequency", "(all)"
_TAILS = {
    "signal": pl.String,
    "subset": pl.String,
    "rows": pl.Int64,
    "unknown": pl.Int64,
    "matched": pl.Int64,
    "matches": pl.Int64,
    "entries": pl.Int64,
    "never": pl.Int64,
    "tail": pl.Int64,
    "head": pl.Int64,
    "at_most": pl.Int64,
    "tail_share": pl.Float64,
    "head_share": pl.Float64,
}
_ENTRIES = {"signal": pl.String, "subset": pl.String, "number": pl.Int64, "entry": pl.String, "rows": pl.Int64}


@dataclass(frozen=True)
class Tails:
    """`subsets`: for each list and subset its rows, those not measured, those that match an entry, all matches; of the list's entries how
    many match nothing (`never`), fewer rows than `at_most` (`tail`), and others (`head`); the shares of matches that tail and head hold.
    `entries`: {signal, subset, number, entry, rows}, those that match a row, the most frequent first.
    """

    subsets: pl.DataFrame
    entries: pl.DataFrame


@dataclass(frozen=True)
class Coverage:
    """`captions`: for each subset and writer the captions, and of these the shares that say or are something, null where not measured.
    `kinds`: {subset, column, kind, rows} of boilerplate, names of files and what is no caption. `never`: {subset, of, words, said, never},
    how many words of a kind (or entries of a list) there are and how many are said, and those that are not.
    """

    captions: pl.DataFrame
    kinds: pl.DataFrame
    never: pl.DataFrame


def tails(run: Run, subsets: list[str] | None = None, at_most: int | None = None, tail: float | None = None) -> Tails:
    """How matches spread over the entries of every list that the run looked for.

    `at_most` parts tail from head. Without it each subset has the count that the rule `balance` finds for `tail`, the share of all matches
    that entries below it hold at most; with neither, as the recipe's first `balance` has it, else for MetaCLIP's share. CeterisError if the
    run looked for no list, or if both are given.
    """
    if at_most is not None and tail is not None:
        raise CeterisError("the tail's share follows from the count", where="--at-most, --tail", fix="give one of them")
    signals = [name for name, measure in run.facts["measures"].items() if measure["signal"] in _LISTS]
    if not signals:
        fix = 'name a concept_list under `models:`, and a stage with keep: "concepts.count > 0"'
        raise CeterisError("this run looked for no list of concepts", where=run.folder, fix=fix)
    rule = Balance("", at_most, Fraction(str(TAIL if tail is None else tail)) if at_most is None else None, 0)
    if at_most is None and tail is None:
        recipe = Recipe.parse(run.store.json(f"{run.folder}/recipe.json")["text"])
        rule = next((stage.rule for stage in recipe.stages.values() if isinstance(stage.rule, Balance)), rule)
    rows, frames = [], [pl.DataFrame(schema=_ENTRIES)]
    for signal in signals:
        entries, evidence = _entries(run, signal), run.evidence(signal)
        for subset in subsets or list(run.facts["subsets"]):
            size, known = _of_subset(run, subset, evidence.filter(pl.col("count").is_not_null()))
            counts = _said(known["entries"], len(entries))
            edge = rule.limit(counts)
            few, total = (counts > 0) & (counts < edge), max(int(counts.sum()), 1)
            often = (counts > 0) & (counts >= edge)
            matched = int((known["count"] > 0).sum())
            numbers = (size, size - known.height, matched, int(counts.sum()), counts.size, int((counts == 0).sum()))
            shares = (counts[few].sum() / total, counts[often].sum() / total)
            rows.append((signal, subset, *numbers, int(few.sum()), int(often.sum()), edge, *map(float, shares)))
            met = np.flatnonzero(counts)
            met = met[np.argsort(-counts[met], kind="stable")]
            columns = {"number": met, "entry": entries.gather(met), "rows": counts[met]}
            frames.append(pl.DataFrame(columns).select(pl.lit(signal).alias("signal"), pl.lit(subset).alias("subset"), *columns))
    return Tails(pl.DataFrame(rows, schema=_TAILS, orient="row"), pl.concat([frame.cast(_ENTRIES) for frame in frames]))  # type: ignore[arg-type]


def coverage(run: Run, subsets: list[str] | None = None) -> Coverage:
    """What captions say of colours, counts and places, what stands in their place, and what none says. CeterisError without evidence."""
    measures = {measure["signal"]: name for name, measure in reversed(run.facts["measures"].items())}
    if _CAPTION not in measures:
        fix = 'add a stage that asks for it, such as keep: "caption.boilerplate is None"'
        raise CeterisError("this run did not measure captions", where=run.folder, fix=fix)
    evidence = run.evidence(measures[_CAPTION]).filter(pl.col("words").is_not_null())
    lists = {signal: _entries(run, measures[signal]) for signal in _LISTS if signal in measures}
    for signal in (*lists, *[_FREQUENCY] * (_FREQUENCY in measures)):
        other = run.evidence(measures[signal])
        renamed = other.rename({name: f"{signal}.{name}" for name in other.columns if name != "row"})
        evidence = evidence.join(renamed, on="row", how="left")
    captions, kinds, never = [], [], []
    for subset in subsets or list(run.facts["subsets"]):
        size, known = _of_subset(run, subset, evidence)
        whole = _shares(known).select(pl.lit(_ALL).alias("writer"), pl.all())
        parts = [
            _shares(known.filter(pl.col("writer") == writer)).select(pl.lit(writer).alias("writer"), pl.all()) for writer in _writers(known)
        ]
        named = pl.concat([whole, *parts]).select(pl.lit(subset).alias("subset"), "writer", pl.all().exclude("writer"))
        captions.append(named.with_columns(unknown=pl.when(pl.col("writer") == _ALL).then(pl.lit(size - known.height, pl.Int64))))
        for column in ("boilerplate", "file", "form"):
            found = known[column].drop_nulls().value_counts(sort=True).sort("count", column, descending=[True, False])
            kinds += [(subset, column, kind, rows) for kind, rows in found.rows()]
        said = _said(known["said"], len(WORDS))
        never += [(subset, kind, *_silent(pl.Series(WORDS[a:b]), said[a:b])) for kind, (a, b) in KINDS.items()]
        never += [(subset, signal, *_silent(names, _said(known[f"{signal}.entries"], len(names)))) for signal, names in lists.items()]
    return Coverage(
        pl.concat(captions),
        pl.DataFrame(kinds, schema={"subset": pl.String, "column": pl.String, "kind": pl.String, "rows": pl.Int64}, orient="row"),
        pl.DataFrame(
            never,
            schema={"subset": pl.String, "of": pl.String, "words": pl.Int64, "said": pl.Int64, "never": pl.List(pl.String)},
            orient="row",
        ),
    )


def _shares(known: pl.DataFrame) -> pl.DataFrame:
    """One row: how many captions, and what share of those measured is or says what the column says."""
    tests = {
        "colour": pl.col("colours") > 0,
        "count": pl.col("counts") > 0,
        "spatial": pl.col("spatial") > 0,
        "boilerplate": pl.col("boilerplate").is_not_null(),
        "file": pl.col("file").is_not_null(),
        "no caption": pl.col("form").is_not_null() | (pl.col("words") == 0),
        "all capitals": pl.col("upper") == 1,
        "concept": pl.col("concepts.count") > 0,
        "entity": pl.col("caption_entities.count") > 0,
        "repeated": pl.col(f"{_FREQUENCY}.captions") > 1,
    }
    means = {"words": "words", "specificity": f"{_FREQUENCY}.specificity"}
    there = {name: test for name, test in tests.items() if set(test.meta.root_names()) <= set(known.columns)}
    return known.select(
        pl.len().cast(pl.Int64).alias("captions"),
        *[(test.mean() if name in there else pl.lit(None)).cast(pl.Float64).alias(name) for name, test in tests.items()],
        *[(pl.col(name).mean() if name in known.columns else pl.lit(None)).cast(pl.Float64).alias(to) for to, name in means.items()],
    )


def _writers(known: pl.DataFrame) -> list[str]:
    """Who wrote them, where it is known of any."""
    found = known["writer"].unique().cast(pl.String).sort().to_list()
    return [] if found == ["unknown"] else found


def _silent(names: pl.Series, counts: Counts) -> tuple[int, int, list[str]]:
    return len(names), int((counts > 0).sum()), names.filter(pl.Series(counts == 0)).to_list()


def _said(lists: pl.Series, size: int) -> Counts:
    """How many of the lists (little-endian uint32) have each number."""
    data, offsets = flat(lists)
    numbers = data[offsets[0] : offsets[-1]].view("<u4")
    return np.bincount(numbers, minlength=size).astype(np.int64)


def _of_subset(run: Run, subset: str, evidence: pl.DataFrame) -> tuple[int, pl.DataFrame]:
    """How many rows a subset has, and the evidence of those that were measured."""
    node = run.node_of(subset)
    kept = run.codes(node) == 0 if node != POOL else np.ones(run.pool.rows, np.bool_)
    return int(kept.sum()), evidence.filter(pl.Series(kept[evidence["row"].to_numpy()]))


def name_entries(run: Run, story: dict[str, Any]) -> dict[str, Any]:
    """A row's story with the texts of the entries that `balance` drew it by, where a list that is still in the store numbers them."""
    for verdict in story["stages"].values():
        signal = parted(run.facts["nodes"][verdict["stage"]]["columns"][0])[0] if "entries" in verdict else POOL
        if run.facts["measures"].get(signal, {}).get("signal") in _LISTS:
            texts = _entries(run, signal)
            verdict["entries"] = [{**one, "entry": texts[one["entry"]], "number": one["entry"]} for one in verdict["entries"]]
    return story


def _entries(run: Run, name: str) -> pl.Series:
    """The entries of the list that a signal used."""
    measure = run.facts["measures"][name]
    digest = measure["parameters"]["model"]
    made = [run.store.json(f"{model['folder']}/model.json") for model in run.facts["models"].values()]
    found = next((one for one in made if one and one["weights"] == digest), None)
    if found is None:
        raise CeterisError(f"the model that {name} used is no longer in the store", where=run.folder, fix="run the recipe again")
    shelve(digest, _LISTS[measure["signal"]], run.store.path(found["folder"]))
    entries: pl.Series = loaded(digest).entries
    return entries
