"""Say in SQL what happens to turns and their events.

Locks are taken in one order everywhere, the conversation's row before the turn's, so that nothing deadlocks.
A script that depends on a condition locks first and repeats the condition in every statement after that: under
the lock it has one answer.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql import Executable
from sqlalchemy.sql.elements import ColumnElement

from hansard.database.expressions import from_now, greatest
from hansard.models.turn import OPENING_EVENTS, RUNNING, Turn, TurnEvents
from hansard.store.statements import conversations, items

table = Turn.__table__  # type: ignore[attr-defined] # SQLModel sets it on table classes
events = TurnEvents.__table__  # type: ignore[attr-defined] # as above
t, e, c = table.c, events.c, conversations.c
NOW = func.clock_timestamp(type_=t.created_at.type)

RUNNING_INDEX = "uq_turns_running"

# In the order of TurnRead's fields.
COLUMNS = [
    t.id,
    t.conversation_id,
    t.ordinal,
    t.status,
    t.model,
    t.request,
    t.result,
    t.last_sequence,
    t.input_first,
    t.input_count,
    t.output_first,
    t.output_count,
    t.created_at,
    t.completed_at,
    t.cancel_requested_at,
    and_(RUNNING, t.lease_expires_at < NOW).label("expired"),
]

THIS = (t.user_id == bindparam("user_id")) & (t.id == bindparam("turn_id"))
_OF_CONVERSATION = (t.user_id == bindparam("user_id")) & (t.conversation_id == bindparam("conversation_id"))

GET = select(*COLUMNS).where(THIS)
# Where the item stands, or stood, before which so many others of the turn's output do.
_place = bindparam("place", type_=BigInteger)
OUTPUT_POSITION = select(t.output_first + _place).where(
    THIS, t.conversation_id == bindparam("conversation_id"), t.output_count > _place
)
ACTIVE = select(*COLUMNS).where(_OF_CONVERSATION, RUNNING)
# For whoever reads the items: the conversation, and whether what a lost turn said is missing from them.
PRESENT = select(
    c.id, exists(select(t.id).where(_OF_CONVERSATION, RUNNING, t.lease_expires_at < NOW)).label("unsettled")
).where(conversations.THIS)
NEWEST = select(*COLUMNS).where(_OF_CONVERSATION).order_by(t.ordinal.desc()).limit(1)
DELETE = delete(table).where(THIS).returning(t.id)
REQUEST_CANCEL = (
    update(table)
    .where(THIS, RUNNING)
    .values(cancel_requested_at=func.coalesce(t.cancel_requested_at, NOW))
    .returning(t.id)
)

# Beginning: nothing newer may have begun since the turn that is continued.
NO_NEWER_TURN = or_(
    bindparam("after_ordinal", type_=BigInteger).is_(None),
    ~exists(select(t.id).where(_OF_CONVERSATION, t.ordinal > bindparam("after_ordinal", type_=BigInteger))),
)


def _begin() -> Executable:
    written = {
        "user_id": c.user_id,
        "id": bindparam("turn_id", type_=t.id.type),
        "conversation_id": c.id,
        "ordinal": c.revision,
        "status": literal("in_progress"),
        "model": bindparam("model", type_=t.model.type),
        "request": bindparam("request", type_=t.request.type),
        "lease_token": bindparam("lease_token", type_=t.lease_token.type),
        "lease_expires_at": from_now("lease_seconds"),
        "last_sequence": literal(OPENING_EVENTS - 1, type_=BigInteger),
        "input_first": c.next_position - bindparam("count", type_=BigInteger),
        "input_count": bindparam("count", type_=BigInteger),
        "created_at": c.updated_at,
    }
    source = select(*written.values()).where(conversations.THIS, NO_NEWER_TURN)
    return insert(table).from_select(list(written), source)


BEGIN = _begin()
BEGIN_RESERVE = conversations.RESERVE.where(NO_NEWER_TURN)
BEGIN_INSERT_ROW = items.insert_row(NO_NEWER_TURN)
BEGIN_INSERT_ARRAYS = items.insert_arrays(NO_NEWER_TURN)


# Only who holds the lease writes the turn; a process that lost it meanwhile finds no row.
HELD = and_(THIS, RUNNING, t.lease_token == bindparam("lease_token", type_=t.lease_token.type))
RENEW = update(table).where(HELD).values(lease_expires_at=from_now("lease_seconds")).returning(t.cancel_requested_at)
RECORD = (
    update(table)
    .where(HELD)
    .values(
        lease_expires_at=from_now("lease_seconds"),
        last_sequence=greatest(t.last_sequence, bindparam("last", type_=BigInteger)),
    )
    .returning(t.cancel_requested_at)
)
TAKE_OVER = (
    update(table)
    .where(THIS, RUNNING, t.lease_expires_at < NOW)
    .values(lease_token=bindparam("new_token", type_=t.lease_token.type), lease_expires_at=from_now("lease_seconds"))
    .returning(*COLUMNS)
)

_EVENT_COLUMNS = ["user_id", "turn_id", "first_sequence", "last_sequence", "data", "created_at"]
INSERT_EVENTS = insert(events).from_select(
    _EVENT_COLUMNS,
    select(
        t.user_id,
        t.id,
        bindparam("first", type_=BigInteger),
        bindparam("last", type_=BigInteger),
        bindparam("data", type_=e.data.type),
        NOW,
        # A batch that was stored, by an attempt whose commit was in doubt, is not stored again.
    ).where(HELD, t.last_sequence < bindparam("first", type_=BigInteger)),
)

# Ending, in this order: both locks, then what the lease's holder may do.
_held = exists(select(t.id).where(HELD))
LOCK_CONVERSATION = select(c.id).where(conversations.THIS).with_for_update()
LOCK_TURN = select(t.id).where(HELD).with_for_update()
END_RESERVE = conversations.RESERVE.where(_held)
END_INSERT_ROW = items.insert_row(_held)
END_INSERT_ARRAYS = items.insert_arrays(_held)
END = (
    update(table)
    .where(HELD)
    .values(
        status=bindparam("status"),
        result=bindparam("result"),
        output_first=select(c.next_position - bindparam("count", type_=BigInteger))
        .where(conversations.THIS)
        .scalar_subquery(),
        output_count=bindparam("count", type_=BigInteger),
        last_sequence=greatest(t.last_sequence, bindparam("end_sequence", type_=BigInteger)),
        completed_at=NOW,
    )
    .returning(*COLUMNS)
)

_EVENTS_OF_TURN = (e.user_id == bindparam("user_id")) & (e.turn_id == bindparam("turn_id"))
EVENTS = (
    select(e.first_sequence, e.last_sequence, e.data)
    .where(_EVENTS_OF_TURN, e.last_sequence > bindparam("after", type_=BigInteger))
    .order_by(e.first_sequence.asc())
    .limit(bindparam("limit", type_=Integer))
)

_RUNNING_IN = and_(t.user_id == c.user_id, t.conversation_id == c.id, RUNNING)


def _activity(these: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    lost = func.coalesce(t.lease_expires_at < NOW, false())
    found = select(
        c.id, c.revision, c.next_position, c.message_count, t.id, t.last_sequence, t.cancel_requested_at, lost
    )
    return found.select_from(conversations.table.outerjoin(table, _RUNNING_IN)).where(
        c.user_id == bindparam("user_id"), these
    )


# By whether the database has arrays.
ACTIVITY = {
    True: _activity(c.id == any_(bindparam("conversation_ids", type_=ARRAY(Uuid)))),
    False: _activity(c.id == bindparam("conversation_id", type_=c.id.type)),
}

# A bounded piece of what nobody may resume any more goes with every turn that begins.
_key = tuple_(e.user_id, e.turn_id, e.first_sequence)
_old = (
    select(e.user_id, e.turn_id, e.first_sequence)
    .where(e.user_id == bindparam("user_id"), e.created_at < from_now("kept_seconds"))
    .order_by(e.created_at.asc())
    .limit(1000)
)
EXPIRE_EVENTS = delete(events).where(e.user_id == bindparam("user_id"), _key.in_(_old))
