"""What the declared licences of a subset ask, how they are evidenced, and where they contradict each other: evidence, no legal opinion."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

import polars as pl

from curate.record import Run, Selected
from pipelines.provenance.declared import batches, gathering, signal_of
from pipelines.provenance.terms import CC, asks, reachable, table, understood

_KEYS = ("expression", "class", "scope", "confidence", "conflict")
_SA_SOURCE = "https://creativecommons.org/faq/#can-i-combine-material-under-different-creative-commons-licenses-in-my-work"
_ADAPTED = "a work adapted from both"
_WEIGHTY = ("share-alike", "no-commercial", "no-derivatives", "permission")


@dataclass(frozen=True)
class Conflict:
    """`kind`: share-alike (two that end in no common licence), limits (share-alike beside no-commercial), terms (of a pair in the table),
    rows (places of a row disagree), commercial, no-derivatives, permission (some rows, which bind the whole). Rows of `one` and `other`."""

    kind: str
    one: str
    other: str
    rows: int
    other_rows: int
    why: str
    source: str = ""


@dataclass(frozen=True)
class Obligations:
    """What a subset's rows declare: `declared` (expression, class, rows), `classes`, `obligations` (obligation, says, rows, licences with
    where and source), `scopes`, `confidence` (value, rows), `conflicts`; `no_evidence`: rows of which nobody asked (`fix` says how);
    `unreadable`: rows whose evidence is an error."""

    subset: str
    run: str
    rows: int
    declared: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    obligations: list[dict[str, Any]]
    scopes: list[dict[str, Any]]
    confidence: list[dict[str, Any]]
    conflicts: list[Conflict]
    no_evidence: int
    unreadable: int
    fix: str

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def obligations(chosen: Selected, signal: str | None = None) -> Obligations:
    """Read every row's stored evidence once; counts are of different rows, not of their copies."""
    run, name = chosen.run, signal_of(chosen.run, signal)
    found = _counted(run, chosen, name)
    asked = found.filter("measured")
    good = asked.filter(pl.col("error").is_null())
    total, seen, fine = (int(each["rows"].sum()) for each in (found, asked, good))
    by_expression = _sums(good, "expression", "class")
    per_licence: Counter[str] = Counter()
    for expression, rows in by_expression.select("expression", "rows").iter_rows():
        for licence in understood(expression).licences if expression else ():
            per_licence[licence] += rows
    return Obligations(
        chosen.name,
        run.folder.removeprefix("runs/"),
        total,
        by_expression.to_dicts(),
        _sums(good, "class").to_dicts(),
        _asked(by_expression),
        _sums(good, "scope").to_dicts(),
        _sums(good.with_columns(pl.col("confidence").round(3)), "confidence").sort("confidence", descending=True).to_dicts(),
        [*_whole(by_expression), *_within(good), *sorted(_between(per_licence), key=lambda one: -one.rows - one.other_rows)],
        total - seen,
        seen - fine,
        gathering(chosen.name, name) if seen < total else "",
    )


def _counted(run: Run, chosen: Selected, name: str | None) -> pl.DataFrame:
    keys = [*_KEYS, "error", "measured"]
    schema: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(_KEYS, pl.String),
        "confidence": pl.Float32,
        "error": pl.String,
        "measured": pl.Boolean,
        "rows": pl.UInt32,
    }
    counts = [pl.DataFrame(schema=schema)]
    for batch in batches(run, chosen, _KEYS, signal=name):
        counts.append(batch.frame.group_by(keys).len(name="rows").cast(pl.Schema(schema)).select(list(schema)))  # noqa: PERF401  a batch at a time
    return pl.concat(counts).group_by(keys).agg(pl.col("rows").cast(pl.Int64).sum())


def _sums(found: pl.DataFrame, *by: str) -> pl.DataFrame:
    return found.group_by(by).agg(pl.col("rows").sum()).sort("rows", *by, descending=[True, *(False for _ in by)])


def _asked(declared: pl.DataFrame) -> list[dict[str, Any]]:
    """Obligations in the table's order: rows that bring each, and the licences that say so."""
    rows: Counter[str] = Counter()
    by_licence: dict[str, Counter[str]] = {}
    for expression, many in declared.select("expression", "rows").iter_rows():
        read = understood(expression) if expression else None
        for obligation in read.obligations if read else ():
            rows[obligation] += many
        for licence, asked in read.asks.items() if read else ():
            for one in asked:
                by_licence.setdefault(one.obligation, Counter())[licence] += many
    places = {(one.obligation, licence): one for counts in by_licence.values() for licence in counts for one in asks(licence)}
    return [
        {
            "obligation": name,
            "says": says,
            "rows": rows[name],
            "licences": [
                {"licence": licence, "rows": many, "where": places[name, licence].where, "source": places[name, licence].source}
                for licence, many in by_licence[name].most_common()
            ],
        }
        for name, says in table().obligations.items()
        if rows[name]
    ]


def _within(good: pl.DataFrame) -> Iterator[Conflict]:
    """Rows whose own places disagree, and on what that weighs most."""
    for text, rows in _sums(good.filter(pl.col("conflict").is_not_null()), "conflict").iter_rows():
        said = [understood(one).obligations for one in text.split(", ")]
        differ = [name for name in table().obligations if name in _WEIGHTY and len({name in each for each in said}) > 1]
        why = "places of a row differ" + (f"; only some of them ask {', '.join(differ)}" if differ else "")
        yield Conflict("rows", text, "", rows, 0, why)


def _between(licences: Counter[str]) -> Iterator[Conflict]:
    """Pairs of licences that one adaptation cannot follow both."""
    for one, other in combinations(sorted(licences), 2):
        pair = licences[one], licences[other]
        ends, others = reachable(one), reachable(other)
        if ends is not None and others is not None:
            if not ends & others:
                why = f"{_ADAPTED} would have to be passed on under each of them, and they lead to no common licence"
                yield Conflict("share-alike", one, other, *pair, why, _source_of(one))
            continue
        for alike, limited, reach in ((one, other, ends), (other, one, others)):
            if reach is not None and _forbids(limited, "no-commercial") and not any(_forbids(end, "no-commercial") for end in reach):
                why = f"{_ADAPTED} would be under {alike}, which admits no further restriction, and {limited} forbids commercial use"
                yield Conflict("limits", alike, limited, licences[alike], licences[limited], why, _SA_SOURCE)
        for known in table().pairs:
            for first, second in ((one, other), (other, one)):
                if _among(first, known.one) and _among(second, known.other):
                    yield Conflict("terms", first, second, licences[first], licences[second], f"{first}: {known.why}", known.source)


def _whole(declared: pl.DataFrame) -> Iterator[Conflict]:
    """What some rows forbid binds whoever passes the whole on, whatever the others permit."""
    read = [
        (understood(expression).obligations if expression else frozenset(), rows)
        for expression, rows in declared.select("expression", "rows").iter_rows()
    ]
    total = sum(rows for _, rows in read)
    kinds = {
        "commercial": (
            "no-commercial",
            "some rows forbid commercial use and the others do not: the whole can claim no licence that permits it",
        ),
        "no-derivatives": ("no-derivatives", "adaptations of some rows may not be passed on, alone or with others"),
        "permission": ("permission", "some rows declare that nothing is granted: no licence of the whole can cover them"),
    }
    for kind, (obligation, why) in kinds.items():
        bound = sum(rows for asked, rows in read if obligation in asked)
        if bound:
            yield Conflict(kind, f"rows that ask {obligation}", "the others", bound, total - bound, why)


def _forbids(licence: str, obligation: str) -> bool:
    return any(one.obligation == obligation for one in asks(licence))


def _among(licence: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(licence, pattern) for pattern in patterns)


def _source_of(licence: str) -> str:
    known = table().into.get(licence)
    return known.source if known else _SA_SOURCE if CC.fullmatch(licence) else ""
