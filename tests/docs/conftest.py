"""A reader's folder: small pools under the names that the pages use, and scales that take no time."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from eval_fixed_model.scale import SHIPPED
from pipelines import python_docs
from pipelines.demo.make_pool import make_pool
from tests.docs.pages import blocks

PACKAGES = ("typer", "rich", "license-expression")
SHORT: dict[str, dict[str, Any]] = {
    "tiny-image-text": {"samples_seen": 640, "perturbed": None},
    "tiny-text": {
        "model": {"name": "byte_ngrams", "width": 16, "inner": 32, "layers": 1, "heads": 1, "orders": [1, 2], "words": 1, "rows": 512},
        "tokens_seen": 20480,
    },
}
"""What is changed of a shipped scale so that a training takes ten steps."""


RECIPE = """
pool: {path: shards/}
models: {matcher: {filter_network: {trusted: trusted/, samples: 2560}}}
signals: {match: {clip_score: {model: matcher}}}
stages:
  basic: {keep: "text_length.words > 2 and image_shape.aspect <= 3"}
  open: {after: basic, keep: "license.class in ['public-domain', 'permissive', 'share-alike']"}
  best: {after: open, keep: {top: match.score, fraction: 0.5}}
subsets: [open, best]
evaluate: {scale: tiny-image-text, seeds: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which every page's commands run, one page after the other, on one core, in this process. `own/` is the pool of JSON
    lines that the first hour shows, `docs-pool/` holds what three packages document, `ceteris-demo/` the demo's pool with 420 rows, and
    `short/` the scales of ten steps that stand in where a page says that an evaluation takes minutes. `shards/` is the demo's pool, too,
    with what the pages name by way of example."""
    folder = tmp_path_factory.mktemp("reader")
    python_docs.make(folder / "docs-pool", lambda *_: None, PACKAGES)
    make_pool(folder / "ceteris-demo", rows=420, seed=0, shards=3)
    shutil.copytree(folder / "ceteris-demo" / "trusted", folder / "trusted")
    _named_rows(folder)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "concepts.txt").write_text("circle\nred square\nno such thing\n", encoding="utf-8")
    (folder / "own").mkdir()
    (folder / "own" / "pages.jsonl").write_text(next(text for kind, _, text in blocks(Path("docs/first-hour.md")) if kind == "json"))
    (folder / "requests.txt").write_text("domain:example.com\n", encoding="utf-8")
    for scale, changes in SHORT.items():
        _shortened(folder / "short" / f"{scale}.yaml", changes)
    cores, here = os.sched_getaffinity(0), Path.cwd()
    os.sched_setaffinity(0, {min(cores)})
    os.chdir(folder)
    yield folder
    os.chdir(here)
    os.sched_setaffinity(0, cores)


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages call a folder of filters `mine`, and so do other tests: neither finds the other's."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / "mine.py").is_file()])
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "mine"}
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]
    sys.modules.update(kept)


def _named_rows(folder: Path) -> None:
    """`shards/` with uids of its own, `declared/` and `fetched/`: addresses, a host, a text and a picture as pages name them."""
    (folder / "shards").mkdir()
    for number, path in enumerate(sorted((folder / "ceteris-demo" / "shards").glob("*.parquet"))):
        rows = pl.read_parquet(path).with_columns(uid=pl.col("uid").str.reverse(), headline=pl.col("text"), writer=pl.col("source"))
        if number == 0:
            first = pl.int_range(pl.len())
            url = pl.when(first == 3).then(pl.lit("https://example.org/a.html")).when(first == 4).then(pl.lit("https://example.com/b"))
            source = pl.when(first == 5).then(pl.lit("photos.example")).otherwise("source")
            text = pl.when(first == 6).then(pl.lit("a piece of the text of a row")).otherwise("text")
            rows = rows.with_columns(url=url.otherwise("url"), source=source, text=text)
            (folder / "photo.jpg").write_bytes(next(image["bytes"] for image in rows["image"].slice(7) if len(image["bytes"] or b"") > 500))
        rows.write_parquet(folder / "shards" / path.name)
    rows.head(100).write_parquet(_in(folder / "fetched"))
    rows.select("uid", "text", "url").write_parquet(_in(folder / "declared"))


def _in(folder: Path) -> Path:
    folder.mkdir()
    return folder / "part.parquet"


def _shortened(path: Path, changes: dict[str, Any]) -> None:
    yaml = YAML(typ="safe", pure=True)
    record = yaml.load((SHIPPED / "tiny.yaml").read_text(encoding="utf-8"))[path.stem] | changes
    path.parent.mkdir(exist_ok=True)
    items = pl.read_parquet(SHIPPED / record["items"]["file"])
    record["items"] = {"file": f"{path.stem}.parquet"}
    items.filter(pl.int_range(pl.len()).over("task", "split") < 60).write_parquet(path.with_suffix(".parquet"))
    with path.open("w", encoding="utf-8") as file:
        yaml.dump({path.stem: record}, file)
