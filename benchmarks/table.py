# ruff: noqa: T201  a benchmark prints
"""One table of what benchmarks wrote: `python -m benchmarks.table FILE.json...`, ratios to Ceteris, of processor (of wall) times."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Print the table, and what each run was measured on."""
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    print("| workload | engine | documents | processor s | peak MiB | ratio | whole process | answers |")
    print("|---|---|---|---|---|---|---|---|")
    for report in reports:
        for line in lines(report):
            print("| " + " | ".join(line) + " |")
    for report in reports:
        for said in facts(report):
            print(f"{report['workload']}: {said}")


def lines(report: dict[str, Any]) -> Iterator[list[str]]:
    """A line for every part and engine."""
    for part, engines in report.get("parts", {}).items():
        for engine, line in engines.items():
            times = report["ratios"][part].get(engine, dict.fromkeys(("processor", "wall", "whole processor", "whole wall"), 1.0))
            version = "" if line["version"] == "this tree" else f" {line['version']}"
            ratios = [f"{times[name]:.3g} ({times[wall]:.3g})" for name, wall in (("processor", "wall"), ("whole processor", "whole wall"))]
            peak = f"{line['peak MiB']:,}"
            yield [
                f"{report['workload']}: {part}",
                engine + version,
                f"{line['documents']:,}",
                f"{line['processor']:.3g}",
                peak,
                *ratios,
                said(line),
            ]


def said(line: dict[str, Any]) -> str:
    """How good the answers are, as far as it was judged."""
    found = [f"recall {name} {value:.4g}" for name, value in line.get("recall", {}).items() if name in (".87-.93", ".77-.83")]
    for name in ("precision", "accuracy", "as langdetect", "other decisions", "other reasons", "start-up of Ray, s"):
        found += [f"{name} {line[name]:.5g}"] if name in line else []
    return ", ".join(found)


def facts(report: dict[str, Any]) -> Iterator[str]:
    """Machine, load and what was left out."""
    load = report["load average"]
    yield f"{report['date']}, {report['cpu']['model']}, {report['cpu']['cores']} cores, {' '.join(report['cpu']['flags'])}"
    yield f"load average {load['before'][0]:.1f} before, {load['after'][0]:.1f} after"
    yield from (f"left out: {name}, {why}" for name, why in report.get("left out", {}).items())
    for name in ("one core over two, through Ray", "Ray over in process, one core", "peak of the larger over the smaller", "held-out"):
        if name in report:
            value = report[name]["kinds"]["all"] if name == "held-out" else report[name]
            yield f"{name}: {json.dumps(value)}"


if __name__ == "__main__":
    main()
