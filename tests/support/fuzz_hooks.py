"""Tell schemathesis what a schema cannot say: which valid requests can only be refused, because of what is stored.

Only requests that should be accepted are changed, and only so far that they can be.
"""

import uuid
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext

KEY = "Idempotency-Key"
# Nobody can guess where a list goes on; links find it out.
CURSORS = {"listConversations", "searchMessages", "listTasks", "followConversation"}
NOBODY = "conv_" + "0" * 48


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Make a valid request one that can be accepted."""
    name = case.operation.definition.raw.get("operationId")
    if name == "followConversation":
        # A stream of something that exists does not end.
        case.path_parameters["conversation_id"] = NOBODY
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if KEY in (case.headers or {}):
        # A known key is another request's; a new one is as good.
        case.headers[KEY] = uuid.uuid4().hex
    if name in CURSORS:
        case.query.pop("after", None)
        case.headers.pop("Last-Event-ID", None)
    if name == "getResponse":
        case.headers.pop("Last-Event-ID", None)
    if name == "searchMessages":
        # There must be something to look for, and not too much of it.
        case.query["query"] = f"milk {case.query['query']}"[:90]
    if name == "createResponse" and isinstance(case.body, dict):
        case.body = answerable(case.body, keyed=KEY in (case.headers or {}))


def answerable(body: dict[str, Any], *, keyed: bool) -> dict[str, Any]:
    """What the offline assistant can answer: fields that exclude or need each other are left out."""
    body = {**body, "model": "offline", "previous_response_id": None}
    if body.get("conversation") is None and body.get("input") is None:
        body["input"] = "Hello"
    if body.get("background") or keyed:
        body["store"] = True
    return body
