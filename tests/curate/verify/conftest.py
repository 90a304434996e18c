"""A store of three runs that is sound, and a copy of it to harm."""

import shutil
from pathlib import Path

import pytest

from curate.pool import Pool
from curate.store import Store
from tests.curate.conftest import RECIPE
from tests.curate.verify.forging import OTHER


@pytest.fixture(scope="session")
def pool(texts: Pool, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """The pool of texts, in a folder that may be harmed."""
    folder = tmp_path_factory.mktemp("own") / "pool"
    shutil.copytree(texts.root, folder)
    return Pool.open(folder)


@pytest.fixture(scope="session")
def whole(do, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two recipes, one of them with a changed threshold too, in one store."""
    store = Store.open(tmp_path_factory.mktemp("verified") / "store")
    for recipe in (RECIPE, RECIPE.replace("fraction: 0.5", "fraction: 0.3"), OTHER):
        do(recipe, pool, store)
    return store


@pytest.fixture
def store(whole: Store, tmp_path: Path) -> Store:
    """It, to harm."""
    shutil.copytree(whole.path(""), tmp_path / "store")
    return Store.open(tmp_path / "store")
