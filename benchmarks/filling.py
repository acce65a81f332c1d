"""Fill a database as years of use would have: many users, unequal, their conversations growing side by side.

Rows go in by COPY, at the place in time at which they would have been appended, so the heap and the indexes are as
scattered as in life. What the store promises holds for them: positions without gaps, counters and times that fit;
`check` asks the database for it.
"""

import random
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from typing import NamedTuple, TextIO
from uuid import UUID

import psycopg

from benchmarks.results import ROOT

CHARACTERS = 400
TEXTS = 4096
BATCH = 50_000
MESSAGES_A_DAY = 4_000
BEGAN = datetime(2024, 1, 1, tzinfo=timezone.utc)
TURN = 2
# A conversation has about this many messages, most fewer and some many more.
USUAL = 40
BROUGHT = "user_id, conversation_id, position, kind, role, status, content, created_at"
COUNTED = (
    "user_id, id, source, listed, title, title_source, next_position, message_count, revision, "
    "created_at, updated_at, last_message_at"
)
ANSWERED = (
    "user_id, id, conversation_id, ordinal, status, model, request, result, lease_token, lease_expires_at, "
    "last_sequence, input_first, input_count, output_first, output_count, created_at, completed_at"
)


class Shape(NamedTuple):
    """Say what is to be there: the first user has many conversations, the second a very long one."""

    messages: int
    users: int
    busiest: int
    longest: int


class Place(NamedTuple):
    """Name a conversation, and say how many messages it has."""

    user_id: str
    conversation_id: UUID
    messages: int


class Bar:
    """Show how far it is, how fast, and how long it will take."""

    WIDTH = 32

    def __init__(self, whole: int, what: str, out: TextIO = sys.stderr) -> None:
        self._whole, self._what, self._out = whole, what, out
        self._began = self._shown = time.perf_counter()
        self._done = 0

    def add(self, count: int) -> None:
        """Go on; draws ten times a second on a terminal, and elsewhere a line in ten seconds."""
        self._done += count
        now = time.perf_counter()
        if now - self._shown >= (0.1 if self._out.isatty() else 10) or self._done >= self._whole:
            self._shown = now
            self._draw(now - self._began)

    @property
    def rate(self) -> float:
        """Return how many it were in a second, so far."""
        return self._done / (time.perf_counter() - self._began)

    def _draw(self, seconds: float) -> None:
        full = self.WIDTH * self._done // self._whole
        left = seconds / self._done * (self._whole - self._done)
        line = f"[{'#' * full}{'.' * (self.WIDTH - full)}] {self._done:,} of {self._whole:,} {self._what}, "
        line += f"{self._done / seconds:,.0f}/s, {left:.0f} s left"
        end = "" if self._out.isatty() and self._done < self._whole else "\n"
        print(f"\r{line}" if self._out.isatty() else line, end=end, file=self._out, flush=True)


def natural_texts(count: int = TEXTS, characters: int = CHARACTERS, *, seed: int = 7) -> list[str]:
    """Return pieces of this length of the prose that is at hand: our own documentation."""
    chosen = random.Random(seed)
    prose = " ".join(" ".join(path.read_text("utf-8").split()) for path in sorted((ROOT / "docs").rglob("*.md")))
    starts = [chosen.randrange(len(prose) - characters) for _ in range(count)]
    return [prose[start : start + characters] for start in starts]


def fill(url: str, shape: Shape, *, seed: int = 7, id_length: int = 36) -> tuple[list[Place], float]:
    """Fill an empty, migrated database; return its conversations, and how many messages went in per second.

    A user's id is a UUID as text, or the first ``id_length`` characters of one.
    """
    chosen = random.Random(seed)
    places = list(_places(shape, chosen, id_length))
    order = array("I")
    for index, place in enumerate(places):
        order.extend([index] * (place.messages // TURN))
    chosen.shuffle(order)
    with psycopg.connect(url) as connection:
        # The rows are right by construction, and `check` looks at all of them; to look each one's conversation up
        # as it comes would take longer than to store it.
        connection.execute("SET session_replication_role = replica")
        _copy_users(connection, sorted({place.user_id for place in places}))
        # The conversations first, as in life; their counters are those of the end.
        last = _last_times(order, len(places))
        _copy(connection, "conversations", COUNTED, _conversations(places, last))
        _copy(connection, "turns", ANSWERED, _turns(places, last, chosen))
        connection.commit()
        bar = Bar(len(order) * TURN, "messages")
        for rows in _batches(places, order, natural_texts(seed=seed)):
            with connection.cursor() as cursor, cursor.copy(f"COPY messages ({BROUGHT}) FROM STDIN") as copy:
                copy.write("".join(rows).encode())
            connection.commit()
            bar.add(len(rows))
        rate = bar.rate
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    return places, rate


def check(url: str) -> None:
    """Fail unless positions have no gap, counters and times fit, and every row has its parent."""
    wrong = """
        SELECT count(*) FROM conversations c LEFT JOIN (
            SELECT user_id, conversation_id, count(*) AS found, min(position) AS least, max(position) AS most,
                max(created_at) AS newest
            FROM messages GROUP BY user_id, conversation_id
        ) m ON m.user_id = c.user_id AND m.conversation_id = c.id
        WHERE (m.found, m.least, m.most, m.newest)
            IS DISTINCT FROM (c.message_count, 1::bigint, c.next_position - 1, c.last_message_at)
    """
    orphans = """
        SELECT count(*) FROM (SELECT DISTINCT user_id, conversation_id FROM messages) m
        LEFT JOIN conversations c ON c.user_id = m.user_id AND c.id = m.conversation_id
        LEFT JOIN "user" u ON u.id = m.user_id WHERE c.id IS NULL OR u.id IS NULL
    """
    with psycopg.connect(url) as connection:
        for query in (wrong, orphans):
            found = connection.execute(query.encode()).fetchone()
            assert found == (0,), f"{found} conversations are not as the store would have left them"


def _places(shape: Shape, chosen: random.Random, id_length: int) -> Iterator[Place]:
    users = [str(UUID(int=chosen.getrandbits(128), version=4))[:id_length] for _ in range(shape.users)]
    left = shape.messages - shape.longest
    yield Place(users[1], _id(chosen), shape.longest)
    for _ in range(shape.busiest):
        size = TURN
        left -= size
        yield Place(users[0], _id(chosen), size)
    weights = list(accumulate(1 / (rank + 10) for rank in range(shape.users)))
    while left >= TURN:
        size = min(left, TURN * max(1, int(chosen.paretovariate(1.2) * USUAL / 12)))
        left -= size
        yield Place(chosen.choices(users, cum_weights=weights)[0], _id(chosen), size - size % TURN)


def _id(chosen: random.Random) -> UUID:
    # Like version 7: what is made at the same time stands together.
    when = int(BEGAN.timestamp() * 1000) + chosen.randrange(700 * 86_400_000)
    return UUID(int=when << 80 | 0x7 << 76 | chosen.getrandbits(12) << 64 | 0b10 << 62 | chosen.getrandbits(62))


def _last_times(order: "array[int]", count: int) -> list[datetime]:
    last = [0] * count
    for turn, index in enumerate(order):
        last[index] = turn
    return [_time(turn, 1) for turn in last]


def _time(turn: int, second: int) -> datetime:
    return BEGAN + timedelta(seconds=(turn * TURN + second) * 86_400 / MESSAGES_A_DAY)


def _copy_users(connection: psycopg.Connection, users: Iterable[str]) -> None:
    _copy(connection, '"user"', "id, created_at", ((user, BEGAN.replace(tzinfo=None)) for user in users))


def _copy(connection: psycopg.Connection, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _conversations(places: list[Place], last: list[datetime]) -> Iterator[tuple[object, ...]]:
    for place, newest in zip(places, last, strict=True):
        revision = 1 + place.messages // TURN
        counted = (place.messages + 1, place.messages, revision)
        title = "What was said about the weather of the day"
        yield (place.user_id, place.conversation_id, "", True, title, "auto", *counted, BEGAN, newest, newest)


def _turns(places: list[Place], last: list[datetime], chosen: random.Random) -> Iterator[tuple[object, ...]]:
    """Return the newest turn of each conversation; those before it would be more of the same."""
    for place, newest in zip(places, last, strict=True):
        ids = (place.user_id, _id(chosen), place.conversation_id, place.messages // TURN)
        positions = (place.messages - 1, 1, place.messages, 1)
        yield (*ids, "completed", "offline", "{}", "{}", _id(chosen), newest, 9, *positions, newest, newest)


def _batches(places: list[Place], order: "array[int]", texts: list[str]) -> Iterator[list[str]]:
    heads = [f"{place.user_id}\t{place.conversation_id}\t" for place in places]
    asked = [f"\tmessage\tuser\tcompleted\t{_escaped(text)}\t" for text in texts]
    said = [f"\tmessage\tassistant\tcompleted\t{_escaped(text)}\t" for text in texts]
    position = array("I", bytes(4 * len(places)))
    rows: list[str] = []
    for turn, index in enumerate(order):
        head, first = heads[index], position[index] + 1
        position[index] = first + 1
        # A prime, so that the same text does not come with the same conversation again and again.
        at = turn * 7919 % len(texts)
        rows += (
            f"{head}{first}{asked[at]}{_time(turn, 0)}\n",
            f"{head}{first + 1}{said[at - 1]}{_time(turn, 1)}\n",
        )
        if len(rows) >= BATCH:
            yield rows
            rows = []
    if rows:
        yield rows


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
