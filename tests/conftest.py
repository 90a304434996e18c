"""What every test shares."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from ruamel.yaml import YAML

from curate.executor import Ray
from eval_fixed_model.scale import SHIPPED

# The same examples on every machine, however slow it is: a test fails for what the code does.
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def ray_of_two() -> Iterator[Ray]:
    """The session's one real Ray: private, two workers."""
    executor = Ray("local", 2)
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def write_scale() -> Callable[..., Path]:
    """Write the shipped scale with changed keys (`section.key` as `section__key`) to a file."""

    def write(path: Path, **changes: Any) -> Path:
        record = YAML(typ="safe", pure=True).load(SHIPPED.read_text(encoding="utf-8"))["tiny-image-text"]
        for name, value in changes.items():
            *sections, key = name.split("__")
            place = record
            for section in sections:
                place = place[section]
            place[key] = value
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump({path.stem: record}, file)
        return path

    return write
