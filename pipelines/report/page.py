"""The page: facts gathered, charts drawn, all of it in one HTML file that asks nothing of any other place."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from curate.audit import trusted_dropped
from curate.digest import sha256, short
from curate.exports.export import name_export, refuse_taken_down
from curate.plan import POOL
from curate.record import Run
from curate.takedown.touched import PAGE
from pipelines.report import charts, rows, selection, thresholds
from pipelines.report.evidence import SHOWN_SUBSETS, Held
from pipelines.report.texts import FILTERS
from pipelines.report.words import several

TEMPLATES = Path(__file__).parent / "templates"
GROUPS = (
    ("kept", "Kept"),
    ("dropped", "Dropped"),
    ("no evidence", "No evidence"),
    ("quarantined", "Quarantined"),
    ("near", "Nearest to a threshold"),
    ("duplicates", "Duplicates, side by side"),
)
NO_SCORES = (
    "Nothing was trained for this run: the funnel says what was kept, not what it is worth. "
    "`curate eval` trains the same model on each subset."
)


def environment() -> Environment:
    """Templates that escape everything they are given; names that are not there are errors."""
    made = Environment(
        loader=PackageLoader("pipelines.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(FILTERS)
    return made


def render(template: str, script: str, *, forms: str = "'none'", connects: str = "'none'", **told: Any) -> str:
    """A page with its style and script inside, and a policy that lets nothing else in: no other script, no style, no other place. `forms`
    and `connects` say where forms and the script may ask."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    code = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("shared.js", script))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(code)}",
            f"style-src {_hash(style)}",
            "img-src data:",
            f"connect-src {connects}",
            "base-uri 'none'",
            f"form-action {forms}",
        ]
    )
    inside = {"policy": policy, "style": Markup(style), "script": Markup(code)}
    return environment().get_template(template).render({"modality": "text", **told, **inside})


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def report(run: Run, out: str | Path | None = None, *, scale: str | None = None) -> str:
    """One page on a run: verdict, scores, funnel, overlaps, distributions, thresholds, rows, conditions. Written to `out` if that is given.

    At `scale`, else that of the latest evaluation; a run that was not evaluated has a page without scores. Reads what lies in the store,
    and the rows it shows from the pool where it lies; measures and trains nothing. The file is known to the store as an export is.
    CeterisError for a scale it was not evaluated at, StoreError if rows are taken down meanwhile.
    """
    page = render("report.html", "report.js", **about(run, scale=scale), home=None)
    if out is not None:
        _write(run, Path(out), page.encode())
    return page


def _write(run: Run, out: Path, page: bytes) -> None:
    """Write a page, and name it to the store as an export of the pool, of which it shows rows: so a take-down names it."""
    pool = run.subset(POOL)
    refuse_taken_down(pool, out)
    out.write_bytes(page)
    about = {"subset": POOL, "digest": pool.digest, "rows": len(pool), "run": run.folder.removeprefix("runs/"), "layout": PAGE}
    name_export(pool, out, about | {"folder": str(out.absolute().parent), "files": {out.name: sha256(page)}})


def about(run: Run, *, scale: str | None = None) -> dict[str, Any]:
    """Everything that the page says, by the names its template has."""
    held = Held(run)
    funnel, overlap, mixes = selection.funnel(held), selection.overlaps(held), selection.mixes(held)
    moved = thresholds.curves(held)
    scores = _scores(run, scale)
    histograms = [[_drawn(one, moved) for one in of_column] for of_column in selection.histograms(held)]
    groups = rows.browse(held, moved)
    moved = [one for one in moved if len(one.at) > 1]  # else there is nothing to move
    contents = [("verdict", "Verdict"), *([("scores", "Scores")] if scores else []), ("funnel", "Funnel")]
    contents += [("overlap", "Overlap")] * bool(overlap[1]) + [("distributions", "Before and after")] * bool(mixes or histograms)
    contents += [("thresholds", "Thresholds")] * bool(moved) + [("rows", "Rows"), ("conditions", "Conditions")]
    starts = [one.at.index(one.now) if one.now is not None else 0 for one in moved]
    return {
        "name": run.facts["name"],
        "modality": run.pool.modality,
        "facts": _facts(run, scores),
        "contents": contents,
        "scores": scores,
        "no_scores": NO_SCORES,
        "no_rows": f"Rows cannot be read: {held.gone}" if held.gone else "There is no row to show.",
        "funnel": funnel,
        "kinds": {kind for step in funnel for kind, _ in step.by_kind()},
        "total": run.pool.rows,
        "trusted": trusted_dropped(run),
        "overlap": overlap,
        "mixes": mixes,
        "histograms": histograms,
        "curves": [_moved(one, start) for one, start in zip(moved, starts, strict=True)],
        "curve_data": [_data(one, start) for one, start in zip(moved, starts, strict=True)],
        "groups": groups,
        "kinds_of_groups": GROUPS,
        "evidence": _evidence(run),
        "recipe": run.store.json(f"{run.folder}/recipe.json")["text"],
        "digests": _digests(run),
        "command": f"curate report {run.folder.removeprefix('runs/')}",
    }


def _scores(run: Run, scale: str | None) -> Any:
    """None where nothing was evaluated; what reads scores is loaded only where there are some."""
    evaluated = any(run.store.json(key).get("run") == run.folder for key in _entries(run))
    if not evaluated and scale is None:
        return None
    from pipelines.report.scores import scored

    return scored(run, scale)


def _entries(run: Run) -> list[str]:
    return [key for key in run.store.storage.list("scores/") if "/entries/" in key and key.endswith(".json")]


def _drawn(one: selection.Histogram, moved: Sequence[thresholds.Curve]) -> dict[str, Any]:
    cuts = sorted({curve.now for curve in moved if curve.column == one.column and curve.now is not None})
    inside = [cut for cut in cuts if one.bins[0]["low"] <= cut <= one.bins[-1]["high"]]
    chart = charts.histogram(one.bins, one.column, "rows", logarithmic=one.logarithmic, cuts=inside)
    return {**{name: getattr(one, name) for name in ("column", "subset", "before", "after")}, "chart": chart}


def _moved(one: thresholds.Curve, start: int) -> dict[str, Any]:
    points = [{"at": at, "least": least, "most": most} for at, least, most in zip(one.at, one.least, one.most, strict=True)]
    chart = charts.curve(points, one.name, one.now, sign=one.sign, logarithmic=one.logarithmic, unsure=one.unsure)
    about = {name: getattr(one, name) for name in ("stage", "rule", "column", "at", "ties")}
    return {**about, "chart": chart, "start": start}


def _data(one: thresholds.Curve, start: int) -> dict[str, Any]:
    held = {name: getattr(one, name) for name in ("column", "sign", "at", "least", "most", "entering", "kept")}
    return {**held, "log": one.logarithmic, "start": start}


def _facts(run: Run, scores: Any) -> list[tuple[str, str]]:
    pool = run.pool
    facts = [
        ("pool", f"{several(pool.rows)}, {pool.modality}, {pool.layout}"),
        ("subsets", _subsets(run)),
        ("run", run.folder.removeprefix("runs/")),
    ]
    return facts + ([("scale", f"{scores.scale}, {several(scores.seeds, 'seed')}")] if scores else [])


def _subsets(run: Run) -> str:
    """The named subsets with their rows, the recipe's last ones where they are many."""
    names = [name for name in run.facts["subsets"] if name != POOL]
    told = [f"{name} {run.decided(run.node_of(name)).kept:,}" for name in names[-SHOWN_SUBSETS:]]
    before = len(names) - len(told)
    return ", ".join([*([several(before, "other")] if before else []), *told]) or "none"


def _evidence(run: Run) -> list[tuple[str, str, str, str]]:
    found = []
    for name, measure in run.facts["measures"].items():
        parameters = ", ".join(
            f"{key} {short(value) if isinstance(value, str) and len(value) == 64 else value}"
            for key, value in measure["parameters"].items()
        )
        found.append((name, measure["signal"], measure["folder"].rpartition("-")[2], parameters))
    return found


def _digests(run: Run) -> list[tuple[str, str]]:
    heads = [fact for key in run.store.storage.list("ledger/") if (fact := run.store.json(key))["run"] == run.folder]
    found = [("recipe", run.facts["recipe"]), ("pool", run.facts["pool"].removeprefix("pools/"))]
    found += [("head of the ledger", heads[-1]["head"])] if heads else []
    return found + [(f"subset {name}", digest) for name, digest in run.facts["subsets"].items()]
