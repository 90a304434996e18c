"""The small store before and after the take-down."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from curate.pool import Pool
from curate.store import Store
from tests.curate.takedown.small_store import done, made_rows, select, urls_of, write


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return made_rows()


@pytest.fixture(scope="module")
def pool(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return write(rows, tmp_path_factory.mktemp("takedown") / "pool")


@pytest.fixture(scope="module")
def before(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with one run, and what the run is called."""
    folder = tmp_path_factory.mktemp("takedown-store") / "store"
    return folder, select(pool, Store.open(folder)).folder


@pytest.fixture
def store(before: tuple[Path, str], tmp_path: Path) -> Store:
    shutil.copytree(before[0], tmp_path / "store")
    return Store.open(tmp_path / "store")


@pytest.fixture(scope="module")
def after(before: tuple[Path, str], rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store after the take-down of 20 addresses."""
    folder = tmp_path_factory.mktemp("taken") / "store"
    shutil.copytree(before[0], folder)
    done(Store.open(folder), urls_of(rows))
    return Store.open(folder)
