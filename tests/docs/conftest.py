"""A reader's folder: small pools under the names that the pages use, and scales that take no time."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from eval_fixed_model.scale import SHIPPED
from pipelines import python_docs
from pipelines.demo.make_pool import make_pool

PACKAGES = ("typer", "rich", "license-expression")
SHORT: dict[str, dict[str, Any]] = {
    "tiny-image-text": {"samples_seen": 640, "perturbed": None},
    "tiny-text": {
        "model": {"name": "byte_ngrams", "width": 16, "inner": 32, "layers": 1, "heads": 1, "orders": [1, 2], "words": 1, "rows": 512},
        "tokens_seen": 20480,
    },
}
"""What is changed of a shipped scale so that a training takes ten steps."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which every page's commands run, one page after the other, on one core, in this process. `docs-pool/` holds what three
    packages document, `ceteris-demo/` the demo's pool with 420 rows (`shards/` and `trusted/` are the same), and `short/` the scales of
    ten steps that stand in where a page says that an evaluation takes minutes."""
    folder = tmp_path_factory.mktemp("reader")
    python_docs.make(folder / "docs-pool", lambda *_: None, PACKAGES)
    make_pool(folder / "ceteris-demo", rows=420, seed=0, shards=3)
    for part in ("shards", "trusted"):
        shutil.copytree(folder / "ceteris-demo" / part, folder / part)
    for scale, changes in SHORT.items():
        _shortened(folder / "short" / f"{scale}.yaml", changes)
    cores, here = os.sched_getaffinity(0), Path.cwd()
    os.sched_setaffinity(0, {min(cores)})
    os.chdir(folder)
    yield folder
    os.chdir(here)
    os.sched_setaffinity(0, cores)


def _shortened(path: Path, changes: dict[str, Any]) -> None:
    yaml = YAML(typ="safe", pure=True)
    record = yaml.load((SHIPPED / "tiny.yaml").read_text(encoding="utf-8"))[path.stem] | changes
    path.parent.mkdir(exist_ok=True)
    items = pl.read_parquet(SHIPPED / record["items"]["file"])
    record["items"] = {"file": f"{path.stem}.parquet"}
    items.filter(pl.int_range(pl.len()).over("task", "split") < 60).write_parquet(path.with_suffix(".parquet"))
    with path.open("w", encoding="utf-8") as file:
        yaml.dump({path.stem: record}, file)
