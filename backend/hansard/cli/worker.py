"""Be what a process of `hansard serve` serves."""

from __future__ import annotations

import gc

from fastapi import FastAPI

from hansard.app import create_app


def create() -> FastAPI:
    """Return the application, for a process that does nothing else.

    What is there by now stays until the end, so the garbage collector need not go through it again and again: that
    was a twelfth of an append's processor time.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    return app
