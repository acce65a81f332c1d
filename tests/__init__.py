"""The tests. What each folder is for stands in README.md."""
