"""Measure Hansard beside other ways of doing the same; `make bench` runs it, the tests never do."""
