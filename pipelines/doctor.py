"""Is this machine fit? Python, packages, cores, memory, disk, threads, devices and the store."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from curate.errors import CeterisError
from curate.store import Store

GIB = 1 << 30
PACKAGES = ("polars", "pyarrow", "numpy", "torch", "torchvision", "open_clip_torch", "ray", "datasketch", "numba", "langdetect", "pillow")

Line = dict[str, str]


def examine(store: str) -> list[Line]:
    """One line a check: what, found, state (ok, note or act), and what to do.

    Changes nothing, except that it takes and leaves the lock of a store that is there.
    """
    return [_python(), *_packages(), _cores(), _memory(), _disk(Path(store)), _threads(), _device(), _store(store)]


def _line(what: str, found: str, state: str = "ok", do: str = "") -> Line:
    return {"what": what, "found": found, "state": state, "do": do}


def _python() -> Line:
    fine = sys.version_info >= (3, 11)
    return _line(
        "python", f"{platform.python_version()} on {platform.machine()}", "ok" if fine else "act", "" if fine else "install Python 3.11"
    )


def _packages() -> list[Line]:
    lines = []
    for package in PACKAGES:
        try:
            lines.append(_line(package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            lines.append(_line(package, "missing", "act", f"pip install {package}"))
    return lines


def _cores() -> Line:
    count = len(os.sched_getaffinity(0))
    return _line("cores", str(count), "ok" if count > 1 else "note", "" if count > 1 else "work runs in one process")


def _memory() -> Line:
    text = Path("/proc/meminfo").read_text(encoding="utf-8") if Path("/proc/meminfo").exists() else ""
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    if not found:
        return _line("memory", "unknown", "note", "the demo needs 3 GiB")
    free = int(found[1]) * 1024 / GIB
    return _line("memory", f"{free:.1f} GiB free", "ok" if free >= 3 else "act", "" if free >= 3 else "free 3 GiB, or use fewer --workers")


def _disk(store: Path) -> Line:
    place = next(folder for folder in (store.absolute(), *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free / GIB
    return _line(
        "disk", f"{free:.1f} GiB free at {place}", "ok" if free >= 2 else "act", "" if free >= 2 else "name a --store with more room"
    )


def _threads() -> Line:
    many = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS") if os.environ.get(name) != "1"]
    return _line(
        "threads",
        "one per process" if not many else ", ".join(f"{n}={os.environ.get(n)}" for n in many),
        "note" if many else "ok",
        "set them to 1" * bool(many),
    )


def _device() -> Line:
    if importlib.util.find_spec("torch") is None:
        return _line("device", "unknown", "note", "pip install torch")
    import torch

    kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}"
    return _line("device", f"{kind}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else kind)


def _store(address: str) -> Line:
    if not (Path(address) / "FORMAT").is_file():
        return _line("store", f"none yet at {address}")
    try:
        with Store.open(address).writer():
            return _line("store", address)
    except CeterisError as error:
        return _line("store", f"{address}: {error.what}", "act", error.fix)
