"""Define every exception that Hansard raises on purpose.

::

    HansardError
    ├── InvalidInput (ValueError)          a value that can never be accepted; names the field and the limit
    │   └── TooLarge                       longer or bigger than a limit
    ├── NotFound (LookupError)             missing, or somebody else's: the two look alike
    ├── Conflict                           well-formed, but not against what is stored
    │   ├── AlreadyExists                  an id or external id that is taken
    │   ├── IdempotencyConflict            a known client id or key with other content
    │   ├── RevisionConflict               the conversation changed since it was read
    │   └── ConversationLocked             a turn is running in this conversation
    ├── UnknownUser (PermissionError)      no such user, and none may be made
    ├── ShuttingDown                       this process takes no new turns; another one may
    ├── DatabaseError
    │   ├── DatabaseUnavailable            nothing was written; try again
    │   ├── OutcomeUnknown                 the connection died while a commit was under way
    │   ├── SchemaOutdated                 migrations are missing (or newer than this release)
    │   └── CorruptRow                     a stored row that cannot be read back; names its key
    └── ConfigurationError                 a setting that cannot work
"""

from __future__ import annotations


class HansardError(Exception):
    """Be the base of everything Hansard raises on purpose."""


class InvalidInput(HansardError, ValueError):
    """Refuse a value that can never be accepted.

    ``param`` is the path of the field, such as ``items[3].role``; ``code`` a stable word for programs.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class TooLarge(InvalidInput):
    """Refuse a value beyond a limit; the message names the limit."""

    def __init__(self, message: str, *, param: str | None = None, code: str = "too_large") -> None:
        super().__init__(message, param=param, code=code)


class NotFound(HansardError, LookupError):
    """Report a thing that does not exist for this user.

    Somebody else's thing raises exactly the same, with the same words.
    """

    def __init__(self, noun: str, identity: object) -> None:
        super().__init__(f"{noun} {identity!s} not found")
        self.noun = noun
        self.identity = identity


class Conflict(HansardError):
    """Report a request that is well-formed but does not fit what is stored."""


class AlreadyExists(Conflict):
    """Report an id that is taken."""


class IdempotencyConflict(Conflict):
    """Report a client id or idempotency key that was used for other content."""


class RevisionConflict(Conflict):
    """Report that the conversation changed since the caller read it."""


class ConversationLocked(Conflict):
    """Report that a turn is running in this conversation."""


class UnknownUser(HansardError, PermissionError):
    """Report a user that the ``user`` table does not have and that may not be made."""


class ShuttingDown(HansardError):
    """Report that this process is being stopped and begins no more turns; nothing was written."""


class DatabaseError(HansardError):
    """Be the base of what goes wrong between Hansard and its database."""


class DatabaseUnavailable(DatabaseError, ConnectionError):
    """Report a database that did not answer; nothing was written, so the call may be repeated."""


class OutcomeUnknown(DatabaseError):
    """Report a write whose commit was under way when the connection died: done or undone, nobody knows.

    Read before writing again, or give items a ``client_id``: such writes are retried safely.
    """


class SchemaOutdated(DatabaseError):
    """Report a database whose migrations do not match this release."""


class CorruptRow(DatabaseError):
    """Report a stored row that cannot be read back; the message names its key, never its content."""


class ConfigurationError(HansardError):
    """Report a setting that cannot work, with what to do about it."""
