"""The shapes of a recipe's mappings: pydantic models whose first error is a RecipeError at its place."""

import re
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import RecipeError, nearest
from curate.yaml_source import At, Spot


class Strict(BaseModel):
    """A mapping with known keys only, and no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Shape = TypeVar("Shape", bound=BaseModel)


class Unfit(ValueError):
    """What a validator of such a model says of a value, and what to do; `spot` is where in it."""

    def __init__(self, what: str, fix: str, spot: Spot = ()) -> None:
        """All go into the RecipeError."""
        super().__init__(what)
        self.fix, self.spot = fix, spot


def validated(shape: type[Shape], value: Any, at: At) -> Shape:
    """The value as a pydantic model; its first error as a RecipeError at file:line:column, with the nearest name for an unknown key."""
    try:
        return shape.model_validate(value)
    except ValidationError as failure:
        first = _first(failure)
    context = first.get("ctx", {})
    spot = (*_spot_of(first, value), *getattr(context.get("error"), "spot", ()))
    name = ".".join(map(str, spot))
    if first["type"].startswith("union_tag"):
        key, tags = context["discriminator"].strip("'"), _quoted(context.get("expected_tags", ""))
        if first["type"] == "union_tag_not_found":
            raise RecipeError(f"{name or 'this'} needs the key {key}", where=at(spot), fix=f"add `{key}: ...`")
        raise RecipeError(f"{name}.{key}: there is no {context['tag']}", where=at((*spot, key)), fix=nearest(context["tag"], tags))
    if first["type"] == "extra_forbidden":
        what, fix = f"unknown key {spot[-1]}", nearest(str(spot[-1]), _fields(shape, first["loc"]))
        raise RecipeError(what, where=at(spot, key=True), fix=fix)
    if first["type"] == "missing":
        around = ".".join(map(str, spot[:-1])) or "this"
        raise RecipeError(f"{around} needs the key {spot[-1]}", where=at(spot[:-1]), fix=f"add `{spot[-1]}: ...`")
    if first["loc"][-1:] == ("[key]",):
        fix = "letters, digits, _ and -, beginning with a letter or _"
        raise RecipeError(f"{spot[-1]!r} is no name", where=at(spot, key=True), fix=fix)
    mapping = first["type"] in ("dict_type", "model_type")
    message = "should be a mapping" if mapping else str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    raise RecipeError(f"{name}: {message}" if name else message, where=at(spot), fix=_fix(first))


def _first(failure: ValidationError) -> Any:
    """The first error; of a key that is missing where an unknown one stands, that one: it is the key misspelt."""
    errors = failure.errors()
    beside = [one for one in errors if one["type"] == "extra_forbidden" and one["loc"][:-1] == errors[0]["loc"][:-1]]
    return beside[0] if beside and errors[0]["type"] == "missing" else errors[0]


_WRITE = {
    "dict_type": "write a mapping, {{key: value}}",
    "model_type": "write a mapping, {{key: value}}",
    "list_type": "write a list, [a, b]",
    "string_type": "write a name or a text; in quotes where it looks like a number",
    "int_type": "write a whole number, without a unit or quotes, such as 1000",
    "float_type": "write a number, without a unit or quotes, such as 0.5",
    "bool_type": "write true or false",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than": "give less than {lt}",
    "less_than_equal": "give {le} or less",
    "too_short": "name at least {min_length}",
    "too_long": "leave at most {max_length}",
    "literal_error": "write one of {expected}",
}


def _fix(error: Any) -> str:
    """What to write instead."""
    context = error.get("ctx", {})
    if isinstance(said := context.get("error"), Unfit):
        return said.fix
    return _WRITE.get(error["type"], "write what the message asks for").format(**context)


def _spot_of(first: Any, value: Any) -> Spot:
    """The keys and indices of a pydantic error's place, without the names it gives to the branches of a union."""
    spot: list[str | int] = []
    for part in first["loc"]:
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if inside:
            spot.append(part)
            value = value[part]
    return (*spot, first["loc"][-1]) if first["type"] == "missing" else tuple(spot)


def _fields(shape: type[BaseModel], place: Spot) -> list[str]:
    """The known keys of the mapping that holds a pydantic error's place; its parts that are no keys name branches of unions."""
    branches = [shape]
    for part in place[:-1]:
        known = branches[0].model_fields.get(str(part))
        if known:
            branches = _shapes_in(known.annotation) or branches
        else:
            branches = [one for one in branches if _is_branch(one, str(part))] or branches
    return list(branches[0].model_fields)


def _is_branch(shape: type[BaseModel], tag: str) -> bool:
    """Whether a key of the shape can be nothing but the tag."""
    return any(get_args(known.annotation) == (tag,) for known in shape.model_fields.values())


def _shapes_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [shape for part in get_args(annotation) for shape in _shapes_in(part)]


def _quoted(names: str) -> list[str]:
    """The names in a list that pydantic writes."""
    return re.findall("'([^']*)'", names)
