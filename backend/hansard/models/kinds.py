"""Know the item types of the API: how their ids begin and what a client must send.

The set is open. What stands here follows ``ConversationItem`` in the official SDKs; a type that is missing here is
stored and given back as it came, under the prefix ``item``.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from hansard.models.limits import JsonObject

Types: TypeAlias = tuple[type, ...]
Fields: TypeAlias = Mapping[str, Types]

_TEXT: Final[Types] = (str,)
_LIST: Final[Types] = (list,)
_OBJECT: Final[Types] = (dict,)
_FLAG: Final[Types] = (bool,)
_TEXT_OR_PARTS: Final[Types] = (str, list)
_ANYTHING: Final[Types] = (object,)

OTHER_PREFIX: Final = "item"


class Kind(NamedTuple):
    """Describe an item type: its id's prefix, what input must hold, and whether its output needs a status."""

    prefix: str
    fields: Fields
    has_status: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    "message": Kind("msg", {"role": _TEXT, "content": _TEXT_OR_PARTS}),
    "function_call": Kind("fc", {"call_id": _TEXT, "name": _TEXT, "arguments": _TEXT}),
    "function_call_output": Kind("fco", {"output": _TEXT_OR_PARTS}),
    "file_search_call": Kind("fs", {"queries": _LIST}),
    "web_search_call": Kind("ws", {"action": _OBJECT}),
    "image_generation_call": Kind("ig", {}),
    "computer_call": Kind("cu", {"call_id": _TEXT, "pending_safety_checks": _LIST}),
    "computer_call_output": Kind("cuo", {"call_id": _TEXT, "output": _OBJECT}),
    "tool_search_call": Kind("tsc", {"arguments": _ANYTHING}),
    "tool_search_output": Kind("tso", {"tools": _LIST}),
    "additional_tools": Kind("at", {"role": _TEXT, "tools": _LIST}, has_status=False),
    "configuration_update": Kind("cfg", {}, has_status=False),
    "reasoning": Kind("rs", {"summary": _LIST}, has_status=False),
    "program": Kind("prog", {"call_id": _TEXT, "code": _TEXT, "fingerprint": _TEXT}, has_status=False),
    "program_output": Kind("progo", {"call_id": _TEXT, "result": _TEXT}),
    "compaction": Kind("cmp", {"encrypted_content": _TEXT}, has_status=False),
    "code_interpreter_call": Kind("ci", {"container_id": _TEXT}),
    "local_shell_call": Kind("lsh", {"call_id": _TEXT, "action": _OBJECT}),
    "local_shell_call_output": Kind("lsho", {"output": _TEXT}, has_status=False),
    "shell_call": Kind("sh", {"call_id": _TEXT, "action": _OBJECT}),
    "shell_call_output": Kind("sho", {"call_id": _TEXT, "output": _LIST}),
    "apply_patch_call": Kind("apc", {"call_id": _TEXT, "operation": _OBJECT}),
    "apply_patch_call_output": Kind("apco", {"call_id": _TEXT}),
    "mcp_list_tools": Kind("mcpl", {"server_label": _TEXT, "tools": _LIST}, has_status=False),
    "mcp_approval_request": Kind("mcpr", {"server_label": _TEXT, "name": _TEXT, "arguments": _TEXT}, has_status=False),
    "mcp_approval_response": Kind("mcpa", {"approval_request_id": _TEXT, "approve": _FLAG}, has_status=False),
    "mcp_call": Kind("mcp", {"server_label": _TEXT, "name": _TEXT, "arguments": _TEXT}, has_status=False),
    "custom_tool_call": Kind("ctc", {"call_id": _TEXT, "name": _TEXT, "input": _TEXT}),
    "custom_tool_call_output": Kind("ctco", {"call_id": _TEXT, "output": _TEXT_OR_PARTS}),
}
PREFIXES: Final = frozenset({OTHER_PREFIX, *(kind.prefix for kind in KINDS.values())})


def prefix_of(kind: str) -> str:
    """Return what the ids of this item type begin with."""
    known = KINDS.get(kind)
    return known.prefix if known else OTHER_PREFIX


def call_id_of(item: JsonObject) -> str | None:
    """Return the name of the call that an item is or answers; what is no text, which anybody may store, names none."""
    call_id = item.get("call_id")
    return call_id if isinstance(call_id, str) else None
