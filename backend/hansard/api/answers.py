"""Hold the one shape of answers: JSON bytes that are ready to send."""

from __future__ import annotations

from fastapi import Response


class JsonAnswer(Response):
    """Send JSON that is bytes already, in ASCII."""

    media_type = "application/json"
