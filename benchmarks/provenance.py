# ruff: noqa: T201  a benchmark prints
"""Fate and lineage over a large store, as one types them: whole processes, interpreters' starts included.

`python -m benchmarks.provenance FOLDER [--rounds 5]`. FOLDER is of benchmarks.provenance_store. Rows are asked for by uid and url, first
without an index, then with one; by a piece of text; a host is followed forward; a subset is audited. Answers are checked first: with the
index they are those without. Of each command the best round, wall and processor seconds, the load average beside them.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks._machine import machine
from benchmarks._run import ROOT, THREADS, options, save
from benchmarks.provenance_store import POOL, STORE

ASKED, ROW = 3, 321
"""Rows, of different shards, so that no round asks what the one before has asked; and which of its shard."""


def main() -> None:
    """The command line."""
    parser = options("provenance", str(__doc__))
    parser.add_argument("folder", type=Path, help="of benchmarks.provenance_store")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    files = sorted((given.folder / POOL).glob("*.parquet"))
    rows = [
        pq.read_table(files[number * 7 % len(files)], columns=["uid", "url", "text"]).slice(ROW, 1).to_pylist()[0]
        for number in range(ASKED)
    ]
    before = os.getloadavg()
    shutil.rmtree(given.folder / STORE / "indexes", ignore_errors=True)
    lines = {f"{name}, no index": taken(given, commands, given.rounds) for name, commands in asked(rows).items() if name.startswith("why")}
    plain = [answers(given, "why", row["uid"]) for row in rows]
    lines["index"] = taken(given, [["index", "--workers", "1"]], 1)
    indexed = [answers(given, "why", row["uid"]) for row in rows]
    for one, other, row in zip(plain, indexed, rows, strict=True):
        assert one.pop("notes"), "without an index it is said that all uids were looked through"
        assert not other.pop("notes"), "with an index nothing is"
        assert one == other, f"the same answer for {row['uid']}"
    lines |= {name: taken(given, commands, given.rounds) for name, commands in asked(rows).items()}
    size = sum(path.stat().st_size for path in (given.folder / STORE / "indexes").rglob("*.bin"))
    report: dict[str, Any] = {**machine(), "load average": {"before": before, "after": os.getloadavg()}, "rounds": given.rounds}
    save("provenance", given, {**report, "index bytes": size, "commands": lines})
    for name, line in lines.items():
        print(json.dumps({"command": name, **line}))


def asked(rows: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """Commands by what they are called; of each those that are asked in turn."""
    hosts = [row["url"].split("/")[2] for row in rows]
    return {
        "why UID": [["why", row["uid"]] for row in rows],
        "why --url": [["why", "--url", row["url"]] for row in rows],
        "why --text": [["why", "--text", row["text"]] for row in rows],
        "trace --source": [["trace", "--source", host] for host in hosts],
        "trace --uid": [["trace", "--uid", row["uid"]] for row in rows],
        "audit": [["audit"]],
        "audit --by license.class": [["audit", "--by", "license.class"]],
    }


def taken(given: argparse.Namespace, commands: list[list[str]], rounds: int) -> dict[str, float]:
    """The best wall and processor seconds of these commands."""
    found = [_taken(given, commands[number % len(commands)]) for number in range(rounds)]
    return {"wall": min(one[0] for one in found), "processor": min(one[1] for one in found), "worst wall": max(one[0] for one in found)}


def _taken(given: argparse.Namespace, command: list[str]) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _said(given, command)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(wall, 3), round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3)


def answers(given: argparse.Namespace, *command: str) -> dict[str, Any]:
    """What a command says in JSON."""
    found: dict[str, Any] = json.loads(_said(given, [*command, "--json"]))
    return found


def _said(given: argparse.Namespace, command: list[str]) -> bytes:
    whole = [sys.executable, "-m", "pipelines.cli", *command, "--store", str((given.folder / STORE).resolve())]
    env = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(whole, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env).stdout


if __name__ == "__main__":
    main()
