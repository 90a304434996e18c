"""Auditing a run: why a row is in or out, what lies around a cut, and what a subset is made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.decisions import Decided
from curate.digest import hex_of
from curate.errors import CeterisError, nearest
from curate.explain import entry_draws
from curate.faults import naming
from curate.index.search import Place, locate, place_of
from curate.pieces import open_pool, read_originals, read_uids
from curate.plan import LAWFUL, POOL, RESTRICTED, UNSEEN, parted
from curate.record import Run
from curate.store import Part
from curate.takedown import revoked

EXCERPT = 200
STOOD_FOR = 10
"""Of the duplicates that left for a row, how many are named."""
NOT_SHOWN = "(not shown)"
"""Stands for whatever rows say that nobody may see."""


def why(run: Run, uid: str) -> dict[str, Any]:
    """Everything known of one row: where it came from, every measured value, and what each stage said of it and why.

    `uid` is 32 hex digits or the pool's own id (`original` in the answer; inside a source, SOURCE/ID). CeterisError if the pool has no
    such row.
    """
    place = locate(run.store, run.facts["pool"], uid)
    if place is None:
        fix = "; ".join(
            ["give a uid as `curate export` writes them (32 hex digits) or the pool's own id", *filter(None, [naming(run.pool)])]
        )
        raise CeterisError(f"the pool has no row {uid}", where=str(run.pool.root), fix=fix)
    return story(run, place)


def story(run: Run, place: Place) -> dict[str, Any]:
    """`why` of a row whose place is known. Of one that was taken down, or that the recipe restricts, no content and no value but those that
    bar it."""
    shard, row, _ = place
    words = read_uids(run.store, run.facts["pool"], shard)[row : row + 1]
    if (taken := revoked.answer(run.store, run.pool.shards[shard], row)) is not None:
        stages = {revoked.ERROR: {**taken, "stage": revoked.ERROR, "rule": "taken down"}}
        return {"uid": hex_of(words)[0], "shard": run.pool.shards[shard].path, "row": row, "stages": stages, "values": {}, "subsets": []}
    stages = standing(run, place, list(run.facts["nodes"]))
    if stages.get(LAWFUL, {}).get("kind") == RESTRICTED:
        return _restricted(run, hex_of(words)[0], shard, row, stages[LAWFUL])
    read = run.unchanged.read(run.pool.shards[shard], roles=[role for role in run.pool.roles if role not in ("image", "uid")], rows=[row])
    return {
        "uid": hex_of(words)[0],
        **_original(run, run.facts["pool"], "original", shard, row),
        "shard": run.pool.shards[shard].path,
        "row": row,
        **{role: _excerpt(read.frame[role][0]) for role in read.frame.columns},
        "stages": stages,
        "values": _values(run, shard, row),
        "subsets": [name for name in run.facts["subsets"] if run.node_of(name) == POOL or stages[run.node_of(name)]["kind"] == "in"],
    }


def standing(run: Run, place: Place, nodes: Sequence[str], draws: bool = True) -> dict[str, dict[str, Any]]:
    """What each of these nodes but the pool said of a row, and by which rule, cut, survivor and, with `draws`, entry, and whom it stands
    for. Reads nothing of the pool's files but what a draw by names asks."""
    shard, row, number = place
    piece = next(piece for piece in run.pieces if piece.shard == shard and piece.start <= row < piece.stop)
    stages = {}
    for name in nodes:
        if name != POOL:
            decided = run.decided(name)
            code = int(decided.codes(run.store, piece.number)[row - piece.start])
            stages[name] = _verdict(run, name, decided, code, number)
            if draws and code == 0 and decided.cut is not None and decided.cut.survivors is not None:
                stages[name] |= _stands_for(run, decided.cut.survivors, number) | _alone(run, name, shard, row)
            if code == 0 and decided.samples is not None:
                stages[name]["copies"] = int(decided.copies(run.store, piece.number)[row - piece.start])
            if draws and (judge := _balancing(run, name, decided, code)) is not None:
                words = read_uids(run.store, run.facts["pool"], shard)[row : row + 1]
                stages[name]["entries"] = entry_draws(run, judge, shard, row, words)
    return stages


def _restricted(run: Run, uid: str, shard: int, row: int, verdict: dict[str, Any]) -> dict[str, Any]:
    """A restricted row's address, and the evidence that bars it: nothing else of it is read or shown."""
    asked = {parted(column)[0] for column in run.facts["nodes"][LAWFUL]["columns"]} - {POOL}
    values = {name: value for name, value in _measured(run, shard, row).items() if parted(name)[0] in asked}
    return {"uid": uid, "shard": run.pool.shards[shard].path, "row": row, "stages": {LAWFUL: verdict}, "values": values, "subsets": []}


def _verdict(run: Run, name: str, decided: Decided, code: int, number: int) -> dict[str, Any]:
    reason = decided.reasons[code]
    rule = reason.text if code else run.facts["nodes"][name]["rule"]
    verdict: dict[str, Any] = {"kind": reason.kind, "stage": reason.stage or name, "rule": rule}
    deciding = decided if reason.stage in (name, "") else run.decided(reason.stage)
    judged = code == 0 or (reason.kind == "dropped" and rule == run.facts["nodes"][deciding.node]["rule"])
    if deciding.cut is not None and deciding.cut.value is not None and judged:
        verdict["cut"] = deciding.cut.value
    if code and judged and deciding.cut is not None and deciding.cut.survivors is not None:
        found = run.store.frame(deciding.cut.survivors).filter(pl.col("row") == number)
        if found.height:
            verdict |= {"similarity": round(float(found["similarity"][0]), 4)} | _survivor(run, deciding.node, found["survivor"][0])
    return verdict


def _balancing(run: Run, name: str, decided: Decided, code: int) -> Decided | None:
    """The `balance` stage that decided a row, here or before."""
    stage = decided.reasons[code].stage if code else name
    deciding = decided if stage == name else run.decided(stage)
    reason = decided.reasons[code]
    judged = code == 0 or (reason.kind == "dropped" and reason.text == run.facts["nodes"][stage]["rule"])
    return deciding if judged and deciding.cut is not None and deciding.cut.counts is not None else None


def _uid(run: Run, key: str, shard: int, row: int) -> str:
    return hex_of(read_uids(run.store, key, shard)[row : row + 1])[0]


def _original(run: Run, key: str, name: str, shard: int, row: int) -> dict[str, str]:
    """A row's uid as its pool writes it, under `name`; nothing where it is 32 hex digits or there is none."""
    originals = read_originals(run.store, key, shard)
    return {name: originals[row]} if originals is not None and originals[row] is not None else {}


def _survivor(run: Run, stage: str, number: int) -> dict[str, str]:
    """The row that a duplicate left for; numbers beyond the pool are rows of the pool that the stage's rows are held against."""
    key, pool, place = run.facts["pool"], run.pool, dict[str, str]()
    if number >= pool.rows:
        key = run.facts["nodes"][stage]["against"]
        number, pool = number - pool.rows, open_pool(run.store, key)
        place = {"survivor_pool": str(pool.root)}
    shard, row, _ = place_of(pool, number)
    if revoked.answer(run.store, pool.shards[shard], row) is not None:
        return {"survivor": revoked.ERROR, **place}
    return {"survivor": _uid(run, key, shard, row), **_original(run, key, "survivor_original", shard, row), **place}


def _stands_for(run: Run, survivors: Part, number: int) -> dict[str, Any]:
    """How many duplicates left for a row, and the names of the first of them; nothing where none did."""
    left = run.store.frame(survivors).filter(pl.col("survivor") == number)["row"].sort()
    named = [_survivor(run, "", row) for row in left.head(STOOD_FOR).to_list()]
    first = [{name.removeprefix("survivor_"): value for name, value in one.items()} for one in named]
    first = [{"uid": one.pop("survivor"), **one} for one in first]
    return {"stands_for": {"rows": len(left), "first": first}} if len(left) else {}


def _alone(run: Run, stage: str, shard: int, row: int) -> dict[str, str]:
    """That a row without a key for the stage's grouping is no duplicate of any."""
    for part in run.parts(f"{run.facts['nodes'][stage]['grouping']}.sketch").get(run.pool.shards[shard].digest, []):
        found = _row_of(run, part, row)
        if found.height:
            return {"alone": "it has no key"} if found["key"][0] is None else {}
    return {}


def uid_of(run: Run, number: int) -> str:
    """The uid of a pool-wide row number."""
    return _uid(run, run.facts["pool"], *place_of(run.pool, number)[:2])


def original_of(run: Run, number: int) -> dict[str, str]:
    """`original`: the uid of a row, by its pool-wide number, as the pool writes it; nothing where that is 32 hex digits or not there."""
    return _original(run, run.facts["pool"], "original", *place_of(run.pool, number)[:2])


def _values(run: Run, shard: int, row: int) -> dict[str, Any]:
    """Every stored value of a row by signal.column, and the pool's own columns that rules asked for."""
    values = _measured(run, shard, row)
    asked = {column.split(".", 1)[1] for node in run.facts["nodes"].values() for column in node["columns"] if column.startswith(f"{POOL}.")}
    if asked:
        frame = run.unchanged.read(run.pool.shards[shard], columns=sorted(asked), rows=[row]).frame
        values |= {column: _plain(frame[column][0]) for column in frame.columns}
    return values


def _measured(run: Run, shard: int, row: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in run.facts["measures"]:
        for part in run.parts(name).get(run.pool.shards[shard].digest, []):
            found = _row_of(run, part, row)
            if found.height:
                values |= {
                    f"{name}.{column}": _plain(found[column][0])
                    for column in found.columns
                    if column != "row" and found[column][0] is not None
                }
    return values


def _row_of(run: Run, part: Part, row: int) -> pl.DataFrame:
    return run.store.frame(part).filter(pl.col("row") == row) if part.start <= row < part.stop else pl.DataFrame()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:16].hex() + ("..." if len(value) > 16 else "")
    return round(value, 6) if isinstance(value, float) else value


def _excerpt(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= EXCERPT else value[:EXCERPT] + f"... ({len(value):,} characters)"


def near(run: Run, stage: str, count: int = 5, *, hidden: npt.NDArray[np.int64] | None = None) -> list[dict[str, Any]]:
    """The rows around a `top` stage's cut, `count` on each side: uid, `original` as the pool writes it, where it does, value, kept or
    dropped, best first. Of `hidden` rows (pool-wide numbers) the uid alone, and no value."""
    decided = run.decided(stage)
    node = run.facts["nodes"][stage]
    if decided.cut is None or decided.cut.value is None:
        raise CeterisError(
            f"stage {stage} has no cut: its rule is {node['rule'] or 'a combination'}", fix="name a stage whose rule is `top`"
        )
    column = node["columns"][0]
    values = _column(run, column)
    codes = run.codes(stage)
    own = [code for code, reason in enumerate(decided.reasons) if reason.stage == stage and reason.kind == "dropped"]
    frame = values.with_columns(
        kept=pl.Series(codes == 0)[values["row"]], here=pl.Series((codes == 0) | np.isin(codes, own))[values["row"]]
    ).filter("here")
    descending = f"{column} asc" not in node["rule"]
    frame = frame.filter(pl.col("value").is_not_null()).sort("value", "row", descending=[descending, False])
    kept, dropped = frame.filter("kept").tail(count), frame.filter(~pl.col("kept")).head(count)
    unseen, found = set(() if hidden is None else hidden.tolist()), []
    for number, value, stays in pl.concat([kept, dropped]).select("row", "value", "kept").iter_rows():
        shown = number not in unseen
        names = {"uid": uid_of(run, number), **(original_of(run, number) if shown else {})}
        found.append({**names, column: value if shown else None, "kept": stays})
    return found


def _column(run: Run, column: str) -> pl.DataFrame:
    """A column of evidence as (row, value) in pool order."""
    name, field = column.split(".", 1) if column.startswith(f"{POOL}.") else column.rsplit(".", 1)
    if name == POOL:
        frames = [run.unchanged.read(shard, columns=[field]).frame.rename({column: "value"}) for shard in run.pool.shards]
        return pl.concat(frames).with_row_index("row").select(pl.col("row").cast(pl.UInt64), "value")
    parts, fields, offset, frames = run.parts(name), list(run.facts["measures"][name]["columns"]), 0, []
    if field not in fields:
        raise CeterisError(f"{name} has no column {field}", where=run.folder, fix=nearest(field, fields))
    for shard in run.pool.shards:
        for part in parts.get(shard.digest, []):
            read = run.store.frame(part, columns=["row", field])
            frames.append(read.select(pl.col("row").cast(pl.UInt64) + offset, value=field))
        offset += shard.rows
    if not frames:
        raise CeterisError(f"nothing was measured by {name} here", where=run.folder)
    found = pl.concat(frames)
    rows = found["row"].to_numpy()
    return found if (rows[1:] > rows[:-1]).all() else found.unique("row").sort("row")  # parts of several runs may overlap


def mix(run: Run, column: str, subsets: list[str] | None = None, *, hidden: npt.NDArray[np.int64] | None = None) -> pl.DataFrame:
    """Rows of each subset by the values of a column: `license.class`, `language.code`, a role such as `source`, or `pool.NAME`.

    What `hidden` rows say (pool-wide numbers) is one line, NOT_SHOWN; those that this run restricts or that were taken down are in no
    subset.
    """
    values = _role(run, column) if "." not in column else _column(run, column)
    if values["value"].dtype == pl.Binary:
        values = values.with_columns(pl.col("value").bin.encode("hex"))
    unseen = np.zeros(run.pool.rows, bool)
    if hidden is not None:
        unseen[hidden] = True
    said = (
        pl.when(pl.Series(unseen[values["row"].to_numpy()]))
        .then(pl.lit(NOT_SHOWN))
        .otherwise(pl.col("value").cast(pl.String).fill_null("(none)"))
    )
    label = values.select(said.alias("value")).to_series()
    known = label.unique()
    codes, rows = label.cast(pl.Enum(known)).to_physical().to_numpy(), values["row"].to_numpy()
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for name in subsets or list(run.facts["subsets"]):
        node = run.node_of(name)
        kept = run.codes(node) == 0 if node != POOL else np.ones(run.pool.rows, bool)
        found = np.bincount(codes[kept[rows]], minlength=len(known))
        counts[name] = np.append(found, kept.sum() - found.sum())
    table = pl.DataFrame({column: [*known, "(not measured)"], **counts})
    table = table.filter(pl.any_horizontal(pl.col(*counts) > 0)).group_by(column).sum()
    return table.sort(next(iter(counts)), column, descending=[True, False])


def _role(run: Run, role: str) -> pl.DataFrame:
    if role not in run.pool.roles:
        raise CeterisError(f"this pool has no role {role}", fix=f"there are: {', '.join(run.pool.roles)}")
    frames = [run.unchanged.read(shard, roles=[role]).frame.rename({role: "value"}) for shard in run.pool.shards]
    return pl.concat(frames).with_row_index("row").select(pl.col("row").cast(pl.UInt64), "value")


def trusted_dropped(run: Run) -> int:
    """How many rows of the pool left every arm because a model was trained on them."""
    if UNSEEN not in run.facts["nodes"]:
        return 0
    unseen = run.decided(UNSEEN)
    return sum(count for reason, count in zip(unseen.reasons, unseen.counts, strict=True) if reason.kind == "dropped")
