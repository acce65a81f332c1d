"""Speak HTTP: the only place that knows status codes, headers and how ids are spelled."""
