"""What became of a row, as people see it."""

from collections.abc import Mapping
from typing import Any

from pipelines import show
from pipelines.provenance.fate import Fate, Fates


def fates(found: Fates) -> None:
    """One row in full; of several, each in short."""
    for note in found.notes:
        show.line(note)
    if found.revoked:
        show.line("revoked: " + ", ".join(f"{key} {value}" for key, value in found.revoked.items()))
    if len(found.rows) == 1:
        _whole(found.rows[0])
    for fate in found.rows if len(found.rows) > 1 else ():
        _short(fate)
    if found.found > len(found.rows):
        show.line(f"... and {found.found - len(found.rows):,} more rows (--at-most shows more)")


def _whole(fate: Fate) -> None:
    _matched(fate)
    if fate.state:
        _barred(fate)
    else:
        show.line(f"run: {fate.runs[0]['run']}")
        show.row(fate.story)
    if len(fate.runs) > 1 or fate.state:
        show.line("every run that holds it, the latest first:")
        for block in fate.runs:
            show.line(f"  {told(block, several=len(fate.places) > 1)}")


def _short(fate: Fate) -> None:
    place = fate.places[0]
    original = f"  {fate.story['original']}" if "original" in fate.story and not fate.state else ""
    show.line(f"{fate.uid}{original}  {place['shard']} row {place['row']}{f'  {fate.state}' if fate.state else ''}")
    _matched(fate)
    for role in ("url", "text"):
        if fate.story.get(role):
            show.line(f"  {role}: " + " ".join(str(fate.story[role]).split()))
    for block in fate.runs:
        show.line(f"  {told(block, several=len(fate.places) > 1)}")


def _matched(fate: Fate) -> None:
    if fate.match:
        near = f", {fate.match['distance']} of 256 bits apart" if fate.match["distance"] else ""
        show.line(f"  picture: {fate.match['image']}{near}")


def _barred(fate: Fate) -> None:
    """Address and why; nothing of what the row holds."""
    show.line(f"{fate.uid}  {fate.story['shard']} row {fate.story['row']}  {fate.state}")
    for name, verdict in fate.story["stages"].items():
        about = ", ".join(f"{key} {verdict[key]}" for key in ("request", "time", "who", "reason") if key in verdict)
        kind = f"{verdict['kind']}: " if verdict["kind"] != name else ""
        show.line(f"  {name}: {kind}{verdict['rule']}{f' ({about})' if about else ''}")
    if fate.story["values"]:
        show.table("values", ["evidence", "value"], list(fate.story["values"].items()))


def told(block: Mapping[str, Any], several: bool = False) -> str:
    """One run's block in a line: the subsets that hold the row, and which stage decided that others do not."""
    inside = [f"{name} ({block['copies'][name]} times)" if name in block.get("copies", {}) else name for name in block["subsets"]]
    reasons: dict[str, list[str]] = {}
    for name, verdict in block["out"].items():
        stage = f"{verdict['stage']}: " if verdict["stage"] != verdict["kind"] else ""
        reasons.setdefault(stage + show.told(verdict["stage"], verdict, {}), []).append(name)
    out = [f"not in {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    where = f" ({block['pool']})" if several else ""
    return f"{block['run']}{where}: " + "; ".join([f"in {', '.join(inside)}" if inside else "in no subset", *out])
