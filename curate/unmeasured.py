"""Why rows could not be measured: the evidence that a stage asked for, its codes, and how many rows each holds."""

from collections import Counter

import numpy as np
import polars as pl

from curate.decisions import Decided
from curate.pieces import pieces_of
from curate.plan import POOL, Node, Plan, parted
from curate.rule import OnePer
from curate.store import Store

NAMED = 5


def unmeasured(plan: Plan, store: Store, node: Node, decided: Decided) -> Counter[tuple[str, str]]:
    """Rows by (signal or `pool.COLUMN`, error code), of those that this node itself quarantined; a row counts once for each piece of
    evidence that failed. Reads codes, the stored errors, and the pool's own columns that the rule asks for."""
    own = [code for code, reason in enumerate(decided.reasons) if reason.stage == node.name and reason.kind == "quarantined"]
    asked = [parted(column) for column in (node.rule.columns if node.rule else ())]
    columns = [column for name, column in asked if name == POOL]
    signals = [plan.measures[name] for name in dict.fromkeys(name for name, _ in asked) if name != POOL]
    signals += [plan.groups[node.rule.grouping].sketch] if isinstance(node.rule, OnePer) else []
    errors = {one.name: store.parts(one.folder) for one in signals}
    found = Counter[tuple[str, str]]()
    for piece in pieces_of(plan.pool):
        shard = plan.pool.shards[piece.shard]
        rows = piece.start + np.flatnonzero(np.isin(decided.codes(store, piece.number), own))
        if not rows.size:
            continue
        here = pl.DataFrame({"row": rows.astype(np.uint64)})
        for name, by_shard in errors.items():
            for part in by_shard.get(shard.digest, []):
                if part.start < piece.stop and part.stop > piece.start:
                    codes = store.frame(part, columns=["row", "error"]).select(pl.col("row").cast(pl.UInt64), pl.col("error"))
                    found.update((name, code) for code in here.join(codes.drop_nulls(), on="row")["error"].to_list())
        for column, faults in (plan.pool.read(shard, columns=columns, rows=rows).faults if columns else {}).items():
            found.update((column, code) for code in faults.drop_nulls().to_list())
    return found


def told(found: Counter[tuple[str, str]]) -> str:
    """The most frequent first: `488 mine: few_lines, 4 text_length: too_long`."""
    lines = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    more = f" and {len(lines) - NAMED:,} more codes" if len(lines) > NAMED else ""
    return ", ".join(f"{rows:,} {name}: {code}" for (name, code), rows in lines[:NAMED]) + more
