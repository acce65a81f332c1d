"""Register our plugins. Fixtures stand in a plugin, or beside the tests that use them."""

from pathlib import Path

_PLUGINS = Path(__file__).with_name("plugins").glob("[!_]*.py")
pytest_plugins = [f"tests.plugins.{plugin.stem}" for plugin in sorted(_PLUGINS)]
