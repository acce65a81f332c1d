"""Say in SQL what happens to idempotency keys."""

from __future__ import annotations

from sqlalchemy import any_, bindparam, delete, func, insert, null, select, update

from hansard.models.idempotency import IdempotencyKey

table = IdempotencyKey.__table__  # type: ignore[attr-defined] # SQLModel sets it on table classes
k = table.c

# Enough to catch up with any client, few enough to cost nothing.
EXPIRED_AT_ONCE = 100

_OWN = k.user_id == bindparam("user_id")
_THIS = _OWN & (k.key == bindparam("key"))
_EXPIRED = k.created_at < bindparam("expired", type_=k.created_at.type)

# Lets the statements that follow in this transaction wait for a lock no longer than this, and a process that is paused
# between them keep its own locks no longer than that.
BOUND_WAITS = select(
    func.set_config("lock_timeout", bindparam("patience"), True),
    func.set_config("idle_in_transaction_session_timeout", bindparam("idleness"), True),
)

FORGET_EXPIRED = delete(table).where(_THIS, _EXPIRED)
# Rows that somebody else is just deleting are left to them: nobody need wait for that.
_OLDEST = (
    select(k.key)
    .where(_OWN, _EXPIRED)
    .order_by(k.created_at)
    .limit(EXPIRED_AT_ONCE)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
# By whether the database has arrays. PostgreSQL would run a plain subquery again for every row it deletes.
TIDY = {
    True: delete(table).where(_OWN, k.key == any_(func.array(_OLDEST))),
    False: delete(table).where(_OWN, k.key.in_(_OLDEST)),
}

CLAIM = insert(table).values(
    user_id=bindparam("user_id"),
    key=bindparam("key"),
    request=bindparam("request"),
    status=null(),
    answer=null(),
    created_at=bindparam("now", type_=k.created_at.type),
)
RECORD = update(table).where(_THIS).values(status=bindparam("status"), answer=bindparam("answer"))
FIND = select(k.request, k.status, k.answer).where(_THIS)
