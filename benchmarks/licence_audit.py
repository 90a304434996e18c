# ruff: noqa: T201  a benchmark prints
"""Audits of declared licences as whole processes: `python -m benchmarks.licence_audit FOLDER`, of what `benchmarks.provenance_store` made.

A policy with classes, scope, confidence, an opt-out and required roles; obligations; attribution as JSON lines; two subsets on their common
rows. Seconds from the start of the interpreter to its end, best of `--rounds`: processor time (user and system) and wall time. Before that
the policy's answer is held against a plain count over the evidence.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.provenance_store import STORE

POLICY = """
classes:    {allow: [public-domain, permissive]}
scope:      item
confidence: 0.9
opt_outs:   {license.noai: true}
required:   [source, url]
"""
SUBSET = "open"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    policy, credits = given.folder / "policy.yaml", given.folder / "attribution.jsonl"
    policy.write_text(POLICY, encoding="utf-8")
    print(f"{check(given.folder / STORE, policy):,} rows offend, as a plain count says")
    for name, arguments in {
        "audit --policy": ["audit", SUBSET, "--policy", str(policy)],
        "audit --licences": ["audit", SUBSET, "--licences"],
        "attribution": ["attribution", SUBSET, str(credits)],
        "audit --common": ["audit", SUBSET, "--common", "long"],
    }.items():
        found = [timed([*arguments, "--store", str(given.folder / STORE)], credits) for _ in range(given.rounds)]
        print(f"{name:18} processor {min(one[0] for one in found):5.2f} s  wall {min(one[1] for one in found):5.2f} s")
    print(f"load average {os.getloadavg()[0]:.1f}")


def check(store: Path, policy: Path) -> int:
    """The rows that offend; AssertionError where a plain look at the evidence finds others."""
    import polars as pl

    from curate.record import Run
    from curate.store import Store
    from pipelines.provenance.policy import Policy
    from pipelines.provenance.policy_check import check as held

    run = Run.latest(Store.open(store))
    found = held(run.subset(SUBSET), Policy.load(policy))
    rows = pl.DataFrame({"kept": run.codes(SUBSET) == 0}).with_row_index("row").filter("kept").with_columns(pl.col("row").cast(pl.UInt64))
    evidence = rows.join(run.evidence("license"), on="row", how="left")
    allowed = pl.col("class").is_in(["public-domain", "permissive"]) & pl.col("expression").is_not_null() & pl.col("conflict").is_null()
    plain = evidence.filter(~(allowed & (pl.col("scope") == "item") & (pl.col("confidence") >= pl.lit(0.9, pl.Float32))).fill_null(False))
    assert (found.rows, found.offending) == (rows.height, plain.height)
    return found.offending


def timed(arguments: list[str], made: Path) -> tuple[float, float]:
    """Processor and wall seconds of one whole command."""
    made.unlink(missing_ok=True)
    before, start = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, time.perf_counter() - start


if __name__ == "__main__":
    main()
