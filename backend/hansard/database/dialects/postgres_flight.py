"""Send several statements to PostgreSQL in one flush and read all answers: one network round trip.

This is libpq's pipeline mode through psycopg's thin wrapper. psycopg's own pipeline is the same thing with a
cursor, an adaptation and a wait for every statement, which costs more than the statements; see
docs/decisions/0006-one-round-trip.md.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as _Transformer
from psycopg.errors import error_from_result

from hansard.database.statement import Rows

# Typed as a protocol by psycopg, because it may be the C one or the Python one.
Transformer: Any = _Transformer
_SERVER_ANSWERED = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_AUTO = {count: [PyFormat.AUTO] * count for count in range(64)}


class Command(NamedTuple):
    """Hold one statement with its parameters; ``name`` prepares it on this connection for the next time."""

    sql: bytes
    arguments: Sequence[Any] = ()
    name: bytes | None = None


class Connection(psycopg.AsyncConnection[Any]):
    """Be a psycopg connection that can fly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: set[bytes] = set()

    def is_quiet(self) -> bool:
        """Say, without a round trip, whether the idle connection is still there.

        A server that ends a connection says so; unread bytes on an idle connection mean just that.
        """
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    async def fly(self, commands: Sequence[Command]) -> list[Rows]:
        """Return the rows of each command.

        Raises the first `psycopg.Error` the server answered (then the commands after it were skipped), or
        `psycopg.OperationalError` without SQLSTATE when the connection died. Must not be cancelled.
        """
        pgconn = self.pgconn
        transformer = Transformer(self)
        pgconn.enter_pipeline_mode()
        preparing = [self._send(transformer, command) for command in commands]
        pgconn.pipeline_sync()
        results = await self._land()
        pgconn.exit_pipeline_mode()
        rows = []
        answers = iter(results)
        for command, prepared in zip(commands, preparing, strict=True):
            if prepared:
                _checked(next(answers))
                assert command.name is not None
                self._known.add(command.name)
            rows.append(_rows(transformer, _checked(next(answers))))
        return rows

    def _send(self, transformer: Any, command: Command) -> bool:
        count = len(command.arguments)
        values = transformer.dump_sequence(command.arguments, _AUTO[count]) if count else []
        types, formats = (transformer.types, transformer.formats) if count else ((), ())
        if command.name is None:
            self.pgconn.send_query_params(command.sql, values, types, formats, pq.Format.BINARY)
            return False
        new = command.name not in self._known
        if new:
            self.pgconn.send_prepare(command.name, command.sql, types)
        self.pgconn.send_query_prepared(command.name, values, formats, pq.Format.BINARY)
        return new

    async def _land(self) -> list[pq.abc.PGresult]:
        pgconn = self.pgconn
        results: list[pq.abc.PGresult] = []
        unsent = pgconn.flush()
        while True:
            while pgconn.is_busy():
                await _ready(pgconn.socket, writing=bool(unsent))
                if unsent:
                    unsent = pgconn.flush()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                if pgconn.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError("the connection was lost")
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            else:
                results.append(result)


def _rows(transformer: Any, result: pq.abc.PGresult) -> Rows:
    if not result.ntuples:
        return []
    transformer.set_pgresult(result, set_loaders=True, format=pq.Format.BINARY)
    rows: Rows = transformer.load_rows(0, result.ntuples, tuple)
    return rows


def _checked(result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status not in _SERVER_ANSWERED:
        raise error_from_result(result)
    return result


async def _ready(socket: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    loop.add_reader(socket, wake)
    if writing:
        loop.add_writer(socket, wake)
    try:
        await woken
    finally:
        loop.remove_reader(socket)
        if writing:
            loop.remove_writer(socket)
