"""The attribution of a subset's rows: title, author, source and declared licence, and what was changed, for every row that asks for it.

As Creative Commons recommends (TASL, https://wiki.creativecommons.org/wiki/Recommended_practices_for_attribution): a title is optional in
version 4.0 and asked for before; the licence is named with its version and address; changes are said. 4.0 asks in 3(a)(1)(B) whether who
shares the work modified it, and to keep what is known of earlier changes: so each row says what an export of Ceteris did to it, and what
the pool's own columns tell of before.
"""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import hex_of, sha256_file
from curate.errors import CeterisError, nearest
from curate.exports.export import name_export, refuse_taken_down
from curate.record import Run, Selected
from pipelines.provenance.declared import batches, signal_of
from pipelines.provenance.restricted import refuse_restricted
from pipelines.provenance.terms import address, spoken, understood

ENDINGS = (".md", ".csv", ".jsonl")
ROLES = ("title", "author", "source", "url")
_CREDIT = {"attribution", "notice", "advertising"}
_RESIZED = ("original_width", "original_height", "width", "height")
_LONGEST = 300  # characters of a title or an author in Markdown; other formats hold all
_INVISIBLE = r"[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+"  # controls, line ends, and what turns the direction of text
_ADDRESS = r"^https?://[^\s<>\"'`\\]+$"
_CHANGES = {
    "redaction": (
        "redacted_rows",
        "personal data in texts (e-mail and public IP addresses, phone, card and account numbers) replaced where there were any",
    ),
    "blurring": ("blurred_images", "marked faces blurred where there were any, and those images encoded again"),
}
"""What an export may change, where it counts what it changed, and how that is said."""
_AS_IT_WAS = "as in the pool, not modified by {}"


@dataclass(frozen=True)
class Attribution:
    """What was written: `rows` that ask for credit or a notice, by `licences` (identifier, rows, name, address); `left_out`, the other rows
    by reason; `unfilled`, how many of the rows written have no title, author, source (a url is one, too) or url; `changes`, what is
    said of all of them, if only that they are as in the pool."""

    subset: str
    run: str
    file: str
    rows: int
    licences: list[dict[str, Any]]
    left_out: dict[str, int]
    unfilled: dict[str, int]
    changes: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


class _Credit(NamedTuple):
    """How an expression is credited: None as `left_out` where it is."""

    left_out: str | None
    licence: str
    addresses: str
    markdown: str


def attribution(
    chosen: Selected,
    out: Path,
    *,
    columns: Mapping[str, str] | None = None,
    exported: Path | None = None,
    changed: Sequence[str] = (),
    signal: str | None = None,
) -> Attribution:
    """Write the file, Markdown, CSV or JSON lines by its ending, a batch of rows at a time; it appears whole or not at all.

    `columns`: columns of the pool that hold title, author, source or url where roles do not say. `exported`: a folder that `curate export`
    wrote, whose changes are said; `changed`: further ones. In Markdown, rows that follow each other and read alike are one line. In CSV,
    a field that a spreadsheet would take for a formula begins with an apostrophe. The file is known to the store as an export is;
    StoreError if rows are taken down meanwhile.
    """
    run, name = chosen.run, signal_of(chosen.run, signal)
    refuse_restricted(run, chosen.name)
    if out.suffix not in ENDINGS:
        raise CeterisError(f"no attribution file ends in {out.suffix or 'nothing'}", where=str(out), fix=f"name it {', '.join(ENDINGS)}")
    if out.exists():
        raise CeterisError("there is a file already", where=str(out), fix="name another")
    if name is None:
        what = "this run has no evidence of licences, so nothing says who is to be credited"
        raise CeterisError(what, where=run.folder, fix="let a rule ask for license.class, and run again")
    own, roles = _places(run, columns or {})
    changes = [*(_of_export(chosen, exported) if exported else ()), *changed]
    changes = changes or [_AS_IT_WAS.format("the export" if exported else "this tool")]
    resized = list(_RESIZED) if set(_RESIZED) <= set(run.pool.columns) else []
    left, by_licence, unfilled, rows = Counter[str](), Counter[str](), Counter[str](), 0
    attempt = out.with_name(f".{out.name}.part")
    try:
        with attempt.open("wb") as sink:
            sink.write(_head(chosen, out.suffix))
            asked = [*own.values(), *(one for one in resized if one not in own.values())]
            for batch in batches(run, chosen, ["expression", "scope", "confidence"], signal=name, roles=roles, own=asked):
                frame = batch.frame.with_columns(pl.Series("uid", hex_of(batch.uids), dtype=pl.String))
                left += Counter(dict(_left_out(frame).iter_rows()))
                frame = _credited(frame, own, roles, changes, bool(resized))
                rows += frame.height
                for expression, many in frame.group_by("expression").len().sort("expression").iter_rows():
                    by_licence += Counter(dict.fromkeys(understood(expression).licences, many))
                empty = frame.select(pl.col(role).fill_null("") == "" for role in ROLES).with_columns(pl.col("source") & pl.col("url"))
                unfilled += Counter({role: int(empty[role].sum()) for role in ROLES})
                sink.write(_written(frame, out.suffix))
            left = Counter(dict(sorted(left.items())))
            sink.write(_foot(rows, left) if out.suffix == ".md" else b"")
        digest = sha256_file(attempt)
        refuse_taken_down(chosen, out)
        attempt.replace(out)
    except OSError as error:
        raise CeterisError(f"cannot write there: {error.strerror or error}", where=str(out), fix="name a file that can be made") from error
    finally:
        attempt.unlink(missing_ok=True)
    named = {"subset": chosen.name, "digest": chosen.digest, "rows": rows, "run": run.folder.removeprefix("runs/"), "layout": "attribution"}
    name_export(chosen, out, named | {"folder": str(out.absolute().parent), "files": {out.name: digest}})
    licences = [{"licence": one, "rows": many, "name": spoken(one), "address": address(one)} for one, many in by_licence.most_common()]
    missing = {role: many for role, many in unfilled.items() if many}
    return Attribution(
        chosen.name, run.folder.removeprefix("runs/"), str(out), rows, licences, {k: v for k, v in left.items() if v}, missing, changes
    )


def _places(run: Run, columns: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Columns of the pool by what they are to say, and the roles that say the rest."""
    for role, column in columns.items():
        if role not in ROLES:
            raise CeterisError(f"an attribution has no {role}", where="--role", fix=nearest(role, ROLES))
        if column not in run.pool.columns:
            what = f"the pool has no column {column} for rows' {role}"
            raise CeterisError(what, where=str(run.pool.root), fix=nearest(column, run.pool.columns))
    return dict(columns), [role for role in ROLES if role not in columns and role in run.pool.roles]


def _of_export(chosen: Selected, folder: Path) -> list[str]:
    """What an export changed, as it recorded it. CeterisError where it is of another subset."""
    about = _recorded(folder)
    if about is None:
        raise CeterisError("no export of Ceteris is here", where=str(folder), fix="name the folder that `curate export` wrote")
    if about.get("digest") != chosen.digest:
        what = f"the export is of another subset: {about.get('subset')} of {about.get('run')}"
        raise CeterisError(
            what, where=str(folder), fix=f"export {chosen.name} of {chosen.run.folder.removeprefix('runs/')}, or name its own subset"
        )
    return [said for key, (counted, said) in _CHANGES.items() if about.get(key) and about.get(counted) != 0]


def _recorded(folder: Path) -> dict[str, Any] | None:
    record, shard = folder / "export.json", next(iter(sorted(folder.glob("*.parquet"))), None)
    try:
        held = record.read_bytes() if record.is_file() else (pq.read_schema(shard).metadata or {}).get(b"ceteris") if shard else None
        found = json.loads(held) if held else None
        if found is not None and not isinstance(found, dict):
            raise ValueError("it is no mapping")
        return found
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CeterisError(f"the export's record cannot be read: {error}", where=str(folder), fix="export again") from error


def _credits(frame: pl.DataFrame) -> pl.DataFrame:
    """Each different expression once, with how it is credited."""
    kinds = frame["expression"].drop_nulls().unique().to_list()
    return pl.DataFrame([(one, *_credit(one)) for one in kinds], schema=["expression", *_Credit._fields], orient="row").cast(pl.String)


def _credit(expression: str) -> _Credit:
    read = understood(expression)
    if not read.obligations & _CREDIT:
        heavy = [reason for reason in ("permission", "unread") if reason in read.obligations]
        why = {
            "permission": "nothing is granted: credit does not make their use allowed",
            "unread": "a licence that the table has not read",
        }
        return _Credit(why[heavy[0]] if heavy else "their licences ask for no credit", "", "", "")
    known = [(spoken(one), address(one)) for one in read.licences]
    shown = [f"[{_escaped(name)}](<{where}>)" if where else _escaped(name) for name, where in known]
    return _Credit(None, " and ".join(name for name, _ in known), " ".join(where for _, where in known if where), " and ".join(shown))


def _escaped(text: str) -> str:
    return pl.select(_plain(pl.lit(text))).item()  # type: ignore[no-any-return]


def _left_out(frame: pl.DataFrame) -> pl.DataFrame:
    why = (
        pl.when(~pl.col("measured") | pl.col("error").is_not_null())
        .then(pl.lit("no evidence of a licence"))
        .when(pl.col("expression").is_null())
        .then(pl.lit("no licence is declared: credit does not make their use allowed"))
        .otherwise("left_out")
    )
    return frame.join(_credits(frame), on="expression", how="left").group_by(why.alias("why")).len().drop_nulls()


def _credited(frame: pl.DataFrame, own: Mapping[str, str], roles: Sequence[str], changes: Sequence[str], resized: bool) -> pl.DataFrame:
    """The rows to be written: uid, title, author, source, url, licence, addresses, changes, scope, confidence."""
    frame = frame.join(_credits(frame), on="expression", how="inner", maintain_order="left").filter(pl.col("left_out").is_null())
    said = {role: pl.col(f"pool.{column}") for role, column in own.items()} | {role: pl.col(f"role.{role}") for role in roles}
    texts = [said.get(role, pl.lit(None)).cast(pl.String).str.strip_chars().alias(role) for role in ROLES]
    change = pl.lit("; ".join(changes))
    if resized:
        sizes = [pl.col(f"pool.{name}") for name in _RESIZED]
        other = (sizes[0] != sizes[2]) | (sizes[1] != sizes[3])
        told = pl.format("image resized from {} x {} to {} x {} before it came into the pool; ", *sizes)
        change = pl.when(other.fill_null(False)).then(pl.concat_str(told, change)).otherwise(change)
    return frame.select(
        "uid", *texts, "expression", "licence", licence_address="addresses", changes=change, scope="scope",
        confidence=pl.col("confidence").cast(pl.Float64).round(3), markdown="markdown",
    )  # fmt: skip


def _plain(text: pl.Expr) -> pl.Expr:
    """Text as Markdown that means nothing but its characters, on one line."""
    short = text.str.replace_all(_INVISIBLE, " ").str.strip_chars()
    cut = pl.when(short.str.len_chars() > _LONGEST).then(pl.concat_str(short.str.head(_LONGEST), pl.lit("..."))).otherwise(short)
    return cut.str.replace_all(r"([\\`*_{}\[\]<>()#!|~&$])", r"\$1")


def _line(frame: pl.DataFrame) -> pl.Series:
    """TASL on one line, a list item of Markdown."""
    filled = {role: pl.when(pl.col(role).fill_null("") != "").then(pl.col(role)) for role in ROLES}
    linked = filled["url"].str.contains(_ADDRESS).fill_null(False)
    title = pl.coalesce(pl.format('"{}"', _plain(filled["title"])), pl.lit("(no title)"))
    titled = pl.when(linked).then(pl.format("[{}](<{}>)", title, filled["url"])).otherwise(title)
    parts = [
        pl.concat_str(pl.lit("- "), titled),
        pl.format(" by {}", _plain(filled["author"])).fill_null(""),
        pl.format(", from {}", _plain(filled["source"])).fill_null(""),
        pl.when(linked.not_()).then(pl.format(", {}", _plain(filled["url"]))).fill_null(""),
        pl.format(". Declared licence: {}. Changes: {}.", pl.col("markdown"), _plain(pl.col("changes"))),
    ]
    return frame.select(pl.concat_str(parts)).to_series()


def _written(frame: pl.DataFrame, ending: str) -> bytes:
    held = io.BytesIO()
    if ending == ".md":
        runs = pl.DataFrame({"line": _line(frame), "uid": frame["uid"]}).with_columns(run=pl.col("line").rle_id())
        lines = runs.group_by("run", maintain_order=True).agg(pl.first("line", "uid"), rows=pl.len())
        told = pl.when(pl.col("rows") > 1).then(pl.format("{} rows from {}", "rows", "uid")).otherwise("uid")
        return "".join(f"{line}\n" for line in lines.select(pl.format("{} `{}`", "line", told)).to_series()).encode()
    whole = frame.drop("markdown")
    if ending == ".jsonl":
        whole.write_ndjson(held)
    else:
        whole.with_columns(pl.col(pl.String).str.replace(r"^([=+\-@\t\r])", "'$1")).write_csv(held, include_header=False)
    return held.getvalue()


def _head(chosen: Selected, ending: str) -> bytes:
    if ending == ".csv":
        return f"uid,{','.join(ROLES)},expression,licence,licence_address,changes,scope,confidence\n".encode()
    if ending != ".md":
        return b""
    where = f"{chosen.name} of run {chosen.run.folder.removeprefix('runs/')}"
    told = "Licences are as declared by the rows' sources: evidence, not legal clearance."
    return f"# Attribution\n\nSubset {_escaped(where)}, digest `{chosen.digest}`. {told}\n\n".encode()


def _foot(rows: int, left: Mapping[str, int]) -> bytes:
    lines = [f"\n{rows:,} rows are credited here.\n", *(f"Left out, {why}: {many:,} rows.\n" for why, many in left.items() if many)]
    return "\n".join(lines).encode()
