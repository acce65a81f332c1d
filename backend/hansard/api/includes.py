"""Leave out of items what ``include[]`` does not ask for, and add to a conversation what it does.

Who asks for nothing of an item gets everything that is stored; docs/decisions/0018-include.md says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Query
from pydantic import WithJsonSchema

from hansard.errors import InvalidInput
from hansard.models.limits import JsonObject

_Cut: TypeAlias = Callable[[JsonObject], JsonObject]


def _cut_field(name: str) -> _Cut:
    return lambda holder: {key: value for key, value in holder.items() if key != name}


def _empty_field(name: str, empty: Any) -> _Cut:
    # Strict clients want these fields to be there.
    return lambda holder: {**holder, name: empty} if name in holder else holder


def _inside(name: str, cut: _Cut) -> _Cut:
    return lambda item: {**item, name: cut(item[name])} if isinstance(item.get(name), dict) else item


def _in_parts(kind: str, cut: _Cut) -> _Cut:
    def cut_part(part: Any) -> Any:
        return cut(part) if isinstance(part, dict) and part.get("type") == kind else part

    return lambda item: (
        {**item, "content": [cut_part(part) for part in item["content"]]}
        if isinstance(item.get("content"), list)
        else item
    )


# What each value asks for begins with the type of the items that have it.
_CUTS: Final[Mapping[str, _Cut]] = {
    "code_interpreter_call.outputs": _empty_field("outputs", None),
    "computer_call_output.output.image_url": _inside("output", _cut_field("image_url")),
    "file_search_call.results": _empty_field("results", None),
    "message.input_image.image_url": _in_parts("input_image", _cut_field("image_url")),
    "message.output_text.logprobs": _in_parts("output_text", _empty_field("logprobs", [])),
    "reasoning.encrypted_content": _cut_field("encrypted_content"),
    "web_search_call.action.sources": _inside("action", _cut_field("sources")),
    "web_search_call.results": _cut_field("results"),
}

INCLUDABLE: Final = frozenset(_CUTS)
# Only told, so that another one is refused in the API's own words.
_Includable: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(INCLUDABLE)})]

LAST_RESPONSE: Final = "last_response"
_OfConversations: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": [LAST_RESPONSE]})]


def leave_out(item: JsonObject, values: frozenset[str]) -> JsonObject:
    """Return an item as the API shows it, without what these values of ``include[]`` ask for."""
    for value in values:
        if value.partition(".")[0] == item.get("type"):
            item = _CUTS[value](item)
    return item


def check_values(asked: Collection[str], *, known: Collection[str] = INCLUDABLE) -> None:
    """Raise `InvalidInput` for a value that the API does not have."""
    if not set(known).issuperset(asked):
        names = ", ".join(f"'{name}'" for name in sorted(known))
        raise InvalidInput(f"Invalid value for 'include': it must be one of {names}.", param="include")


async def checked_include(
    include: Annotated[
        list[_Includable] | None,
        Query(
            alias="include[]",
            description="What to give beside the rest of the items; of what this can ask for, nothing else is then "
            "given. Without it everything stored is.",
        ),
    ] = None,
    include_plain: Annotated[list[str] | None, Query(alias="include", include_in_schema=False)] = None,
) -> frozenset[str]:
    """Return what is not to be given; raises `InvalidInput` for a value that the API does not have."""
    asked = {*(include or ()), *(include_plain or ())}
    check_values(asked)
    return frozenset(_CUTS.keys() - asked) if asked else frozenset()


async def included_in_conversation(
    include: Annotated[
        list[_OfConversations] | None,
        Query(
            alias="include[]",
            description="`last_response` adds the newest response, without its output: whether it runs, or how it "
            "ended. An addition to the OpenAI API.",
        ),
    ] = None,
    include_plain: Annotated[list[str] | None, Query(alias="include", include_in_schema=False)] = None,
) -> frozenset[str]:
    """Return what a conversation is to be shown with; raises `InvalidInput` for what there is not."""
    asked = {*(include or ()), *(include_plain or ())}
    check_values(asked, known={LAST_RESPONSE})
    return frozenset(asked)


LeftOut = Annotated[frozenset[str], Depends(checked_include)]
Included = Annotated[frozenset[str], Depends(included_in_conversation)]
