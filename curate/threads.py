"""One thread per process, set before numpy and torch are imported: parallelism is processes, and sums must not depend on core counts."""

import os

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

for name in ONE_THREAD:
    os.environ.setdefault(name, "1")
