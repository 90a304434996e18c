"""What a recipe may say: every key with its type and a line of help. The JSON Schema for editors is made of these."""

from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field, StringConstraints, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from curate.amounts import Share
from curate.rule import NAME, rule_schema
from curate.shape import Strict

Name = Annotated[str, StringConstraints(pattern=NAME)]
Operands = Annotated[list[Name], Field(min_length=2)]
Parts = dict[Name, dict[Name, dict[str, Any]]]


class PoolKeys(Strict):
    """Which pool, and how its columns are meant."""

    path: str = Field(description="folder of the pool's shards, relative to the recipe")
    layout: str | SkipJsonSchema[None] = Field(None, description="recognised when not given")
    roles: dict[str, str] = Field(default_factory=dict, description="role: the pool's column that plays it, where names do not tell")


class StageKeys(Strict):
    """A set of rows: parents, combined, and a rule."""

    after: Name | SkipJsonSchema[None] = Field(None, description="the stage whose rows enter; the whole pool unless given")
    all_of: Operands | SkipJsonSchema[None] = Field(None, description="rows that are in every one of these")
    any_of: Operands | SkipJsonSchema[None] = Field(None, description="rows that are in at least one of these")
    minus: Operands | SkipJsonSchema[None] = Field(None, description="rows of the first that are known to be outside all others")
    keep: Annotated[Any, WithJsonSchema(rule_schema())] = Field(None, description="the rule that entering rows must pass")


class EvaluateKeys(Strict):
    """How subsets are judged."""

    scale: str = Field(description="the frozen training and evaluation set-up")
    seeds: int = Field(ge=1, description="how many trainings of each subset")


class RecipeKeys(Strict):
    """A Ceteris recipe."""

    pool: PoolKeys | SkipJsonSchema[None] = Field(None, description="the pool; --pool overrides it")
    models: Parts = Field(default_factory=dict, description="name: {filter: {parameters}}")
    restricted: Annotated[Any, WithJsonSchema({"type": "string"})] = Field(
        None, description="expression: rows of which it is true (hash-listed illegal material) are seen by nothing else and never shown"
    )
    signals: Parts = Field(
        default_factory=dict,
        description="name: {filter: {parameters}}, for filters that need parameters; a parameter `model` names a model",
    )
    stages: dict[Name, StageKeys] = Field(default_factory=dict, description="name: parents and rule")
    subsets: list[Name] = Field(default_factory=list, description="stages whose rows leave as subsets; `pool` is every row")
    evaluate: EvaluateKeys | SkipJsonSchema[None] = Field(None, description="how subsets are judged")
    errors_at_most: Share = Field(
        default_factory=lambda: Fraction(1, 20), description="share of a stage's rows that may fail to be measured; 0.05 unless given"
    )
