"""The shapes of a recipe's mappings: pydantic models whose first error is a RecipeError at its place."""

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import RecipeError, nearest
from curate.yaml_source import At, Spot


class Strict(BaseModel):
    """A mapping with known keys only, and no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Shape = TypeVar("Shape", bound=BaseModel)


class Unfit(ValueError):
    """What a validator of such a model says of a value, and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        """Both go into the RecipeError."""
        super().__init__(what)
        self.fix = fix


def validated(shape: type[Shape], value: Any, at: At) -> Shape:
    """The value as a pydantic model; its first error as a RecipeError at file:line:column, with the nearest name for an unknown key."""
    try:
        return shape.model_validate(value)
    except ValidationError as failure:
        first = _first(failure)
    spot = _spot_of(first, value)
    name = ".".join(map(str, spot))
    if first["type"] == "extra_forbidden":
        what, fix = f"unknown key {spot[-1]}", nearest(str(spot[-1]), _fields(shape, spot))
        raise RecipeError(what, where=at(spot, key=True), fix=fix)
    if first["type"] == "missing":
        around = ".".join(map(str, spot[:-1])) or "this"
        raise RecipeError(f"{around} needs the key {spot[-1]}", where=at(spot[:-1]), fix=f"add `{spot[-1]}: ...`")
    if first["loc"][-1:] == ("[key]",):
        fix = "letters, digits, _ and -, beginning with a letter or _"
        raise RecipeError(f"{spot[-1]!r} is no name", where=at(spot, key=True), fix=fix)
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
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


def _fields(shape: type[BaseModel], spot: Spot) -> list[str]:
    """The known keys of the mapping that holds `spot`."""
    for part in spot[:-1]:
        known = shape.model_fields.get(str(part))
        shape = (_shape_in(known.annotation) if known else None) or shape
    return list(shape.model_fields)


def _shape_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_shape_in(part) for part in get_args(annotation)]
    return next((shape for shape in found if shape), None)
