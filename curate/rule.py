"""Rules: data that judge stored evidence and never see rows' content. A new rule is one dataclass here and one entry in RULES."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from curate.amounts import Amount, Count, Seed, Share, canonical_size, quota, size
from curate.balance import Balance
from curate.errors import RecipeError, nearest
from curate.expression import Clause, parse, parse_order
from curate.mix import Mix
from curate.repetition import Repeat, SoftCap
from curate.shape import Strict, Unfit, validated
from curate.yaml_source import At, Spot, Text

NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"


@dataclass(frozen=True)
class Expr:
    """Keeps the rows for which every clause is true; the first that is not is the reason."""

    clauses: tuple[Clause, ...]
    text: str = field(compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Evidence it asks, in order of first use."""
        return tuple(dict.fromkeys(column for clause in self.clauses for column in clause.columns))

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity: the clauses in order, without their spelling."""
        return {"expr": [clause.canonical() for clause in self.clauses]}


@dataclass(frozen=True)
class Top:
    """Keeps the n first rows by one column, of those that have a value there; ties by hashed uid, or all kept (`ties_keep`).

    With `tokens`: as many of the first rows as have no more tokens together, as the column `of` counts them. After a rule that repeats,
    rows count once each, whatever their copies; so they do in every rule.
    """

    column: str
    ascending: bool
    fraction: Fraction | None
    count: int | None
    ties_keep: bool
    tokens: int | None = None
    of: str | None = None

    class Keys(Strict):
        """Keep the rows that come first by one column."""

        top: str = Field(description="signal.column, then asc (smallest first) or desc; desc unless given")
        fraction: Share | None = Field(None, description="share of the rows that enter with a value, rounded down: 0.3 or 1/3")
        count: Count | None = Field(None, description="number of rows")
        tokens: Count | None = Field(None, description="as many of the first rows as have no more tokens together; needs `of`")
        of: str | None = Field(None, description="the column that counts a row's tokens, such as token_count.tokens")
        ties: Literal["uid", "keep"] = Field(
            "uid", description="uid: exactly n rows, ties by hashed uid; keep: also every row equal to the last one"
        )

        @model_validator(mode="after")
        def _onesize(self) -> "Top.Keys":
            if sum(size is not None for size in (self.fraction, self.count, self.tokens)) != 1:
                raise Unfit("top needs one of fraction, count and tokens", "keep one of them, such as fraction: 0.3")
            if (self.tokens is None) != (self.of is None):
                raise Unfit("tokens and of go together: tokens: 1000000, of: token_count.tokens", "add the other, or remove this one")
            if self.tokens is not None and self.ties == "keep":
                raise Unfit("ties: keep goes with fraction or count", "remove `ties: keep`, or give fraction or count")
            return self

    @classmethod
    def made(cls, keys: "Top.Keys", at: At) -> "Top":
        """From a recipe's keys."""
        column, ascending = _order(keys.top, at(("top",)))
        return cls(column, ascending, keys.fraction, keys.count, keys.ties == "keep", keys.tokens, keys.of)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column it ranks by, and the one that counts tokens."""
        return (self.column,) if self.of is None or self.of == self.column else (self.column, self.of)

    @property
    def text(self) -> str:
        """One line for people."""
        ties = ", ties kept" if self.ties_keep else ""
        if self.of is not None:
            return f"top {self.tokens:,} tokens of {self.of} by {self.column} {_direction(self.ascending)}"
        return f"top {size(self.fraction, self.count)} by {self.column} {_direction(self.ascending)}{ties}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        ties = "keep" if self.ties_keep else "uid"
        if self.of is not None:
            return {"top": [self.column, _direction(self.ascending)], "tokens": self.tokens, "of": self.of}
        return {"top": [self.column, _direction(self.ascending)], **canonical_size(self.fraction, self.count), "ties": ties}

    def quota(self, entering: int) -> int:
        """How many of `entering` rows with a value it keeps, ties aside."""
        return quota(self.fraction, self.count, entering)


@dataclass(frozen=True)
class OnePer:
    """Keeps one row of each group of duplicates: the first by `prefer`, last tie by uid; none where a row of the pool `against` is one."""

    grouping: str
    prefer: tuple[tuple[str, bool], ...]
    keeper: Literal["direct", "components"]
    against: str | None = None

    class Keys(Strict):
        """Keep one row of each group of duplicates."""

        one_per: str = Field(pattern=NAME, description="a grouping: a filter's name, or one given under `signals`")
        prefer: list[str] = Field(
            default_factory=list,
            description="which row stays: signal.column, then asc (smallest or first class first) or desc; desc unless given",
        )
        keeper: Literal["direct", "components"] = Field(
            "direct",
            description="direct: a row leaves only for a kept row that it is itself similar to; components: one per chain of similar rows",
        )
        against: str | None = Field(
            None, description="an earlier pool, or an exported subset: its rows are preferred to all others, and stay what they are"
        )

    @classmethod
    def made(cls, keys: "OnePer.Keys", at: At) -> "OnePer":
        """From a recipe's keys."""
        prefer = tuple(_order(text, at(("prefer", n))) for n, text in enumerate(keys.prefer))
        return cls(keys.one_per, prefer, keys.keeper, keys.against)

    @property
    def columns(self) -> tuple[str, ...]:
        """The evidence that orders rows by preference."""
        return tuple(dict.fromkeys(column for column, _ in self.prefer))

    @property
    def text(self) -> str:
        """One line for people."""
        order = ", ".join(f"{column} {_direction(ascending)}" for column, ascending in self.prefer) or "uid"
        against = f", against {self.against}" if self.against else ""
        return f"one per {self.grouping}, preferring {order}{', whole components' if self.keeper == 'components' else ''}{against}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        how = {"one_per": self.grouping, "prefer": [[column, _direction(up)] for column, up in self.prefer], "keeper": self.keeper}
        return {**how, "against": self.against} if self.against else how


@dataclass(frozen=True)
class Random:
    """Keeps the n rows of smallest h(random, seed, uid)."""

    fraction: Fraction | None
    count: int | None
    seed: int

    class Keys(Strict):
        """Keep rows drawn by chance, the same for the same seed."""

        random: Amount = Field(description="a whole number is a count of rows; with a dot or a slash a share, rounded down: 0.3 or 1/3")
        seed: Seed = Field(description="the draw; another seed is another draw")

    @classmethod
    def made(cls, keys: "Random.Keys", at: At) -> "Random":  # noqa: ARG003  every rule is made alike
        """From a recipe's keys."""
        counted = isinstance(keys.random, int)
        return cls(None if counted else Fraction(keys.random), int(keys.random) if counted else None, keys.seed)

    columns: ClassVar[tuple[str, ...]] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        return f"random {size(self.fraction, self.count)}, seed {self.seed}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        return {"random": canonical_size(self.fraction, self.count), "seed": self.seed}

    def quota(self, entering: int) -> int:
        """How many of `entering` rows it keeps."""
        return quota(self.fraction, self.count, entering)


Keyed = Top | OnePer | Random | Mix | Balance | Repeat | SoftCap
Rule = Expr | Keyed
RULES: dict[str, type[Keyed]] = {
    "top": Top, "one_per": OnePer, "random": Random, "mix": Mix, "balance": Balance, "repeat": Repeat, "soft_cap": SoftCap
}  # fmt: skip


def parse_rule(value: Any, *, where: str, at: At | None = None) -> Rule:
    """The rule that a recipe's `keep` says: text is an expression, a mapping's first key names the rule.

    `where` is the place of the value, `at` that of the values inside it. RecipeError for everything that is no rule.
    """
    if isinstance(value, str):
        starts = value.starts if isinstance(value, Text) else ()
        return Expr(parse(value, **_place(where), starts=starts), value.strip())
    if not isinstance(value, Mapping) or not value:
        fix = f"write an expression, or a mapping whose first key is one of: {', '.join(RULES)}"
        raise RecipeError(f"no rule: {value!r}", where=where, fix=fix)
    inner = at or _Everywhere(where)
    first = str(next(iter(value)))
    if first not in RULES:
        later = next((str(key) for key in value if key in RULES), "")
        known = f"{nearest(first, RULES)} The rules are an expression, {', '.join(RULES)}"
        fix = f"the first key names the rule: write {later} first" if later else known
        raise RecipeError(f"unknown rule {first}", where=inner((first,), key=True), fix=fix)
    kind = RULES[first]
    return kind.made(validated(kind.Keys, dict(value), inner), inner)  # type: ignore[arg-type]  # each kind goes with its own Keys


def rule_schema() -> dict[str, Any]:
    """JSON Schema of everything `parse_rule` reads."""
    text = {"type": "string", "description": "an expression on one row's evidence, such as: language.code == 'en' and language.prob >= 0.8"}
    return {"anyOf": [text, *({**kind.Keys.model_json_schema(), "title": name} for name, kind in RULES.items())]}


@dataclass(frozen=True)
class _Everywhere:
    where: str

    def __call__(self, spot: Spot, *, key: bool = False) -> str:  # noqa: ARG002  one place for all
        return self.where


def _place(where: str) -> dict[str, Any]:
    found = re.fullmatch(r"(.*):(\d+):(\d+)", where, re.DOTALL)
    return {"where": found[1], "line": int(found[2]), "column": int(found[3])} if found else {"where": where}


def _order(text: str, where: str) -> tuple[str, bool]:
    return parse_order(text, **_place(where))


def _direction(ascending: bool) -> str:
    return "asc" if ascending else "desc"
