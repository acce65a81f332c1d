"""Declare the query parameters that lists share."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from fastapi import Query

from hansard.errors import InvalidInput
from hansard.store.contract import Order

Limit: TypeAlias = Annotated[int, Query(ge=1, le=100, description="How many to return at most.")]
OrderOf: TypeAlias = Annotated[Order, Query(description="`asc` for the oldest first, `desc` for the newest.")]

INCLUDABLE: Final = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)


async def checked_include(
    include: Annotated[
        list[str] | None,
        Query(alias="include[]", description="Accepted for compatibility: everything stored is always included."),
    ] = None,
    include_plain: Annotated[list[str] | None, Query(alias="include", include_in_schema=False)] = None,
) -> None:
    """Refuse values of ``include[]`` that the API does not have."""
    for value in (*(include or ()), *(include_plain or ())):
        if value not in INCLUDABLE:
            known = ", ".join(f"'{name}'" for name in sorted(INCLUDABLE))
            raise InvalidInput(f"Invalid value for 'include': it must be one of {known}.", param="include")
