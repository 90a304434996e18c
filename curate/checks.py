"""Whether the columns that a rule names are of a kind that it can judge."""

from collections.abc import Callable, Collection, Iterator, Mapping

import polars as pl

from curate.balance import Balance
from curate.errors import RecipeError, nearest
from curate.mix import Mix
from curate.repetition import SoftCap
from curate.rule import Expr, OnePer, Rule, Top

Fits = Callable[[pl.DataType], bool]


def check_columns(rule: Rule, dtypes: Mapping[str, pl.DataType], vectors: Collection[str], where: str) -> None:
    """RecipeError, with the columns that would do, for a column that is not there or that the rule cannot judge; `vectors` are Binary
    columns that hold embeddings, not entries."""
    if isinstance(rule, Expr):
        for clause in rule.clauses:
            clause.check(dtypes)
    for column in rule.columns:
        if column not in dtypes:
            raise RecipeError(f"unknown column {column}", where=where, fix=nearest(column, dtypes))
    barred = vectors if isinstance(rule, Balance) else ()
    for column, needs, fits in _needs(rule):
        if column in barred or not fits(dtypes[column]):
            fitting = [name for name, dtype in dtypes.items() if fits(dtype) and name not in barred]
            mates = [name for name in fitting if name.rsplit(".", 1)[0] == column.rsplit(".", 1)[0]]
            fix = f"choose from: {', '.join(mates or fitting) or 'none'}"
            raise RecipeError(f"{needs}; {column} is {dtypes[column]}", where=where, fix=fix)


def _needs(rule: Rule) -> Iterator[tuple[str, str, Fits]]:
    """Each column of a rule whose kind matters: what the rule needs there, and whether a kind is that."""
    if isinstance(rule, Top):
        yield rule.column, "top needs numbers", lambda dtype: dtype.is_numeric()
    if isinstance(rule, SoftCap):
        yield rule.column, "soft_cap needs numbers", lambda dtype: dtype.is_numeric()
    if isinstance(rule, Top | Mix) and rule.of is not None:
        yield rule.of, "tokens are counted by whole numbers from 0", lambda dtype: dtype.is_unsigned_integer()
    if isinstance(rule, Mix):
        yield rule.by, "mix needs a column of names", lambda dtype: isinstance(dtype, pl.String | pl.Enum)
    if isinstance(rule, Balance):
        yield rule.column, "balance needs entries or names", lambda dtype: isinstance(dtype, pl.String | pl.Enum | pl.Binary)
    if isinstance(rule, OnePer):
        for column in rule.columns:
            yield column, "prefer needs what can be ordered", lambda dtype: not dtype.is_nested() and dtype != pl.Binary
