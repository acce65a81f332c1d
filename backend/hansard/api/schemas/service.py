"""Describe errors, and what is about the service itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas.shapes import Schema, nullable, ref, string, struct

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": struct({"error": ref("ErrorDetails")}, description="Why a request was refused."),
    "ErrorDetails": struct(
        {
            "message": string("What is wrong, for people; it may change."),
            "type": string("Whose fault it is.", enum=["invalid_request_error", "rate_limit_exceeded", "server_error"]),
            "param": nullable(string("The field that is wrong, such as `items[3].role`.")),
            "code": nullable(string("What is wrong, for programs; it does not change.")),
        },
        description="What is wrong with a request.",
    ),
    "Health": struct({"status": string(enum=["ok", "ready"])}, description="The service is well."),
    "SignIn": struct({"code": string("The code of a login URL.")}, closed=True, description="What lets a browser in."),
    "User": struct({"user_id": string("The `sub` of the token.")}, description="Who is signed in."),
}
