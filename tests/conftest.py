"""What every test can ask for; the fixtures themselves stand in `tests/support`, one noun per module."""

pytest_plugins = ["tests.support.postgres", "tests.support.installation"]
