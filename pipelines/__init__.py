"""The judgement and the door: recipes, the verbs, the command line, the reports."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.documents.document import document
    from pipelines.documents.package import package
    from pipelines.documents.remake import verify_package
    from pipelines.provenance.attribution import attribution
    from pipelines.provenance.fate import fates
    from pipelines.provenance.index import index
    from pipelines.provenance.lineage import trace
    from pipelines.provenance.notice import notice
    from pipelines.provenance.obligations import obligations
    from pipelines.provenance.policy_check import check
    from pipelines.provenance.revoke import revoke
    from pipelines.provenance.rot import rot
    from pipelines.provenance.uses import uses
    from pipelines.provenance.verify import verify
    from pipelines.scores.training import evaluate
    from pipelines.scores.verdicts import compare
    from pipelines.verbs import export, plan, run, why

__all__ = [
    "attribution",
    "check",
    "compare",
    "document",
    "evaluate",
    "export",
    "fates",
    "index",
    "notice",
    "obligations",
    "package",
    "plan",
    "revoke",
    "rot",
    "run",
    "trace",
    "uses",
    "verify",
    "verify_package",
    "why",
]

_WHERE = {
    **{"compare": "scores.verdicts", "evaluate": "scores.training", "export": "verbs", "plan": "verbs", "run": "verbs", "why": "verbs"},
    **{name: f"provenance.{name}" for name in ("attribution", "index", "notice", "obligations", "revoke", "rot", "uses", "verify")},
    **{"check": "provenance.policy_check", "fates": "provenance.fate", "trace": "provenance.lineage"},
    **{"document": "documents.document", "package": "documents.package", "verify_package": "documents.remake"},
}


def __getattr__(name: str) -> Any:
    """The verbs, imported when first asked for: only `evaluate` and `compare` need torch."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
