"""Mistakes in a mapping's keys and values, named at their place with the nearest right name."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field

from curate.errors import RecipeError
from curate.shape import Strict, validated
from curate.yaml_source import read


class Inner(Strict):
    size: int = 1
    share: float = 0.5


class Round(Strict):
    kind: Literal["round"]
    radius: int


class Square(Strict):
    kind: Literal["square"]
    side: int


class Outer(Strict):
    shapes: dict[str, Annotated[Round | Square, Field(discriminator="kind")]] = Field(default_factory=dict)
    name: str
    inner: dict[str, Inner] = Field(default_factory=dict)
    names: list[str] = Field(default_factory=list, max_length=1)


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("name: x\ninner: {a: {sizes: 2}}", "r.yaml:2:13: unknown key sizes", "did you mean size?"),
        ("name: x\nnam: y", "r.yaml:2:1: unknown key nam", "did you mean name?"),
        ("inner: {}", "r.yaml:1:1: this needs the key name", "add `name: ...`"),
        ("name: 7", "r.yaml:1:7: name: should be a valid string", "write a name or a text; in quotes where it looks like a number"),
        (
            "name: x\ninner:\n  a: {size: '2'}",
            "r.yaml:3:14: inner.a.size: should be a valid integer",
            "write a whole number, without a unit or quotes, such as 1000",
        ),
        ("name: x\nshapes: {a: {kind: squere}}", "r.yaml:2:20: shapes.a.kind: there is no squere", "did you mean square?"),
        ("name: x\nshapes: {a: {side: 1}}", "r.yaml:2:13: shapes.a needs the key kind", "add `kind: ...`"),
        ("name: x\nshapes: {a: {kind: square, sid: 1}}", "r.yaml:2:28: unknown key sid", "did you mean side?"),
        ("name: x\nshapes: [a]", "r.yaml:2:9: shapes: should be a mapping", "write a mapping, {key: value}"),
        ("name: x\nnames: [a, b]", "r.yaml:2:8: names: List should have at most 1 item", "leave at most 1"),
    ],
)
def test_shapes_are_checked_with_place_and_nearest_name(text, message, fix):
    source = read(text, where="r.yaml")
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        validated(Outer, source.value, source.at)
    assert raised.value.fix == fix
