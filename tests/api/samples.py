"""One item of every type the API has, as a client sends it and without what the API fills in."""

from typing import Any

FUNCTION_TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}

ITEMS: dict[str, dict[str, Any]] = {
    "message": {"role": "user", "content": "Hello"},
    "function_call": {"call_id": "c1", "name": "add", "arguments": '{"b": 1, "a": 2}'},
    "function_call_output": {"call_id": "c1", "output": "3"},
    "file_search_call": {"queries": ["milk"], "results": None},
    "web_search_call": {"action": {"type": "search", "query": "milk", "queries": ["milk"]}},
    "image_generation_call": {"result": "aGk="},
    "computer_call": {"call_id": "c2", "pending_safety_checks": [], "action": {"type": "screenshot"}},
    "computer_call_output": {"call_id": "c2", "output": {"type": "computer_screenshot", "image_url": "data:x"}},
    "tool_search_call": {"arguments": {"goal": "add"}, "call_id": "c3"},
    "tool_search_output": {"tools": [FUNCTION_TOOL], "call_id": "c3"},
    "additional_tools": {"role": "developer", "tools": [FUNCTION_TOOL]},
    "configuration_update": {},
    "reasoning": {"summary": [{"type": "summary_text", "text": "Thought"}], "encrypted_content": "xyz"},
    "program": {"call_id": "c4", "code": "1 + 1", "fingerprint": "f"},
    "program_output": {"call_id": "c4", "result": "2"},
    "compaction": {"encrypted_content": "xyz"},
    "code_interpreter_call": {"container_id": "k", "code": "1", "outputs": None},
    "local_shell_call": {"call_id": "c5", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    "local_shell_call_output": {"output": "{}"},
    "shell_call": {"call_id": "c6", "action": {"commands": ["ls"], "max_output_length": None, "timeout_ms": None}},
    "shell_call_output": {
        "call_id": "c6",
        "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    },
    "apply_patch_call": {"call_id": "c7", "operation": {"type": "delete_file", "path": "a"}},
    "apply_patch_call_output": {"call_id": "c7"},
    "mcp_list_tools": {"server_label": "s", "tools": [{"name": "t", "input_schema": {}}]},
    "mcp_approval_request": {"server_label": "s", "name": "t", "arguments": "{}"},
    "mcp_approval_response": {"approval_request_id": "mcpr_1", "approve": True},
    "mcp_call": {"server_label": "s", "name": "t", "arguments": "{}"},
    "custom_tool_call": {"call_id": "c8", "name": "t", "input": "x"},
    "custom_tool_call_output": {"call_id": "c8", "output": "y"},
}


def sample(kind: str) -> dict[str, Any]:
    """The item of a type, with its type first."""
    return {"type": kind, **ITEMS[kind]}


LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
PAGE = {"type": "url", "url": "https://milk.example"}
INCLUDED: dict[str, tuple[dict[str, Any], Any, Any]] = {
    # By the value of include: an item, where it has what is asked for, and what stands there for those who do not ask.
    "code_interpreter_call.outputs": (
        {"type": "code_interpreter_call", "container_id": "k", "code": "1", "outputs": [{"type": "logs", "logs": "1"}]},
        ("outputs",),
        None,
    ),
    "computer_call_output.output.image_url": (sample("computer_call_output"), ("output", "image_url"), "gone"),
    "file_search_call.results": (
        {"type": "file_search_call", "queries": ["milk"], "results": [{"text": "milk", "score": 0.5}]},
        ("results",),
        None,
    ),
    "message.input_image.image_url": (
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]},
        ("content", 0, "image_url"),
        "gone",
    ),
    "message.output_text.logprobs": (
        {"role": "assistant", "content": [{"type": "output_text", "text": "a", "logprobs": [LOGPROB]}]},
        ("content", 0, "logprobs"),
        [],
    ),
    "reasoning.encrypted_content": (sample("reasoning"), ("encrypted_content",), "gone"),
    "web_search_call.action.sources": (
        {"type": "web_search_call", "action": {"type": "search", "query": "milk", "sources": [PAGE]}},
        ("action", "sources"),
        "gone",
    ),
    "web_search_call.results": (
        {"type": "web_search_call", "action": {"type": "search", "query": "milk"}, "results": [{"title": "Milk"}]},
        ("results",),
        "gone",
    ),
}
