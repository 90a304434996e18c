"""Where a score comes from, and what used a source, as people see it."""

from typing import Any

from pipelines import show
from pipelines.provenance.lineage import Lineage, Traced
from pipelines.provenance.uses import Uses

LISTED = 8
"""Values of a column of sources; the rest is one line."""
FILES = 3
"""Files of an export that are named."""


def traced(found: Traced) -> None:
    """A verdict's line where that was asked, then each score from its conditions down to its sources."""
    if found.verdict:
        one = found.verdict
        told = f"{one['answer']}, difference {one['difference']:.4g}, delta {one['delta']:g}"
        show.line(f"{one['candidate']} against {one['control']}: {told} ({one['file']})")
    for lineage in found.lineages:
        _lineage(lineage)


def _lineage(found: Lineage) -> None:
    score, held, items = found.score, found.conditions, found.items
    show.line(f"{score['key']}: {score['arm']} ({score['kind']}), seed {score['seed']}")
    if "weights" in score:
        show.line(
            f"  weights {score['weights'][:16]}, answers {score['answers'][:16]}, {score['samples']:,} samples of {score['rows']:,} rows"
        )
    versions = ", ".join(f"{name} {version}" for name, version in held.get("versions", {}).items())
    show.line(f"  conditions: {held['scale name']} (digest {str(held.get('scale'))[:16]}), {held.get('device')}, {versions}")
    asked = f"{', '.join(items['tasks'])} (headline {', '.join(items['headline'])}), digest {str(items['digest'])[:16]}"
    show.line(f"  items: {asked}; {items['leaked']:,} of them occur in an arm")
    show.line(f"  run: {found.run['folder'].removeprefix('runs/')}, ledger {found.run['ledger'][:16]}")
    show.line(f"  recipe: {found.recipe['name']}, digest {found.recipe['digest'][:16]}")
    show.line(f"  pool: {found.pool['path']}, {found.pool['layout']}, {found.pool['rows']:,} rows in {found.pool['shards']:,} shards")
    if found.subset:
        show.line(f"  subset: {found.subset['name']}, digest {found.subset['digest'][:16]}")
    for model in found.models:
        made = f", made from {', '.join(model['made from'])}" if model["made from"] else ""
        show.line(
            f"  model: {model['name']} ({model['kind']}), weights {model['weights'][:16]}, asked by {', '.join(model['used by'])}{made}"
        )
    rows = [[one["stage"], ", ".join(one["parents"]), one["rule"] or "", one["in"], one["kept"]] for one in found.stages]
    show.table("stages", ["stage", "from", "keeps", "in", "kept"], rows, right=(3, 4))
    for note in found.notes:
        show.line(note)
    for column, counts in found.sources.items():
        _sources(column, counts, found.rows or 0)


def _sources(column: str, counts: list[tuple[str, int]], rows: int) -> None:
    shown = [[value, count, f"{count / max(rows, 1):.1%}"] for value, count in counts[:LISTED]]
    if rest := counts[LISTED:]:
        left = sum(count for _, count in rest)
        shown.append([f"({len(rest):,} others; --json shows all)", left, f"{left / max(rows, 1):.1%}"])
    show.table(f"rows by {column}", [column, "rows", "share"], shown, right=(1, 2))


def uses(found: Uses) -> None:
    """Run by run: subsets, exports, models, scores and verdicts that hold at least one of the rows."""
    for note in found.notes:
        show.line(note)
    for pool, rows in found.rows.items():
        show.line(f"{rows:,} rows of {pool}")
    for one in found.runs:
        show.line(f"run {one.run}, recipe {one.recipe}, pool {one.pool}: {one.rows:,} rows")
        for subset in one.subsets:
            of, gone = f"{subset['of']:,} rows", "gone" in subset
            told = f"held {_rows(subset)}, taken down since; it has {of} now" if gone else f"{subset['rows']:,} of its {of}"
            show.line(f"  subset {subset['name']} ({subset['digest'][:16]}): {told}")
        for export in one.exports:
            files = list(export["files"] or ())
            named = ", ".join(files[:FILES]) + (f" and {len(files) - FILES:,} other files" if len(files) > FILES else "")
            show.line(f"  export of {export['subset']}: {export['folder']} ({export['layout']}: {named}), {_rows(export)}")
        for model in one.models:
            show.line(f"  model {model['name']} ({model['kind']}): made from {_rows(model)}")
        for score in one.scores:
            show.line(f"  score {score['key']} ({score['arm']}, seed {score['seed']}): trained on {_rows(score)}")
        for verdict in one.verdicts:
            told = "; ".join(f"{line['candidate']} against {line['control']}: {line['answer']}" for line in verdict["lines"])
            show.line(f"  verdict {verdict['file']}: {told}")


def _rows(one: dict[str, Any]) -> str:
    if one["rows"] is not None:
        return f"{one['rows']:,} of them"
    return f"{one['at_least']:,} of them at least" if "at_least" in one else "perhaps some of them: no list of its rows is kept"
