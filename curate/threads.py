"""One thread per process, set before numpy and torch are imported: parallelism is processes, and sums must not depend on core counts."""

import os

from curate.allocation import keep

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

SHARE = "CETERIS_THREADS"

for name in ONE_THREAD:
    os.environ.setdefault(name, "1")
keep()


def share() -> int:
    """How many threads of this process may read and decode at once, whose answers do not depend on it: its share of the cores, or
    what CETERIS_THREADS says. A second one fills the pauses of the first."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(int(os.environ.get(SHARE, cores)), min(cores, 2))
