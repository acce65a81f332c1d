"""Serve the page: static files that talk to the public HTTP API and to nothing else."""

from hansard.web.pages import router

__all__ = ["router"]
