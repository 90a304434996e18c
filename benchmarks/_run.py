# ruff: noqa: T201  a benchmark prints
"""What benchmarks share: one command line, engines that take turns in processes of their own, answers before times, a dated JSON.

An engine runs in one process of one thread, on one core unless it is about more. It answers a few documents first, so that modules, models
and kernels are loaded, and then all of them on the clock, again and again for a second where they take less. Wall and processor times are
those of the best round: other load adds to both, and the load average is written beside them. `whole` is from the start of the interpreter
to its end. An engine that takes half a minute runs in the first round only. Peers live in an environment of their own, `--peers-python`;
those that are not installed there are left out and named.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._machine import machine, peak_kib, processor_seconds, watched

ROOT = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
ALL = 1_000_000_000
WARM, LONG, SHORT = 200, 30.0, 1.0  # documents; seconds
PEERS = ROOT / ".venv-bench" / "bin" / "python"
SECONDS = ("processor", "wall", "whole processor", "whole wall")

Work = Callable[[], Any]
Answers = dict[str, Any]
"""What each engine answered, as JSON has it."""
Parts = dict[str, dict[str, dict[str, Any]]]
"""What was measured, by part and engine."""
notes: dict[str, float] = {}
"""What an engine's process tells besides its answer."""


@dataclass(frozen=True)
class Engine:
    """`load(folder, part, documents)` gets ready and returns the work to be timed; `package` is the peer's module, "" for our own.

    `clocked=False`: only asked for answers. `cores`: how many it may use. `tree`: its memory is that of all its processes (PSS).
    """

    load: Callable[[Path, str, int], Work]
    package: str = ""
    clocked: bool = True
    cores: int = 1
    tree: bool = False


@dataclass(frozen=True)
class Workload:
    """One command. `check` raises AssertionError on wrong answers to the first `checked` documents and says what it compared; `judge` says
    of each engine's answers to all of them how good they are; `size` is how many were answered; `conclude` what follows from all times.
    Ratios are to the first engine's times."""

    name: str
    about: str
    engines: Mapping[str, Engine]
    check: Callable[[Path, str, int, Answers], dict[str, Any]]
    judge: Callable[[Path, str, int, Answers], dict[str, dict[str, Any]]]
    parts: tuple[str, ...] = ("documents",)
    documents: int = ALL
    checked: int = 1000
    rounds: int = 3
    size: Callable[[Any], int] = len
    conclude: Callable[[Parts], dict[str, Any]] = lambda _: {}
    facts: Mapping[str, Any] = field(default_factory=dict)


def command(workload: Workload, arguments: list[str] | None = None) -> dict[str, Any]:
    """The command line: check, measure in turn, print, write the JSON; its content."""
    parser = options(workload.name, workload.about)
    parser.add_argument("folder", type=Path, help="the corpus of benchmarks.text_corpus")
    parser.add_argument("--documents", type=int, default=workload.documents)
    parser.add_argument("--rounds", type=int, default=workload.rounds)
    parser.add_argument("--engines", nargs="*", default=list(workload.engines), choices=list(workload.engines))
    parser.add_argument("--parts", nargs="*", default=list(workload.parts), choices=list(workload.parts))
    parser.add_argument("--peers-python", default=str(PEERS) if PEERS.exists() else sys.executable)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.engine:
        _one_run(workload.engines[given.engine], given)
        return {}
    pythons, left_out = present({name: workload.engines[name] for name in given.engines}, given.peers_python)
    for name, why in left_out.items():
        print(f"left out: {name}, {why}")
    before = os.getloadavg()
    checks: dict[str, Any] = {}
    parts: Parts = {}
    for part in given.parts:
        few = min(workload.checked, given.documents)
        small = {name: _timed(workload, name, pythons[name], part, few, given)["answer"] for name in pythons}
        checks[part] = workload.check(given.folder, part, few, small)
        print(json.dumps({f"checked, {part}": checks[part]}), flush=True)
    for part in given.parts:
        runs = _in_turn(workload, pythons, part, given)
        said = workload.judge(given.folder, part, given.documents, {name: some[0]["answer"] for name, some in runs.items()})
        parts[part] = {name: {**_best(some, workload.size), **said.get(name, {})} for name, some in runs.items()}
    report = {
        **machine(),
        "load average": {"before": before, "after": os.getloadavg()},
        "corpus": str(given.folder),
        "rounds": given.rounds,
        **workload.facts,
        "left out": left_out,
        "checked": checks,
        "parts": parts,
        "ratios": {part: ratios(lines) for part, lines in parts.items()},
        **workload.conclude(parts),
    }
    save(workload.name, given, report)
    return report


def options(name: str, about: str) -> argparse.ArgumentParser:
    """What every command takes."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="where work is pinned")
    parser.add_argument("--out", type=Path, default=Path(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}-{name}.json"))
    return parser


def save(name: str, given: argparse.Namespace, report: Mapping[str, Any]) -> None:
    """Write the dated JSON and print what it says of times."""
    dated = {"workload": name, "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "core": given.core, **report}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(dated, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for part, lines in report.get("parts", {}).items():
        for engine, line in lines.items():
            print(json.dumps({"part": part, "engine": engine, **line, "times": report["ratios"][part].get(engine)}, ensure_ascii=False))
    print(f"written: {given.out}")


def present(engines: Mapping[str, Engine], peers: str) -> tuple[dict[str, str], dict[str, str]]:
    """The Python of each engine that can run, and why the others cannot."""
    pythons, left_out = {}, {}
    for name, engine in engines.items():
        python = peers if engine.package else sys.executable
        if engine.package and subprocess.run([python, "-c", f"import {engine.package}"], capture_output=True, check=False).returncode:
            left_out[name] = f"{engine.package} cannot be imported by {python}"
        else:
            pythons[name] = python
    return pythons, left_out


def ratios(lines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times as long every other engine takes as the first one."""
    first, *others = lines
    return {name: {key: round(lines[name][key] / lines[first][key], 2) for key in SECONDS} for name in others}


def texts_of(folder: Path, pattern: str, documents: int, column: str = "text") -> Any:
    """The first `documents` values of a column of the files that fit `pattern`, in the order of names, as an Arrow array."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts, left = [], documents
    for file in sorted(folder.glob(pattern)):
        if left > 0:
            parts.append(pq.read_table(file, columns=[column], use_threads=False)[column].slice(0, left))
            left -= len(parts[-1])
    if not parts:
        raise FileNotFoundError(f"{folder} has no {pattern}: python -m benchmarks.text_corpus {folder}")
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)


def _in_turn(workload: Workload, pythons: Mapping[str, str], part: str, given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons if workload.engines[name].clocked}
    for _ in range(given.rounds):
        for name, some in runs.items():
            if not some or some[0]["wall"] < LONG:
                some.append(_timed(workload, name, pythons[name], part, given.documents, given))
                assert some[-1]["answer"] == some[0]["answer"], f"{name} gives the same answer every time"
                print(f"{part}, {name}: {some[-1]['wall']:.3f} s, {some[-1]['whole wall']:.2f} s the whole process", flush=True)
    return runs


def _timed(workload: Workload, name: str, python: str, part: str, documents: int, given: argparse.Namespace) -> dict[str, Any]:
    """One process that answers."""
    engine = workload.engines[name]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run.json"
        module = f"benchmarks.{workload.name}"
        options = ["--engine", name, "--parts", part, "--documents", str(documents), "--core", str(given.core), "--out", str(out)]
        environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
        start = time.perf_counter()
        with subprocess.Popen([python, "-m", module, str(given.folder.resolve()), *options], cwd=ROOT, env=environment) as process:
            peak = watched(process) if engine.tree else 0
            code = process.wait()
        if code:
            raise SystemExit(f"{name} ended with {code}: what it said is above")
        made: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        made["whole wall"] = time.perf_counter() - start
    return {**made, "peak MiB": peak} if engine.tree else made


def _one_run(engine: Engine, given: argparse.Namespace) -> None:
    """In a process of its own: answer a few documents, then all on the clock."""
    others = [core for core in sorted(os.sched_getaffinity(0)) if core != given.core]
    os.sched_setaffinity(0, {given.core, *others[: engine.cores - 1]})
    (part,) = given.parts
    engine.load(given.folder, part, WARM)()
    work = engine.load(given.folder, part, given.documents)
    turns, used, wall = 0, processor_seconds(), time.perf_counter()
    while not turns or time.perf_counter() - wall < SHORT:
        answer = work()
        turns += 1
    used, wall = (processor_seconds() - used) / turns, (time.perf_counter() - wall) / turns
    made = {
        "answer": answer,
        "processor": used,
        "wall": wall,
        "whole processor": processor_seconds(),
        "peak MiB": peak_kib() // 1024,
        "version": _version(engine.package),
        "notes": notes,
    }
    given.out.write_text(json.dumps(made), encoding="utf-8")


def _version(package: str) -> str:
    names = importlib.metadata.packages_distributions().get(package.partition(".")[0], []) if package else []
    return importlib.metadata.version(names[0]) if names else "this tree"


def _best(runs: list[dict[str, Any]], size: Callable[[Any], int]) -> dict[str, Any]:
    seconds = {key: round(min(run[key] for run in runs), 4) for key in SECONDS}
    documents = size(runs[0]["answer"])
    rates = {"documents": documents, "a processor second": round(documents / seconds["processor"])}
    return {
        "version": runs[0]["version"],
        **seconds,
        **rates,
        "peak MiB": max(run["peak MiB"] for run in runs),
        "rounds": len(runs),
        **{note: min(run["notes"][note] for run in runs) for note in runs[0]["notes"]},
    }
