"""The machine that a benchmark runs on, and what processes take of it."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FLAGS = ("avx", "sse4", "bmi", "fma", "asimd", "sve")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = sorted(flag for flag in said.get("flags", said.get("Features", "")).split() if flag.startswith(FLAGS))
    ours = {name: importlib.metadata.version(name) for name in ("ceteris", "numba", "numpy", "polars", "pyarrow", "ray", "datasketch")}
    cpu = {"model": said.get("model name", platform.machine()), "cores": os.cpu_count(), "flags": flags}
    return {"cpu": cpu, "python": platform.python_version(), "versions": ours}


def processor_seconds() -> float:
    """Of this process and all that it started, living or ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = os.getpid()
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(_ticks(one) for one in tree(own) if one != own)


def peak_kib() -> int:
    """The most memory this process held, in KiB; getrusage would count that of the process it was started from."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def watched(process: "subprocess.Popen[bytes]") -> int:
    """Wait until a process ends; the most MiB that it and those it started held together, looked at twice a second."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(pss(one) for one in tree(process.pid)))
        time.sleep(0.5)  # to look takes processor time as well
    return peak // 1024


def tree(process: int) -> list[int]:
    """A process and those it started that still run."""
    children: dict[int, list[int]] = {}
    for one in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        if fields := _stat(one):
            children.setdefault(int(fields[1]), []).append(one)
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def pss(process: int) -> int:
    """Memory of a process in KiB, what is shared counted once over all that share it."""
    try:
        lines: Iterable[str] = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _ticks(process: int) -> float:
    fields = _stat(process)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; none where the process is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
