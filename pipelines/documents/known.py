"""What the ledger, recipe, funnel and evidence answer of the questions one asks of a data set, each sentence with where it stands."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from curate.plan import POOL
from pipelines.documents.exported import Exported
from pipelines.documents.facts import ABSENT, Facts, Measured, shortened

CLEARANCE = "Licences are as declared by the pool: evidence, not legal clearance."


class Known(NamedTuple):
    """A sentence, and where in the store it can be checked."""

    text: str
    source: str


def known(about: str, facts: Facts, exported: Exported | None) -> list[Known]:
    """What answers one part of the datasheet; empty where nothing that was recorded does."""
    return list(_PARTS[about](facts, exported))


def stage_line(line: Mapping[str, Any]) -> str:
    """One stage of the funnel as a sentence: where its rows come from, its rule, what it kept and why the others left."""
    parents = ", ".join(line["parents"])
    origin = f" ({line['combinator']} {parents})" if parents and line["combinator"] != "pool" else ""
    cut = "" if line["cut"] is None else f", cut at {line['cut']:.6g}"
    rule = f": {line['rule']}" if line["rule"] else ""
    left = "; ".join(
        f"{reason['rows']:,} {reason['kind']}: {reason['text']}" for reason in line["reasons"] if reason["kind"] != "restricted"
    )
    barred = sum(reason["rows"] for reason in line["reasons"] if reason["kind"] == "restricted")
    left += f"{'; ' * bool(left)}{barred:,} restricted" if barred else ""
    often = f" ({line['samples']:,} samples)" if line.get("samples", line["kept"]) != line["kept"] else ""
    return f"{line['stage']}{origin}{rule}{cut}. In: {line['in']:,}, kept: {line['kept']:,}{often}{'. ' * bool(left)}{left}."


def tool_line(one: Measured) -> str:
    """A signal with all that decides what it measures."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(one.code.get("versions", {}).items()))
    parameters = ", ".join(f"{key}: {value}" for key, value in sorted(one.parameters.items()))
    told = [f"version {one.version}", *([parameters] if parameters else []), *([versions] if versions else [])]
    return f"{one.name}: filter {one.filter}, {'; '.join(told)}; fingerprint {one.fingerprint[:16]}"


def shares(rows: list[tuple[str, int]], at_most: int = 12) -> str:
    """A distribution on one line."""
    whole = max(sum(count for _, count in rows), 1)
    return ", ".join(f"{value} {count:,} ({count / whole:.1%})" for value, count in shortened(rows, at_most))


def _mixed(facts: Facts, *names: str) -> Iterator[Known]:
    column, rows = facts.mix_of(*names)
    if rows:
        yield Known(f"By {column}: {shares(rows)}.", _where(facts, column))


def _where(facts: Facts, column: str) -> str:
    name = column.rpartition(".")[0]
    return facts.run.facts["measures"][name]["folder"] if name else f"the pool's role {column}"


def _instances(facts: Facts, _: Exported | None) -> Iterator[Known]:
    kind = "an image with its text" if "image" in facts.run.pool.roles else "a text" if "text" in facts.run.pool.roles else "a record"
    told = ", ".join(f"{role} (column {column})" for role, column in facts.run.pool.roles.items())
    yield Known(
        f"Each row is {kind} of a {facts.run.pool.modality} pool in the layout {facts.run.pool.layout}. Roles: {told}.", _pool(facts)
    )


def _count(facts: Facts, _: Exported | None) -> Iterator[Known]:
    often = f", used {facts.samples:,} times in all" if facts.samples != len(facts.subset) else ""
    yield Known(f"{len(facts.subset):,} rows{often}; digest {facts.digest}.", f"{facts.run.folder}/run.json")


def _sample(facts: Facts, _: Exported | None) -> Iterator[Known]:
    yield Known(
        f"A selection: {len(facts.subset):,} of the {facts.run.pool.rows:,} rows of the pool {facts.run.pool.id[:16]}, by the recipe "
        f"{facts.run.facts['name']} ({facts.recipe['digest'][:16]}). Whether the pool itself represents anything larger was not recorded.",
        f"{facts.run.folder}/funnel.json",
    )


def _content(facts: Facts, exported: Exported | None) -> Iterator[Known]:
    columns = ", ".join(facts.run.pool.columns) or "none"
    changed = exported is not None and (exported.about.get("redaction") or exported.about.get("blurring"))
    how = "changed on their way out" if changed else "as they are"
    yield Known(f"The pool's rows {how}. Columns that rules can use: {columns}.", _pool(facts))
    if exported and exported.about.get("evidence"):
        added = ", ".join(f"{name} ({column})" for name, column in exported.about["evidence"].items())
        yield Known(f"The export adds measured columns: {added}.", "the export's own metadata")


def _labels(facts: Facts, _: Exported | None) -> Iterator[Known]:
    measured = ", ".join(one.name for one in facts.signals)
    if measured:
        yield Known(f"No label by people is recorded. Measured by software, and kept beside the rows: {measured}.", _ledger(facts))


def _missing(facts: Facts, exported: Exported | None) -> Iterator[Known]:
    unreadable = facts.run.pool.unreadable
    if unreadable:
        codes = ", ".join(sorted({one.code for one in unreadable}))
        yield Known(f"{len(unreadable):,} files of the pool could not be read and are not in it ({codes}).", _pool(facts))
    for (kind, stage), rows in facts.lost.items():
        what = "could not be read or measured and were set aside" if kind == "quarantined" else f"left ({kind})"
        yield Known(f"{rows:,} rows {what} at {stage}.", f"{facts.run.folder}/funnel.json")
    for key in ("without_image", "without_text"):
        if exported and exported.about.get(key):
            yield Known(f"{exported.about[key]:,} exported rows are {key.replace('_', ' ')}.", "export.json")
    if exported and exported.about.get("left_out"):
        told = ", ".join(f"{count:,} {code}" for code, count in exported.about["left_out"].items())
        yield Known(f"Images that did not leave because faces in them could not be blurred: {told}.", "export.json")


def _relations(facts: Facts, _: Exported | None) -> Iterator[Known]:
    for line in facts.stages:
        grouping = facts.run.facts["nodes"][line["stage"]]["grouping"]
        if grouping:
            yield Known(
                f"Rows that {grouping} holds for alike are one group; of each, {line['stage']} kept one: {line['rule']}.",
                f"{facts.run.folder}/run.json",
            )


def _noise(facts: Facts, _: Exported | None) -> Iterator[Known]:
    if not any(facts.run.facts["nodes"][line["stage"]]["grouping"] for line in facts.stages):
        yield Known("No stage looked for duplicates.", f"{facts.run.folder}/run.json")
    if facts.samples != len(facts.subset):
        yield Known(
            f"Rows are repeated on purpose: {len(facts.subset):,} different ones, {facts.samples:,} in all.",
            f"{facts.run.folder}/funnel.json",
        )


def _external(facts: Facts, exported: Exported | None) -> Iterator[Known]:
    if exported is None or exported.layout in ("uids", "npy"):
        yield Known(f"It is a list of uids: the rows are those of the pool {facts.run.pool.id}.", "the export's own metadata")
    elif "url" in facts.run.pool.roles:
        yield Known("Rows hold addresses from which they were taken; whether those still answer was not checked.", _pool(facts))


def _personal(facts: Facts, exported: Exported | None) -> Iterator[Known]:
    measured = [one.name for one in facts.signals if one.filter == "pii"]
    if measured:
        yield Known(f"Personal data in texts were counted by {', '.join(measured)}, and stages judged by that.", _ledger(facts))
    if exported and exported.about.get("redaction"):
        taken = ", ".join(f"{count:,} {name}" for name, count in exported.about["redacted"].items())
        yield Known(f"Texts left with placeholders ({exported.about['redaction']}): {taken}.", "the export's own metadata")
    if exported and exported.about.get("blurring"):
        yield Known(f"{exported.about['blurred']:,} face boxes were blurred in {exported.about['blurred_images']:,} images.", "export.json")


def _acquired(facts: Facts, _: Exported | None) -> Iterator[Known]:
    yield Known(
        f"Selected from a pool that was there before: {facts.run.pool.rows:,} rows in {len(facts.run.pool.shards):,} shards, layout "
        f"{facts.run.pool.layout}, id {facts.run.pool.id}. How the pool was collected was not recorded.",
        _pool(facts),
    )
    yield from _mixed(facts, "source")


def _mechanisms(facts: Facts, _: Exported | None) -> Iterator[Known]:
    for one in facts.signals:
        yield Known(tool_line(one), one.folder)


def _processing(facts: Facts, exported: Exported | None) -> Iterator[Known]:
    for line in facts.stages:
        if line["stage"] != POOL:
            yield Known(stage_line(line), f"{facts.run.folder}/funnel.json")
    for model in facts.models:
        trained = f", made from {', '.join(model.trained_on)}" if model.trained_on else ""
        licence = f"; its licence: {model.card['licence']}" if model.card.get("licence") else ""
        yield Known(f"model {model.name}: {model.kind}, weights {model.weights[:16]}{trained}{licence}", model.folder)
    yield from _personal(facts, exported) if exported else ()


def _raw(facts: Facts, _: Exported | None) -> Iterator[Known]:
    yield Known(
        f"The pool is never changed; each of its {len(facts.run.pool.shards):,} shards has a SHA-256 in the pool's description. Rows that "
        "left have their reasons in the store (`curate why`).",
        _pool(facts),
    )


def _software(facts: Facts, _: Exported | None) -> Iterator[Known]:
    yield Known("Ceteris (Apache-2.0), the recipe below, and the filters named under collection.", _ledger(facts))


def _used(facts: Facts, _: Exported | None) -> Iterator[Known]:
    for one in facts.judgements:
        yield Known(
            f"Training the fixed model of {one.scale} on it, {one.seeds} seeds: against {one.control} {one.answer}, difference "
            f"{one.told} {one.measure} ({one.span or 'no interval'}).",
            f"scores/{one.conditions}",
        )


def _channel(_: Facts, exported: Exported | None) -> Iterator[Known]:
    if exported:
        size = sum(one.size for one in exported.files)
        yield Known(
            f"As {len(exported.files):,} files of the layout {exported.layout}, {size:,} bytes; Croissant names the SHA-256 of each.",
            "the files",
        )


def _terms(facts: Facts, _: Exported | None) -> Iterator[Known]:
    column, rows = facts.licences
    if rows:
        yield Known(f"Licences that rows declare ({column}): {shares(rows)}. {CLEARANCE}", _where(facts, column))


def _rights(facts: Facts, _: Exported | None) -> Iterator[Known]:
    yield from _mixed(facts, ".class")
    column, rows = facts.licences
    bare = sum(count for value, count in rows if value in ABSENT)
    if bare:
        yield Known(f"{bare:,} rows declare no licence that was read; no licence is not an open one.", _where(facts, column))


def _bias(facts: Facts, _: Exported | None) -> Iterator[Known]:
    for names in ((".code",), ("source",)):
        yield from _mixed(facts, *names)


def _pool(facts: Facts) -> str:
    return f"{facts.run.facts['pool']}/"


def _ledger(facts: Facts) -> str:
    return f"{facts.run.folder}/ledger.jsonl"


_PARTS: dict[str, Callable[[Facts, Exported | None], Iterator[Known]]] = {
    "instances": _instances, "count": _count, "sample": _sample, "content": _content, "labels": _labels, "missing": _missing,
    "relations": _relations, "noise": _noise, "external": _external, "personal": _personal, "acquired": _acquired,
    "mechanisms": _mechanisms, "sampling": _sample, "processing": _processing, "raw": _raw, "software": _software, "used": _used,
    "channel": _channel, "terms": _terms, "rights": _rights, "bias": _bias,
}  # fmt: skip
