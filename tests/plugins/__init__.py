"""Our own pytest plugins, registered in tests/conftest.py."""
