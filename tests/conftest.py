"""What every test shares."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from curate.executor import Ray

# The same examples on every machine, however slow it is: a test fails for what the code does.
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def ray_of_two() -> Iterator[Ray]:
    """The session's one real Ray: private, two workers."""
    executor = Ray("local", 2)
    yield executor
    executor.close()
