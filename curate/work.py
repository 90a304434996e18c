"""One piece of a shard: gather the evidence its rules ask for, decide its rows, write both, return receipts."""

import numpy as np
import numpy.typing as npt

from curate.digest import UInt64s, h
from curate.errors import RecipeError, SignalBugError
from curate.model import shelve
from curate.store import Store
from curate.task import Receipt, Shelf, Task
from curate.view import View

Mask = npt.NDArray[np.bool_]


def work(task: Task) -> Receipt:
    """Decide `task.decide` in order and gather what `task.gather` asks for. The function that executors map."""
    store = Store.open(task.store)
    shelve_all(task.shelf, store)
    view = View(task, store)
    for act, nodes in ((view.decide, task.decide), (view.gather, task.gather)):
        for node in nodes:
            try:
                act(node)
            except (SignalBugError, RecipeError) as error:
                raise type(error)(error.what, where=f"stage {node.name}, {error.where}", fix=error.fix) from error
    if task.ask or task.lawful:
        alive = ~view.refused()
        if task.share < 1:
            alive &= drawn(view.uids, task.share)
        if task.lawful:
            alive &= ~np.logical_or(*view.barred(task.lawful, alive))
        view.ask(task.ask, alive)
    return view.finish()


def drawn(uids: UInt64s, share: float) -> Mask:
    """Which rows are in the sample that models over a pool are made from: the same of every pool that has them."""
    mask: Mask = h("model", 0, uids)[:, 0] < np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    return mask


def shelve_all(shelf: Shelf, store: Store) -> None:
    """Tell this process where the models lie that signals may ask for."""
    for digest, model, folder in shelf:
        if model.load is not None:
            shelve(digest, model.load, store.path(folder))
