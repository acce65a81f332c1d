"""The official SDK for Node works unmodified, and what it gives has the shapes of the official models.

That SDK checks no shapes, so those of the SDK for Python judge what it gave.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from openai.types import conversations, responses
from pydantic import TypeAdapter

from tests.api.live import Person
from tests.api.samples import INCLUDED, ITEMS, sample
from tests.support.node import NODE_MODULES, naughty_strings, node_binary, npm_package

SCRIPT = Path(__file__).resolve().parents[1] / "node" / "conversations.cjs"
MODELS: dict[str, TypeAdapter[Any]] = {
    "Conversation": TypeAdapter(conversations.Conversation),
    "ConversationDeletedResource": TypeAdapter(conversations.ConversationDeletedResource),
    "ConversationItem": TypeAdapter(conversations.ConversationItem),
    "ConversationItemList": TypeAdapter(conversations.ConversationItemList),
    "Response": TypeAdapter(responses.Response),
}


def used_in_node(ann: Person) -> list[dict[str, Any]]:
    """Return what the SDK for Node gave, and how much it was asked."""
    npm_package("openai")
    task = {
        "items": {kind: sample(kind) for kind in ITEMS},
        "included": [{"value": value, "item": item} for value, (item, _, _) in INCLUDED.items()],
        "strings": [text for text in naughty_strings() if text],
    }
    environment = {
        **os.environ,
        "NODE_PATH": str(NODE_MODULES),
        "OPENAI_BASE_URL": str(ann.http.base_url.join("/v1")),
        "OPENAI_API_KEY": ann.key,
    }
    finished = subprocess.run(
        [node_binary(), SCRIPT],
        input=json.dumps(task),
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_an_application_in_node_finds_everything_as_it_is_used_to(ann: Person):
    *values, count = used_in_node(ann)
    for value in values:
        MODELS[value["model"]].validate_python(value["value"])
    assert len(values) == count["values"] > 2 * len(ITEMS)
    kinds = {value["value"]["type"] for value in values if value["model"] == "ConversationItem"}
    assert kinds == set(ITEMS)
