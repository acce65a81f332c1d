"""Say why an answer of an upstream cannot go on, in words that its reader may see."""

from __future__ import annotations

import re
from typing import Final

from hansard.errors import HansardError

SERVER_ERROR: Final = "server_error"
RATE_LIMITED: Final = "rate_limit_exceeded"
INVALID_PROMPT: Final = "invalid_prompt"

_LONGEST: Final = 500
_KEYS: Final = re.compile(r"\b(?:(?:sk|pk|gsk|xai)[-_]|bearer )[\w*.-]{4,}", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

# What a Response's error may be called.
_CODES: Final = frozenset(
    {
        SERVER_ERROR,
        RATE_LIMITED,
        INVALID_PROMPT,
        "bio_policy",
        "data_residency_mismatch",
        "empty_image_file",
        "failed_to_download_image",
        "image_content_policy_violation",
        "image_file_not_found",
        "image_file_too_large",
        "image_parse_error",
        "image_too_large",
        "image_too_small",
        "invalid_base64_image",
        "invalid_image",
        "invalid_image_format",
        "invalid_image_mode",
        "invalid_image_url",
        "misalignment_policy_violation",
        "unsupported_image_media_type",
        "vector_store_timeout",
    }
)


class AnswerFailed(HansardError):
    """End an answer; the message is stored and read by the user, ``code`` is one of the Response's error codes.

    ``said`` is what the server said, for the user alone: ``reason``, without it, may be logged. Never leaves this
    package: it becomes a failed outcome.
    """

    def __init__(self, reason: str, *, said: object = None, code: str = SERVER_ERROR) -> None:
        told = _line(said)
        super().__init__(f"{reason.rstrip('.')}: {told}" if told else reason)
        self.reason = reason
        self.code = code


class EndpointMissing(AnswerFailed):
    """Report that the server does not have the API that was asked for."""


def ended_by(error: object) -> AnswerFailed:
    """Return the failure that an upstream reports in the middle of its stream."""
    told = error if isinstance(error, dict) else {"message": error}
    code = told.get("code")
    return AnswerFailed(
        "The model's server ended its answer with an error.",
        said=told.get("message"),
        code=code if isinstance(code, str) and code in _CODES else SERVER_ERROR,
    )


def _line(said: object) -> str:
    """Return one short line of text, without anything that looks like a key."""
    if not isinstance(said, str):
        return ""
    line = " ".join(_UNPRINTABLE.sub(" ", _KEYS.sub("…", said)).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
