"""Serve the page: static files that talk to the public HTTP API and to nothing else."""

from hansard.web.pages import page_router

__all__ = ["page_router"]
