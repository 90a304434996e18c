"""What every test shares."""

from hypothesis import HealthCheck, settings

# The same examples on every machine, however slow it is: a test fails for what the code does.
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
