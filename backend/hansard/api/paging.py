"""Declare the query parameters that lists share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import Query

from hansard.store.contract import Order

Limit: TypeAlias = Annotated[int, Query(ge=1, le=100, description="How many to return at most.")]
OrderOf: TypeAlias = Annotated[Order, Query(description="`asc` for the oldest first, `desc` for the newest.")]
