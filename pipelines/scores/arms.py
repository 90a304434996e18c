"""The arms of a run: every candidate, and the controls that a claim about it needs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s
from curate.errors import CeterisError
from curate.membership import Copies, combined_copies
from curate.pieces import open_pool
from curate.plan import POOL, root_of
from curate.pool import Pool
from curate.record import Run
from eval_fixed_model.arms import Arm
from eval_fixed_model.loops import Rows

WHOLE, TRUSTED_ONLY, RANDOM = "whole pool", "trusted only", "random"


@dataclass(frozen=True)
class Arms:
    """Arms by name, and the contrasts that are judged: (candidate, control)."""

    arms: dict[str, Arm]
    contrasts: tuple[tuple[str, str], ...]


def arms_of(run: Run, rows: Rows, trained_on: UInt64s) -> Arms:
    """The whole pool, every subset of the recipe, and for each a random draw of its size and the recipe without its last stage.

    A size is a number of rows, whatever their copies: a draw shows as many different rows as the candidate, each equally often. Only rows
    that the instrument can decode count, so sizes are equal where they must be. `trained_on` are the uids of trusted rows.
    """
    uids = run.uids()
    usable = np.zeros(len(uids), bool)
    usable[places_of(uids, rows.uids)] = True
    root = _mask(run, _root(run)) & usable
    whole = uids[root]
    arms = {WHOLE: Arm(WHOLE, "pool", whole)}
    contrasts: list[tuple[str, str]] = []
    for name in run.facts["subsets"]:
        if name == POOL:
            continue
        times = np.where(root, run.copies(name), 0)
        chosen = np.repeat(uids, times, axis=0)
        if not len(chosen):
            raise CeterisError(f"the subset {name} has no row that can be trained on", where=run.folder, fix="loosen its rules")
        arms[name] = Arm(name, "candidate", chosen)
        contrasts.append((name, WHOLE))
        size = int((times > 0).sum())
        draw = f"{RANDOM} {size}"
        arms.setdefault(draw, Arm(draw, "random", whole, size))
        contrasts.append((name, draw))
        for label, copies in _without_last_stage(run, name):
            arms.setdefault(label, Arm(label, "parent", np.repeat(uids, np.where(root, copies, 0), axis=0)))
            contrasts.append((name, label))
    trusted = rows.uids[np.sort(rows.indices(trained_on))]
    if len(trusted):
        arms[TRUSTED_ONLY] = Arm(TRUSTED_ONLY, "trusted", trusted)
    return Arms(arms, tuple(dict.fromkeys(contrasts)))


def chosen(found: Arms, only: Collection[str]) -> Arms:
    """The arms of these names; `random` stands for the random controls of the others."""
    drawn = {control for candidate, control in found.contrasts if candidate in only and found.arms[control].kind == "random"}
    arms = {name: arm for name, arm in found.arms.items() if name in only or (RANDOM in only and name in drawn)}
    return Arms(arms, tuple((a, b) for a, b in found.contrasts if a in arms and b in arms))


def _root(run: Run) -> str:
    return root_of(run.facts["nodes"])


def _mask(run: Run, node: str) -> npt.NDArray[np.bool_]:
    return np.ones(run.pool.rows, bool) if node == POOL else run.codes(node) == 0


def _without_last_stage(run: Run, name: str) -> Iterator[tuple[str, Copies]]:
    """Each row's copies: of a rule stage in its parents; of `minus` in its first operand; of `all_of` in each; of `any_of` nothing."""
    node = run.facts["nodes"][name]
    if node["rule"] is not None:
        decided = run.decided(name)
        combined = {f"{word} {parent}" for parent in node["parents"] for word in ("in", "not known whether in")}
        own = [code for code, reason in enumerate(decided.reasons) if reason.stage == name and reason.text not in combined]
        codes = run.codes(name)
        before = combined_copies(node["combinator"], [run.copies(parent) for parent in node["parents"]])
        yield _named(run, name, node["parents"]), np.where((codes == 0) | np.isin(codes, own), before, 0)
    elif node["combinator"] in ("minus", "all_of"):
        for parent in node["parents"][: 1 if node["combinator"] == "minus" else None]:
            yield _named(run, name, [parent]), run.copies(parent)


def _named(run: Run, name: str, parents: list[str]) -> str:
    if len(parents) > 1:
        return f"{name} without its rule"
    return WHOLE if parents[0] == _root(run) else parents[0]


def training_pools(run: Run, roles: Sequence[str], trusted: bool = False) -> list[Pool]:
    """The pools with these roles that say what is good to the run's models, each once; or only those whose rows the models trust."""
    made = [model for model in run.facts["models"].values() if model["rows"] and (model.get("trusts", True) or not trusted)]
    pools = [open_pool(run.store, key) for key in dict.fromkeys(model["rows"][0] for model in made)]
    return [pool for pool in pools if set(roles) <= set(pool.roles)]


def places_of(uids: UInt64s, wanted: UInt64s) -> npt.NDArray[np.int64]:
    """Where those of `wanted` that are in `uids` are, ascending."""
    keys, asked = (np.ascontiguousarray(each.astype(">u8")).view("S16").ravel() for each in (uids, wanted))
    return np.flatnonzero(np.isin(keys, asked))
