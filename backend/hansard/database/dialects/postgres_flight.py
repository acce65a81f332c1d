"""Send several statements to PostgreSQL in one flush and read all answers: one network round trip.

This is libpq's pipeline mode through psycopg's thin wrapper. psycopg's own pipeline is the same thing with a
cursor, an adaptation and a wait for every statement, which costs more than the statements; see
docs/decisions/0006-one-round-trip.md.

The event loop itself reads the answers, so a flight that nobody waits for any more (its caller was cancelled)
lands all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import select
from collections.abc import Sequence
from contextlib import suppress
from datetime import timezone
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg import postgres, pq
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer as _Transformer
from psycopg.errors import error_from_result

from hansard.database.statement import Rows

ANSWER_SECONDS = 60.0
# How often a flight looks at its socket by itself. uvloop watches a socket no more once it is reset, after one call of
# the reader: when there was something to read still, such as a server's last words, nobody hears of the end.
LOOK_SECONDS = 1.0
# How long a flight that nobody waits for may go on, and how long it may take to ask the server to end it.
SETTLE_SECONDS = 1.0
CANCEL_SECONDS = 5.0

# Typed as a protocol by psycopg, because it may be the C one or the Python one.
Transformer: Any = _Transformer
_SERVER_ANSWERED = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_SYNC = pq.ExecStatus.PIPELINE_SYNC
_BINARY = pq.Format.BINARY
_TIMESTAMPTZ = postgres.types["timestamptz"].oid
_Types: TypeAlias = tuple[int, ...] | None
_Key: TypeAlias = tuple[bytes, _Types]
_AUTO = {count: [PyFormat.AUTO] * count for count in range(64)}


class ConnectionLost(Exception):
    """Say that a connection died; when not all was ``sent``, the server cannot have run the last command."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection to PostgreSQL was lost")
        self.sent = sent


class Command(NamedTuple):
    """Hold one statement with its parameters.

    ``name`` prepares it on this connection for the next time; its rows are read only when ``wanted``.
    """

    sql: bytes
    arguments: Sequence[Any] = ()
    name: bytes | None = None
    wanted: bool = False


class Connection:
    """Hold one connection of psycopg's, read by the event loop."""

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._driver = driver
        self._pgconn = driver.pgconn
        self._pgconn.nonblocking = 1
        self._transformer = Transformer(driver)
        # The driver gives instants in the time zone of the server's configuration.
        self._in_utc = driver.info.timezone is timezone.utc
        self._socket = self._pgconn.socket
        self._ended = False
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._known: dict[_Key, bytes] = {}
        self._preparing: dict[int, _Key] = {}
        self._wanted: list[int] = []
        self._results: list[pq.abc.PGresult] = []
        self._expected = 0
        self._unsent = False
        self._landing: asyncio.Future[list[pq.abc.PGresult]] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)
        self._patience: asyncio.TimerHandle
        self._latest = 0.0
        self.idle_since = 0.0

    @property
    def closed(self) -> bool:
        """Say whether the connection has ended."""
        return self._ended

    @property
    def idle(self) -> bool:
        """Say whether no transaction is open and nothing is under way."""
        return self._landing is None and self._pgconn.transaction_status == pq.TransactionStatus.IDLE

    @property
    def landed_well(self) -> bool | None:
        """Say whether the last flight did what it was for; ``None`` when the connection died before that was known."""
        if len(self._results) == self._expected and self._results[-1].status in _SERVER_ANSWERED:
            return True
        return None if self.closed and not any(map(_refused, self._results)) else False

    @property
    def failed(self) -> bool:
        """Say whether a transaction is open in which something failed, so that only undoing helps."""
        return self._pgconn.transaction_status == pq.TransactionStatus.INERROR

    def is_quiet(self) -> bool:
        """Say, without a round trip, whether the idle connection is still there.

        A server that ends a connection says so; unread bytes on an idle connection mean just that.
        """
        return not self.closed and not self._poll.poll(0)

    def close(self) -> None:
        """End the connection; whoever waits for a flight hears that it is lost."""
        if not self._ended:
            # At once, because libpq closes a dead socket by itself and the next connection gets its number.
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._pgconn.finish()
            self._ended = True

    async def fly(self, commands: Sequence[Command]) -> list[Rows]:
        """Return the rows of each command whose rows are wanted.

        Raises the first `psycopg.Error` the server answered (then the commands after it were skipped), or
        `ConnectionLost`. When cancelled, the flight goes on: see `settle`.
        """
        if self._landing is not None:
            await self.settle()
        if self.closed:
            raise ConnectionLost(sent=False)
        self._depart(commands)
        landing = self._landing = self._loop.create_future()
        results = await landing
        return self._unload(results)

    async def settle(self) -> None:
        """Wait until nothing is under way; the server is asked to end what takes long."""
        if self._landing is None:
            return
        if self._landing.done():
            self._landing = self._loop.create_future()
        landing = self._landing
        with suppress(ConnectionLost):
            await asyncio.wait([landing], timeout=SETTLE_SECONDS)
            if not landing.done():
                # Waited for, so that it cannot end what the connection does next.
                await self._ask_to_end()
            await landing

    async def _ask_to_end(self) -> None:
        with suppress(psycopg.Error, OSError):
            await self._driver.cancel_safe(timeout=CANCEL_SECONDS)

    def _depart(self, commands: Sequence[Command]) -> None:
        self._results, self._preparing, self._wanted = [], {}, []
        self._pgconn.enter_pipeline_mode()
        self._expected = 0
        for command in commands:
            self._send(command)
        self._pgconn.pipeline_sync()
        self._latest = self._loop.time() + ANSWER_SECONDS
        self._be_patient()
        self._push()

    def _send(self, command: Command) -> None:
        sql, arguments, name, wanted = command
        values = types = formats = None
        if arguments:
            values = self._transformer.dump_sequence(arguments, _AUTO[len(arguments)])
            types, formats = self._transformer.types, self._transformer.formats
        if name is None:
            self._pgconn.send_query_params(sql, values, types, formats, _BINARY)
        else:
            # The server keeps the types it was first told, and the driver's choice depends on the value: 50 is two
            # bytes and a million four. So other types are another statement.
            key = (name, types)
            prepared = self._known.get(key) or _typed(*key)
            if key not in self._known and key not in self._preparing.values():
                self._pgconn.send_prepare(prepared, sql, types)
                self._preparing[self._expected] = key
                self._expected += 1
            self._pgconn.send_query_prepared(prepared, values, formats, _BINARY)
        if wanted:
            self._wanted.append(self._expected)
        self._expected += 1

    def _push(self) -> None:
        """Hand to the network what it takes; go on when it takes more."""
        waited = self._unsent
        try:
            self._unsent = bool(self._pgconn.flush())
        except psycopg.Error:
            self._lose()
            return
        if self._unsent and not waited:
            self._loop.add_writer(self._socket, self._push)
        elif waited and not self._unsent:
            self._loop.remove_writer(self._socket)

    def _be_patient(self) -> None:
        self._patience = self._loop.call_later(min(LOOK_SECONDS, ANSWER_SECONDS), self._look)

    def _look(self) -> None:
        """Read what the event loop has not told of, and give a server up that is silent for too long."""
        if self._poll.poll(0):
            self._read()
        if self._landing is None:
            return
        if self._loop.time() >= self._latest:
            self._lose()
        else:
            self._be_patient()

    def _read(self) -> None:
        """Take what the network has brought."""
        try:
            self._pgconn.consume_input()
            if self._landing is not None and self._take_results():
                self._pgconn.exit_pipeline_mode()
                self._land()
        except psycopg.Error:
            self._lose()

    def _take_results(self) -> bool:
        """Say whether the last answer is there."""
        pgconn = self._pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if self._pgconn.status == pq.ConnStatus.BAD:
                    raise psycopg.OperationalError("the connection was lost")
            elif result.status == _SYNC:
                return True
            else:
                self._results.append(result)
        return False

    def _land(self) -> None:
        for place, key in self._preparing.items():
            if place < len(self._results) and self._results[place].status == pq.ExecStatus.COMMAND_OK:
                self._known[key] = _typed(*key)
        landing = self._arrive()
        if landing is not None:
            landing.set_result(self._results)

    def _lose(self) -> None:
        """End the connection; when the server had answered what matters, the flight has landed all the same."""
        unsent = self._unsent
        self.close()
        if self._landing is None:
            return
        if self._decided():
            self._land()
            return
        landing = self._arrive()
        if landing is not None:
            landing.set_exception(ConnectionLost(sent=not unsent))

    def _decided(self) -> bool:
        if any(map(_refused, self._results)):
            return True
        return len(self._results) == self._expected and self._results[-1].status in _SERVER_ANSWERED

    def _arrive(self) -> asyncio.Future[list[pq.abc.PGresult]] | None:
        """End the flight; returns its future unless nobody waits for it."""
        landing, self._landing = self._landing, None
        self._unsent = False
        self._patience.cancel()
        return landing if landing is not None and not landing.done() else None

    def _unload(self, results: list[pq.abc.PGresult]) -> list[Rows]:
        # After a command that failed all others are skipped, so the last one tells of all.
        if results[-1].status not in _SERVER_ANSWERED:
            raise error_from_result(next(one for one in results if one.status not in _SERVER_ANSWERED))
        return [self._rows(results[place]) for place in self._wanted]

    def _rows(self, result: pq.abc.PGresult) -> Rows:
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result, set_loaders=True, format=_BINARY)
        rows: Rows = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows if self._in_utc else _in_utc(rows, result)


def _in_utc(rows: Rows, result: pq.abc.PGresult) -> Rows:
    places = [place for place in range(result.nfields) if result.ftype(place) == _TIMESTAMPTZ]
    if not places:
        return rows
    changed = list(map(list, rows))
    for row in changed:
        for place in places:
            if row[place] is not None:
                row[place] = row[place].astimezone(timezone.utc)
    return list(map(tuple, changed))


def _typed(name: bytes, types: _Types) -> bytes:
    """Return the name of a statement that was prepared for parameters of these types."""
    return name + b"_" + hashlib.blake2b(repr(types).encode(), digest_size=8).hexdigest().encode()


def _refused(result: pq.abc.PGresult) -> bool:
    """Say whether the server undid a transaction of its own accord; before its end it speaks of FATAL instead."""
    return result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"ERROR"
