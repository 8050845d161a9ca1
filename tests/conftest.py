"""What every test can ask for; the fixtures themselves stand in `tests/support`, one noun per module."""

from hypothesis import settings

pytest_plugins = [
    "tests.support.postgres",
    "tests.support.installation",
    "tests.support.optin",
    "tests.support.seaweed",
]

# A noisy machine is no finding: how long an example takes is for the benchmarks.
settings.register_profile("taor", deadline=None)
settings.load_profile("taor")
