"""What the n-grams of evaluation sets are to a signal."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters._runs import Index


class Evaluation(NamedTuple):
    """The n-grams of all items of all tasks: items are numbered through, task after task.

    `known`, the distinct ones; `firsts` and `items`: those that hold the one at place i are items[firsts[i] : firsts[i + 1]]; `sizes`, how
    many distinct ones each item has; `tasks`, their names; `begins` (tasks + 1,), the number of each task's first item; `n`, the length.
    """

    known: Index
    firsts: npt.NDArray[np.int64]
    items: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.uint32]
    tasks: tuple[str, ...]
    begins: npt.NDArray[np.int64]
    n: int
