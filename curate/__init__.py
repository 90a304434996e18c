"""The engine: pools, signals, rules, plans, executors, store, ledger, audit. It knows no filter, model or recipe by name."""

from curate.threads import ONE_THREAD  # isort: split

from curate.errors import CeterisError
from curate.executor import InProcess, Processes, Ray
from curate.grouping import grouping
from curate.model import model
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from curate.signal import ModelRef, signal
from curate.store import Store

__all__ = [
    "ONE_THREAD",
    "CeterisError",
    "InProcess",
    "ModelRef",
    "Pool",
    "Processes",
    "Ray",
    "Recipe",
    "Run",
    "Store",
    "grouping",
    "model",
    "signal",
]
