"""Register the plugins. Fixtures stand in the plugins or beside the tests that use them."""

pytest_plugins = ["tests.plugins.generated", "tests.plugins.postgres", "tests.plugins.stores"]
