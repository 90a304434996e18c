"""What the images of evaluation sets are to a signal."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class EvaluationImages(NamedTuple):
    """The images of all tasks: items are numbered through, task after task.

    `hashes` (m, 4) are those of the m items `numbers` whose quality allows it; `colours` (n, 48) those of all; `pixels`, the items of each
    digest of pixels; `tasks`, their names; `begins` (tasks + 1,), the number of each task's first item; `quality`, the least to go by;
    `bits` and `apart`, how far apart hashes and colours may be.
    """

    hashes: npt.NDArray[np.uint64]
    numbers: npt.NDArray[np.int64]
    colours: npt.NDArray[np.uint8]
    pixels: dict[bytes, list[int]]
    tasks: tuple[str, ...]
    begins: npt.NDArray[np.int64]
    quality: int
    bits: int
    apart: float
