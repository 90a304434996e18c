"""The data card: what a subset is made of, how it came about and how it did, in tables; a hub's card has the same body."""

from collections.abc import Iterator

from pipelines.documents.answers import MARK, Answers
from pipelines.documents.exported import Exported
from pipelines.documents.facts import Facts, shortened
from pipelines.documents.known import CLEARANCE, known
from pipelines.documents.markdown import plain, table

_PEOPLE = {
    "purpose": "Purpose",
    "risks": "Risks and limits",
    "not_for": "Not for",
    "sensitive": "People and sensitive data",
    "updates": "Upkeep",
}
_OWNERS = {
    "creator": "made by",
    "publisher": "published by",
    "published": "published",
    "url": "page",
    "version": "version",
    "citation": "cite as",
}


def card(facts: Facts, exported: Exported | None, answers: Answers) -> str:
    """Markdown: numbers of the run's funnel, ledger and scores; open questions marked."""
    sections = {
        "At a glance": _glance(facts, exported),
        "Who": _who(answers),
        "From pool to subset": _stages(facts),
        "What is in it": _content(facts),
        "What measured it": _signals(facts),
        "How training on it went": _scores(facts),
        "What is missing": _sentences(facts, exported, "missing", "external", "noise"),
        **{title: iter([_person(key, answers)]) for key, title in _PEOPLE.items()},
        "To make it again": _again(facts),
    }
    parts = [f"# Data card: {facts.title}\n"]
    for title, lines in sections.items():
        body = "\n".join(lines)
        parts.append(f"\n## {title}\n\n{body or 'Nothing was recorded.'}\n" if body or title not in _OPTIONAL else "")
    return "".join(parts)


_OPTIONAL = ("How training on it went",)


def _person(key: str, answers: Answers) -> str:
    found = answers.get(key)
    return f"> {MARK}: `{key}` in answers.yaml." if found is None else ", ".join(found) if isinstance(found, list) else str(found)


def _glance(facts: Facts, exported: Exported | None) -> Iterator[str]:
    often = f", {facts.samples:,} with repetitions" if facts.samples != len(facts.subset) else ""
    files = (
        f"{len(exported.files):,} files, {exported.layout}, {sum(one.size for one in exported.files):,} bytes"
        if exported
        else "none beside"
    )
    yield table(
        ["", ""],
        [
            ["rows", f"{len(facts.subset):,}{often}"],
            ["digest of the subset", facts.digest],
            ["pool", f"{facts.run.pool.rows:,} rows, {facts.run.pool.layout}, id {facts.run.pool.id}"],
            ["recipe", f"{facts.run.facts['name']}, digest {facts.recipe['digest']}"],
            ["run", f"{facts.run.folder.removeprefix('runs/')}, ledger head {facts.head}"],
            ["files", files],
        ],
    )


def _who(answers: Answers) -> Iterator[str]:
    for key, title in _OWNERS.items():
        found = _person(key, answers).removeprefix("> ")
        yield f"- {title}: {found}"


def _stages(facts: Facts) -> Iterator[str]:
    rows = []
    for line in facts.stages:
        often = f" ({line['samples']:,} samples)" if line.get("samples", line["kept"]) != line["kept"] else ""
        rows.append(
            [
                line["stage"],
                line["rule"] or f"{line['combinator']} {', '.join(line['parents'])}".strip(),
                f"{line['in']:,}",
                f"{line['kept']:,}{often}",
                "",
            ]
        )
        barred = sum(reason["rows"] for reason in line["reasons"] if reason["kind"] == "restricted")
        rows += [["", "", "", "", f"{barred:,} restricted"]] if barred else []
        told = [reason for reason in line["reasons"] if reason["kind"] != "restricted"]
        rows += [["", "", "", "", f"{reason['rows']:,} {reason['kind']}: {reason['text']}"] for reason in told]
    yield table(["stage", "rule", "in", "kept", "why not"], rows)
    yield f"From `{facts.run.folder}/funnel.json`; `curate why UID` tells of any row of the pool."


def _content(facts: Facts) -> Iterator[str]:
    for column, rows in facts.mixes.items():
        whole = max(sum(count for _, count in rows), 1)
        shown = [[value, f"{count:,}", f"{count / whole:.1%}"] for value, count in shortened(rows, 20)]
        yield f"By `{column}`:\n\n{table([column, 'rows', 'share'], shown)}"
    if facts.mixes:
        yield CLEARANCE


def _signals(facts: Facts) -> Iterator[str]:
    rows = []
    for one in facts.signals:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(one.code.get("versions", {}).items()))
        rows.append([one.name, f"{one.filter} {one.version}", one.fingerprint[:16], str(one.code.get("source", ""))[:16], versions])
    if rows:
        yield table(["evidence", "filter, version", "fingerprint", "source digest", "libraries"], rows)
    models = [[one.name, one.kind, one.weights[:16], one.card.get("licence", "not stated"), _quality(one.card)] for one in facts.models]
    if models:
        yield table(["model", "made by", "weights", "licence", "held-out quality"], models)


def _quality(told: dict[str, object]) -> str:
    held = told.get("held_out")
    return _numbers(held) if isinstance(held, dict) else ""


def _numbers(told: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(told.items()))


def _scores(facts: Facts) -> Iterator[str]:
    rows = [
        [
            one.control,
            one.answer,
            one.told,
            one.span,
            one.seeds,
        ]
        for one in facts.judgements
    ]
    if rows:
        first = facts.judgements[0]
        yield table(["against", "answer", f"difference, {first.measure}", "simultaneous interval", "seeds"], rows)
        yield f"Scale {plain(first.scale)}, conditions `{first.conditions}`: the same model, trained on each with everything else equal."


def _sentences(facts: Facts, exported: Exported | None, *parts: str) -> Iterator[str]:
    for part in parts:
        for one in known(part, facts, exported):
            yield f"- {plain(one.text)} (`{one.source}`)"


def _again(facts: Facts) -> Iterator[str]:
    fence = "```" if "```" not in facts.recipe["text"] else "~~~~~~"
    yield f"{fence}yaml\n{facts.recipe['text'].rstrip()}\n{fence}\n"
    yield f"`curate package {facts.name} FILE` packs what another machine needs to check this and make it again from the same pool."
