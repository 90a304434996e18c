"""What pools call their columns: one ordered table of layouts, and the recognition of a pool's layout and roles."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from curate.errors import PoolError

SCALARS: dict[str, pl.DataType] = {
    **{dtype.__name__: dtype() for dtype in (pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)},
    **{dtype.__name__: dtype() for dtype in (pl.Float32, pl.Float64, pl.String, pl.Date)},
    "Datetime": pl.Datetime("us"),
    "Datetime UTC": pl.Datetime("us", "UTC"),
}
"""The kinds of column that rules may use, and the dtype each is offered as."""

NULL, BYTES, IMAGE = "Null", "bytes", "image"
"""Kinds that are no `pool.` column: all null, raw bytes, and Hugging Face's struct{bytes, path}. Any other kind reads `nested ...`, but for
`vector of 768`: so many floats a row, offered as Binary (little-endian float16) to what reads evidence, never to rules."""

GENERIC: dict[str, tuple[str, ...]] = {
    "uid": ("uid",),
    "text": ("text", "caption"),
    "image": ("image", "jpg"),
    "url": ("url",),
    "license": ("license", "licence"),
    "license_url": ("license_url", "licence_url", "licenseurl"),
    "source": ("source",),
    "html": ("html", "raw_html"),
    "headers": ("headers", "http_headers", "response_headers"),
    "observed": ("observed", "crawl_date", "fetch_time", "warc_date"),
    "caption_source": ("caption_source", "caption_type", "captioner"),
    "face_boxes": ("face_boxes", "face_bboxes"),
}
"""Role -> names that mean it in any layout, in any case. alt_text, caption_fr and the like are `pool.` columns, never candidates."""

LIKE_UID = ("id", "_id", "doc_id", "docid", "document_id", "row_id", "sample_id", "record_id", "guid", "uuid", "identifier")
"""Names that may be a uid, in any case: whoever opens a pool is told of them. They are no candidates, since they may repeat."""


class Layout(NamedTuple):
    """One way the field writes pools. `roles` are its own names, which are never ambiguous; `any_of`, where given, must show one name.

    `uid_within` names the column inside whose values alone the uid column is unique. `columns` are further ones that such pools have, with
    their kinds: what can be planned on before there is a pool.
    """

    name: str
    modality: str
    needs: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    roles: Mapping[str, str] = {}
    endings: tuple[str, ...] = ("parquet", "jsonl")
    image: tuple[str, ...] = ()
    uid_within: str | None = None
    columns: Mapping[str, str] = {}


LAYOUTS: tuple[Layout, ...] = (
    Layout("text-folder", "text", ("text", "path"), roles={"text": "text"}, endings=("txt",)),
    Layout("webdataset", "image-text", ("key", "image"), roles={"text": "txt", "image": "image"}, endings=("tar",)),
    Layout("img2dataset", "image-text", ("key", "status"), roles={"text": "caption", "url": "url"}, endings=("parquet",), image=(BYTES,)),
    Layout("huggingface-image-text", "image-text", image=(IMAGE,)),
    Layout("image-text", "image-text", image=(BYTES, "String")),
    Layout(
        "datacomp-commonpool",
        "metadata",
        ("uid", "url", "text"),
        any_of=("original_width", "original_height", "clip_b32_similarity_score", "clip_l14_similarity_score"),
        roles={"uid": "uid", "url": "url", "text": "text"},
        columns={
            **dict.fromkeys(("original_width", "original_height"), "Int64"),
            **dict.fromkeys(("clip_b32_similarity_score", "clip_l14_similarity_score"), "Float32"),
            "sha256": "String",
            **dict.fromkeys(("b32_img", "b32_txt"), "vector of 512"),
            **dict.fromkeys(("l14_img", "l14_txt"), "vector of 768"),
        },
    ),
    Layout("laion", "metadata", ("URL", "TEXT"), roles={"url": "URL", "text": "TEXT", "license": "LICENSE"}),
    Layout(
        "fineweb",
        "text",
        ("id", "text", "url", "dump"),
        any_of=("language", "language_score", "token_count", "file_path"),
        roles={"uid": "id", "text": "text", "url": "url", "observed": "date"},
    ),
    Layout(
        "dolma",
        "text",
        ("id", "text", "source"),
        any_of=("added", "created", "metadata"),
        roles={"uid": "id", "text": "text", "source": "source", "observed": "added"},
        uid_within="source",
    ),
    Layout("dclm", "text", ("text", "url"), roles={"text": "text", "url": "url"}, endings=("jsonl",)),
    Layout("plain-text", "text"),
)
"""In order: the first that fits is the pool's."""


def vector_kind(length: int) -> str:
    """The kind of a column of vectors of so many floats."""
    return f"vector of {length}"


def vector_length(kind: str) -> int | None:
    """How long the vectors of a column of this kind are; None where it has none."""
    return int(kind.removeprefix("vector of ")) if kind.startswith("vector of ") else None


def dtype_of(kind: str) -> pl.DataType | None:
    """What a column of this kind is offered as; None where it is not."""
    return pl.Binary() if kind.startswith("vector of ") else SCALARS.get(kind)


def kind_of(arrow: Any) -> str:
    """The kind of an Arrow type: a key of SCALARS, NULL, BYTES, IMAGE, a vector's where the type states its length, or `nested ...`."""
    if pa.types.is_dictionary(arrow):
        return kind_of(arrow.value_type)
    if pa.types.is_struct(arrow):
        fields = {arrow.field(i).name: kind_of(arrow.field(i).type) for i in range(arrow.num_fields)}
        return IMAGE if fields.get("bytes") == BYTES and fields.get("path", "String") in ("String", NULL) else f"nested {arrow}"
    if pa.types.is_timestamp(arrow):
        return "Datetime UTC" if arrow.tz else "Datetime"
    if pa.types.is_fixed_size_list(arrow) and pa.types.is_floating(arrow.value_type) and arrow.list_size:
        return vector_kind(arrow.list_size)
    for test, kind in _KINDS:
        if test(arrow):
            return kind
    if pa.types.is_integer(arrow):
        return f"{'Int' if pa.types.is_signed_integer(arrow) else 'UInt'}{arrow.bit_width}"
    return f"nested {arrow}"


_KINDS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (pa.types.is_null, NULL),
    (lambda arrow: pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow), "String"),
    (lambda arrow: pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow) or pa.types.is_binary_view(arrow), BYTES),
    (pa.types.is_boolean, "Boolean"),
    (lambda arrow: pa.types.is_float64(arrow) or pa.types.is_decimal(arrow), "Float64"),
    (lambda arrow: pa.types.is_float32(arrow) or pa.types.is_float16(arrow), "Float32"),
    (pa.types.is_date, "Date"),
)


def unify(one: str, other: str) -> str | None:
    """The kind that holds both, None where they drift apart: widths of numbers and all-null columns are no drift."""
    if one == other or other == NULL:
        return one
    if one == NULL:
        return other
    dtypes = [SCALARS.get(one), SCALARS.get(other)]
    if not all(dtype is not None and dtype.is_numeric() for dtype in dtypes):
        return None
    if any(dtype is not None and dtype.is_float() for dtype in dtypes):
        return "Float64"
    return "UInt64" if one.startswith("U") and other.startswith("U") else "Int64"


def recognise(
    ending: str, columns: Mapping[str, str], where: str, layout: str | None = None, overrides: Mapping[str, str] | None = None
) -> tuple[Layout, dict[str, str]]:
    """The layout of a file with these columns (name -> kind), and its roles (role -> column); `where` names the file in errors.

    An override `{role: column}` always wins, and an empty column says that the pool has no such role. PoolError: unknown layout, a layout
    whose columns are not there, an override that names no column, two candidates for one role, no text, a role of an impossible kind.
    """
    overrides = overrides or {}
    for role, column in overrides.items():
        _check_override(role, column, columns, where)
    found = _named(layout, ending, columns, where) if layout else next(each for each in LAYOUTS if _fits(each, ending, columns, overrides))
    roles = {role: column for role, column in found.roles.items() if column in columns}
    for role in GENERIC:
        candidate = None if role in roles or role in overrides else _candidate(role, columns, where)
        if candidate is not None:
            roles[role] = candidate
    roles = {role: column for role, column in {**roles, **overrides}.items() if column}
    if "text" not in roles:
        raise PoolError(f"no text column among {_listed(columns)}", where=where, fix=override_line("text", "COLUMN"))
    for role, column in roles.items():
        _check_kind(role, column, columns[column], where)
    return found, dict(sorted(roles.items()))


def layout_named(name: str) -> Layout:
    """The layout of this name; PoolError with the nearest one if there is none."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    names = [layout.name for layout in LAYOUTS]
    raise PoolError(f"no layout is called {name!r}{nearest(name, names)}", fix="layouts: " + ", ".join(names))


def override_line(role: str, column: str) -> str:
    """How a user says which column is a role, in a recipe and on the command line."""
    return f"write `pool: {{roles: {{{role}: {column}}}}}` in the recipe, or `--role {role}={column}`"


def nearest(name: str, names: Sequence[str]) -> str:
    """`; did you mean ...?`, or nothing where no name is near."""
    close = difflib.get_close_matches(name, names, n=1) or [each for each in names if each.lower() == name.lower()]
    return f"; did you mean {close[0]!r}?" if close else ""


def _fits(layout: Layout, ending: str, columns: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    if ending not in layout.endings or not set(layout.needs) <= set(columns):
        return False
    if layout.any_of and not set(layout.any_of) & set(columns):
        return False
    if not layout.image:
        return True
    named = overrides.get("image")
    if named is not None:
        return columns.get(named) in layout.image
    return any(kind in layout.image for name, kind in columns.items() if name.lower() in GENERIC["image"])


def _named(name: str, ending: str, columns: Mapping[str, str], where: str) -> Layout:
    layout = layout_named(name)
    if ending not in layout.endings:
        what = f"layout {name} is made of {' or '.join(layout.endings)} files"
        raise PoolError(what, where=where, fix="leave the layout out to have it recognised")
    missing = [column for column in layout.needs if column not in columns]
    if missing:
        what = f"layout {name} has columns {_listed(layout.needs)}; missing here: {_listed(missing)}; found {_listed(columns)}"
        raise PoolError(what, where=where, fix="leave the layout out to have it recognised")
    return layout


def _candidate(role: str, columns: Mapping[str, str], where: str) -> str | None:
    candidates = [name for name in columns if name.lower() in GENERIC[role]]
    if role not in ("image", "text"):
        candidates = [name for name in candidates if _possible(role, columns[name])]
    if len(candidates) > 1:
        what = f"{len(candidates)} columns could be the role {role}: {_listed(candidates)}"
        raise PoolError(what, where=where, fix=" (or ".join([override_line(role, candidates[0]), f"{candidates[1]})"]))
    return candidates[0] if candidates else None


def _check_override(role: str, column: str, columns: Mapping[str, str], where: str) -> None:
    if not role.isidentifier():
        raise PoolError(f"{role!r} cannot be a role", where=where, fix="roles are words: " + ", ".join(GENERIC))
    if column and column not in columns:
        what = f"role {role} names the column {column!r}, which is not there{nearest(column, list(columns))}"
        raise PoolError(what, where=where, fix=f"columns: {_listed(columns)}")


def _check_kind(role: str, column: str, kind: str, where: str) -> None:
    if not _possible(role, kind):
        wanted = {"image": "struct{bytes, path}, binary or a path", "face_boxes": "lists of boxes of 4 numbers"}.get(
            role, "text or another scalar"
        )
        what = f"column {column!r} cannot be the role {role}: found {kind}, expected {wanted}"
        raise PoolError(what, where=where, fix=override_line(role, "COLUMN"))


def _possible(role: str, kind: str) -> bool:
    if role == "image":
        return kind in (IMAGE, BYTES, "String", NULL)
    if role == "face_boxes":
        return kind in ("String", NULL) or kind.startswith(("nested list", "nested large_list", "nested JSON"))
    return kind in SCALARS or kind in (BYTES, NULL)


def _listed(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(names) if names else "(none)"
