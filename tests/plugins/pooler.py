"""The optional group `pooler`: tests that need PgBouncer, which the package registries of Python do not have.

`make test-pooler` fetches Debian's and runs them. Without `-m pooler` they are deselected, and pytest says so.
"""

import pytest

GROUP = "pooler"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{GROUP}: needs PgBouncer; run by `make test-pooler`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if GROUP in config.option.markexpr:
        return
    optional = [item for item in items if item.get_closest_marker(GROUP)]
    if optional:
        config.hook.pytest_deselected(items=optional)
        items[:] = [item for item in items if item not in optional]
