"""A subset's rows held against a policy: masks over columns, a hundred thousand rows at a time."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.audit import original_of
from curate.errors import CeterisError, RecipeError, nearest
from curate.layouts import GENERIC
from curate.record import Run, Selected
from pipelines.provenance.declared import Batch, batches, column_named, gathering, signal_of
from pipelines.provenance.fate import barred_of
from pipelines.provenance.policy import SCOPES, Checked, Offence, Policy

FIRST = 12
_OFFENCE = pa.schema([("uid", pa.string()), ("shard", pa.string()), ("row", pa.uint64()), ("clause", pa.string()), ("value", pa.string())])
_SAYS = {
    "evidence": "no evidence: nobody asked for this row's licence, or it could not be read",
    "absent": "no licence is declared",
    "conflicts": "places of the row declare different licences",
    "licences.refuse": "a refused licence is declared",
    "classes.refuse": "the declared licence is of a refused class",
    "licences.allow": "the declared licence is not among the allowed",
    "classes.allow": "the declared licence is of no allowed class",
    "scope": "the declaration speaks of more than the row",
    "confidence": "the evidence is less sure than asked",
}
_Clause = tuple[str, pl.Expr, pl.Expr]
"""Its name, which rows offend, and the value that does."""


def check(chosen: Selected, policy: Policy, *, out: Path | None = None, first: int = FIRST) -> Checked:
    """Hold every row of a subset against a policy; `out`, a new Parquet file, takes every offence: uid, shard, row, clause, value.

    RecipeError, at its place in the policy, for a column or role that nothing here has.
    """
    if out is not None and out.exists():
        raise CeterisError("there is a file already", where=str(out), fix="name another file for --out")
    run, keys = chosen.run, policy.keys
    signal = signal_of(run, keys.evidence)
    evidence, own = _columns(chosen, policy, signal)
    clauses = [*_licence(policy), *_opt_outs(policy), *_required(policy, chosen)]
    counts, noted, shown, rows, offending = Counter[str](), Counter[str](), list[dict[str, Any]](), 0, 0
    with _Written(out) as written:
        for batch in batches(run, chosen, evidence, signal=signal, roles=keys.required, own=own):
            frame = _judged(batch.frame, policy)
            masks = frame.select(mask.fill_null(False).alias(name) for name, mask, _ in clauses)
            rows += frame.height
            noted += Counter({name: int(masks[name].sum()) for name in _noted(policy)})
            masks = masks.drop(_noted(policy))
            some = masks.select(pl.any_horizontal(pl.all())).to_series()
            offending += int(some.sum())
            counts += Counter({name: int(masks[name].sum()) for name in masks.columns})
            if some.any() and (out is not None or len(shown) < first):
                limit = None if out is not None else first - len(shown)
                found = _offences(batch, frame, masks, clauses, limit)
                shown += found.head(first - len(shown)).to_dicts()
                written.add(found)
    shown = _told(run, shown)
    offences = [Offence(name, _says(name), policy.at(name), counts[name]) for name, _, _ in clauses if counts[name]]
    fix = gathering(chosen.name, signal) if counts["evidence"] else ""
    kept = {name: many for name, many in noted.items() if many}
    where = policy.source.at(()).rsplit(":", 2)[0]
    return Checked(
        chosen.name, run.folder.removeprefix("runs/"), where, rows, offending, offences, shown, kept, str(out) if out else None, fix
    )


def _told(run: Run, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Offences to show: uid, `original` as the pool writes it (not of rows that are restricted or were taken down), clause, value."""
    starts, offset = dict[str, int](), 0
    for shard in run.pool.shards:
        starts[shard.path], offset = offset, offset + shard.rows
    barred, found = set(barred_of(run).tolist() if shown else ()), []
    for one in shown:
        number = starts[one["shard"]] + one["row"]
        own = {} if number in barred else original_of(run, number)
        found.append({"uid": one["uid"], **own, "clause": one["clause"], "value": one["value"]})
    return found


def _says(clause: str) -> str:
    first, _, rest = clause.partition(".")
    return _SAYS.get(clause) or (f"{rest} opts out" if first == "opt_outs" else f"the role {rest} is empty")


def _noted(policy: Policy) -> list[str]:
    return [name for name in ("absent", "conflicts") if getattr(policy.keys, name) == "note"]


def _columns(chosen: Selected, policy: Policy, signal: str | None) -> tuple[list[str], list[str]]:
    """Columns of evidence and of the pool that the policy asks for."""
    evidence, own = ["expression", "class", "scope", "confidence", "conflict"], list[str]()
    for name in policy.keys.opt_outs:
        try:
            whose, column = column_named(chosen.run, name, signal)
        except CeterisError as error:
            raise RecipeError(error.what, where=policy.source.at(("opt_outs", name), key=True), fix=error.fix) from error
        (own if whose == "pool" else evidence).append(column)
    known = {*GENERIC, *chosen.run.pool.roles}
    for number, role in enumerate(policy.keys.required):
        if role not in known:
            raise RecipeError(f"no pool has a role {role}", where=policy.source.at(("required", number)), fix=nearest(role, known))
    return evidence, own


def _judged(frame: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The frame with `judged`: the clause by which a row's declared licence is refused, each different one judged once."""
    kinds = frame.select("expression", "class").unique().drop_nulls()
    clauses = [policy.refusal(expression, kind) for expression, kind in kinds.iter_rows()]
    table = kinds.with_columns(judged=pl.Series(clauses, dtype=pl.String))
    return frame.join(table, on=["expression", "class"], how="left", maintain_order="left")


def _licence(policy: Policy) -> Iterator[_Clause]:
    """The clauses on what is declared; each of rows that have evidence, but the first."""
    read = pl.col("measured") & pl.col("error").is_null()
    declared = read & pl.col("expression").is_not_null()
    yield "evidence", ~read, pl.coalesce(pl.col("error"), pl.lit("not gathered"))
    yield "absent", read & pl.col("expression").is_null(), pl.lit("none declared")
    yield "conflicts", declared & pl.col("conflict").is_not_null(), pl.col("conflict")
    value = pl.format("{} ({})", "expression", "class")
    for name in ("licences.refuse", "classes.refuse", "licences.allow", "classes.allow"):
        yield name, declared & (pl.col("judged") == name), value
    least, sure = SCOPES.index(policy.keys.scope), policy.keys.confidence
    if least < len(SCOPES) - 1:
        yield "scope", declared & ~pl.col("scope").is_in(SCOPES[: least + 1]).fill_null(False), pl.col("scope").fill_null("unsaid")
    if sure > 0:
        # A Float32 is compared with the least Float32 that is meant.
        yield (
            "confidence",
            declared & (pl.col("confidence").fill_null(0) < pl.lit(np.float32(sure), pl.Float32)),
            pl.col("confidence").round(3),
        )


def _opt_outs(policy: Policy) -> Iterator[_Clause]:
    for name, said in policy.keys.opt_outs.items():
        where = policy.source.at(("opt_outs", name))
        values = said if isinstance(said, list) else [said]
        if not values or any(not isinstance(value, str | bool | int | float | None) for value in values):
            raise RecipeError(f"opt_outs.{name} names no value", where=where, fix="give the value that opts out, or a list of such values")
        column = pl.col(name if name.startswith("pool.") else name.rsplit(".", 1)[1])
        yield f"opt_outs.{name}", pl.any_horizontal(_is(column, value) for value in values), column.cast(pl.String).fill_null("unsaid")


def _is(column: pl.Expr, value: Any) -> pl.Expr:
    """Whether a column says a value; a text says each of its words between commas, semicolons and spaces, in any case."""
    text = column.cast(pl.String).str.to_lowercase()
    if value is None:
        return column.is_null()
    if isinstance(value, str):
        return text.str.contains(rf"(?:^|[,;\s]){re.escape(value.strip().lower())}(?:$|[,;\s])").fill_null(False)
    if isinstance(value, bool):
        return (text == str(value).lower()).fill_null(False)
    return (column.cast(pl.Float64, strict=False) == float(value)).fill_null(False)


def _required(policy: Policy, chosen: Selected) -> Iterator[_Clause]:
    for role in policy.keys.required:
        held = role in chosen.run.pool.roles
        empty = pl.col(f"role.{role}").str.strip_chars().fill_null("") == "" if held else pl.lit(True)
        yield f"required.{role}", empty & pl.col("measured").is_not_null(), pl.lit("empty" if held else "the pool has no such role")


def _offences(batch: Batch, frame: pl.DataFrame, masks: pl.DataFrame, clauses: Iterable[_Clause], limit: int | None) -> pl.DataFrame:
    """Offences of a batch in order of rows and clauses; with a limit, at least the first so many."""
    found = []
    for number, (name, _, value) in enumerate(clauses):
        if name in masks.columns and masks[name].any():
            where = np.flatnonzero(masks[name].to_numpy())[:limit]
            values = frame[where].select(value.cast(pl.String).alias("value")).to_series()
            values = values if len(values) == where.size else values.new_from_index(0, where.size)
            found.append(pl.DataFrame({"at": where, "order": number, "clause": name, "value": values}))
    whole = pl.concat(found).sort("at", "order")
    whole = whole if limit is None else whole.head(limit)
    at = whole["at"].to_numpy()
    return whole.with_columns(
        uid=pl.Series(batch.hex_of(at), dtype=pl.String), shard=pl.lit(batch.shard), row=pl.Series(batch.rows[at].astype(np.uint64))
    ).select(_OFFENCE.names)


class _Written:
    """The file of all offences, there whole or not at all."""

    def __init__(self, out: Path | None) -> None:
        self.out, self.attempt = out, out and out.with_name(f".{out.name}.part")

    def __enter__(self) -> "_Written":
        try:
            self.writer = pq.ParquetWriter(self.attempt, _OFFENCE, compression="zstd", write_page_checksum=True) if self.attempt else None
        except OSError as error:
            raise CeterisError(f"cannot write there: {error.strerror}", where=str(self.out), fix="name a file that can be made") from error
        return self

    def add(self, found: pl.DataFrame) -> None:
        if self.writer is not None:
            self.writer.write_table(found.to_arrow().cast(_OFFENCE))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.writer is None or self.attempt is None or self.out is None:
            return
        self.writer.close()
        self.attempt.unlink() if kind else self.attempt.replace(self.out)
