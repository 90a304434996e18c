"""The rule that mixes sources in given shares."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic import Field, model_validator

from curate.amounts import Count, Seed, Share, size
from curate.shape import Strict, Unfit
from curate.yaml_source import At


@dataclass(frozen=True)
class Mix:
    """Keeps rows drawn by chance from each source named, so that each has its share of all rows kept, or of all their tokens.

    As many as `count` (rows) or `tokens` allow, and as the scarcest source allows: shares are kept, nothing is repeated. A source's rows
    come in the order of h(random, seed, uid). Rows of other sources are dropped.
    """

    by: str
    shares: tuple[tuple[str, Fraction], ...]
    limit: int | None
    of: str | None
    seed: int

    class Keys(Strict):
        """Mix sources in given shares."""

        mix: dict[str, Share] = Field(min_length=1, description="the share of each source, 1 together: {web: 0.7, books: 0.3}")
        by: str = Field(description="the column that names a row's source, such as pool.source")
        count: Count | None = Field(None, description="rows at most")
        tokens: Count | None = Field(None, description="tokens at most; needs `of`")
        of: str | None = Field(None, description="the column that counts a row's tokens: shares are of tokens then, not of rows")
        seed: Seed = Field(description="the draw; another seed is another draw")

        @model_validator(mode="after")
        def _whole(self) -> "Mix.Keys":
            together = sum(self.mix.values(), Fraction(0))
            if together != 1 or not all(self.mix.values()):
                what = f"the shares of a mix are above 0 and make 1 together, not {size(together, None)}"
                raise Unfit(what, "change the shares, or leave out what shall have none")
            if self.tokens is not None and self.of is None:
                raise Unfit("tokens needs the column that counts them: of: token_count.tokens", "add `of: ...`")
            if self.count is not None and self.of is not None:
                raise Unfit("count is of rows; with `of` say tokens", "write tokens instead of count, or remove `of`")
            return self

    @classmethod
    def made(cls, keys: "Mix.Keys", at: At) -> "Mix":  # noqa: ARG003  every rule is made alike
        """From a recipe's keys."""
        limit = keys.count if keys.of is None else keys.tokens
        return cls(keys.by, tuple(sorted(keys.mix.items())), limit, keys.of, keys.seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that names sources, and the one that counts tokens."""
        return (self.by,) if self.of is None else (self.by, self.of)

    @property
    def text(self) -> str:
        """One line for people."""
        shares = ", ".join(f"{name} {size(part, None)}" for name, part in self.shares)
        unit = "rows" if self.of is None else f"tokens of {self.of}"
        limit = "as many as there are" if self.limit is None else f"at most {self.limit:,}"
        return f"mix {shares} by {self.by}, {limit} {unit}, seed {self.seed}"

    def canonical(self) -> dict[str, Any]:
        """JSON-able identity."""
        shares = {name: str(part) for name, part in self.shares}
        return {"mix": shares, "by": self.by, "limit": self.limit, "of": self.of, "seed": self.seed}

    def quotas(self, there: dict[str, int]) -> dict[str, int]:
        """How much of each source is kept, of what is there, both in rows or in tokens."""
        scarcest = min(Fraction(there.get(name, 0)) / part for name, part in self.shares)
        together = scarcest if self.limit is None else min(scarcest, Fraction(self.limit))
        return {name: int(part * together) for name, part in self.shares}
