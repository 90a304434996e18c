"""The judgement and the door: recipes, the verbs, the command line, the reports."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.documents.document import document
    from pipelines.documents.package import package
    from pipelines.documents.remake import verify_package
    from pipelines.training import evaluate
    from pipelines.verbs import export, plan, run, why
    from pipelines.verdicts import compare

__all__ = ["compare", "document", "evaluate", "export", "package", "plan", "run", "verify_package", "why"]

_WHERE = {
    **{"compare": "verdicts", "evaluate": "training", "export": "verbs", "plan": "verbs", "run": "verbs", "why": "verbs"},
    **{"document": "documents.document", "package": "documents.package", "verify_package": "documents.remake"},
}


def __getattr__(name: str) -> Any:
    """The verbs, imported when first asked for: only `evaluate` and `compare` need torch."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
