"""Put together what watches the service: metrics and traces, each an extra and each off unless it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from hansard.errors import ConfigurationError
from hansard.store.contract import Store
from hansard.store.observed import ObservedStore

if TYPE_CHECKING:
    from hansard.api.metrics import Metrics, Sample
    from hansard.api.tracing import Tracing


class Instruments:
    """Watch one application; what is off is not even imported.

    ``metrics_token`` turns metrics on, ``tracing`` traces. ``sample`` is asked what is so now; set it when that can
    be told. Raises `ConfigurationError` without the extra that one needs, and without the folder that was named.
    """

    def __init__(self, *, metrics_token: str | None, tracing: bool, database: str) -> None:
        self.sample: Callable[[], Sample | None] = lambda: None
        self._token = metrics_token
        self._metrics: Metrics | None = None if metrics_token is None else _metrics()
        self._tracing: Tracing | None = _tracing(database) if tracing else None

    def install(self, app: FastAPI) -> None:
        """Add what watches requests; call it when everything is there that is to be watched."""
        if self._metrics is not None and self._token is not None:
            from hansard.api.metrics import Metered, metrics_router  # noqa: PLC0415 - an extra

            app.include_router(metrics_router(self._metrics, token=self._token, sample=self._ask))
            app.add_middleware(Metered, metrics=self._metrics, sample=self._ask)
        if self._tracing is not None:
            from hansard.api.tracing import Traced  # noqa: PLC0415 - an extra

            app.add_middleware(Traced, tracing=self._tracing)

    def watch(self, store: Store) -> Store:
        """Return the store, watched if anybody does."""
        for observer in (self._metrics, self._tracing):
            if observer is not None:
                store = ObservedStore(store, observer)
        return store

    async def aclose(self) -> None:
        """Send what waits to be sent."""
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)

    def _ask(self) -> Sample | None:
        return self.sample()


def _metrics() -> Metrics:
    try:
        from hansard.api.metrics import Metrics  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError("HANSARD_METRICS_TOKEN needs an extra: pip install 'hansard[metrics]'") from error
    try:
        return Metrics()
    except (OSError, ValueError) as error:
        raise ConfigurationError("PROMETHEUS_MULTIPROC_DIR must be a folder that can be written to") from error


def _tracing(database: str) -> Tracing:
    try:
        from hansard.api.tracing import Tracing  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError("HANSARD_TRACING needs an extra: pip install 'hansard[otel]'") from error
    return Tracing(database=database)
