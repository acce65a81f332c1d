"""Ask the service for everything it can do: the examples of the OpenAPI document.

The story is told in embedded mode, which has every operation. `SDK` does by the official SDK what that has a word for,
in the order in which it works.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

Ask: TypeAlias = Callable[..., Any]

SDK: dict[str, str] = {
    "createConversation": """\
conversation = client.conversations.create(
    items=[{"role": "user", "content": "Buy milk"}],
    metadata={"topic": "groceries"},
)""",
    "getConversation": "conversation = client.conversations.retrieve(conversation.id)",
    "updateConversation": 'conversation = client.conversations.update(conversation.id, metadata={"topic": "shopping"})',
    "createConversationItems": """\
added = client.conversations.items.create(
    conversation.id,
    items=[{"role": "assistant", "content": "How much of it?"}],
)""",
    "listConversationItems": """\
for item in client.conversations.items.list(conversation.id, order="asc"):  # asks for more pages by itself
    print(item.type, item.id)""",
    "getConversationItem": """\
item = client.conversations.items.retrieve(added.last_id, conversation_id=conversation.id)""",
    "deleteConversationItem": """\
conversation = client.conversations.items.delete(added.last_id, conversation_id=conversation.id)""",
    "createResponse": """\
response = client.responses.create(model="offline", conversation=conversation.id, input="Add buy milk")
print(response.output_text)""",
    "getResponse": """\
for event in client.responses.retrieve(response.id, stream=True, starting_after=3):
    print(event.sequence_number, event.type)""",
    "listInputItems": "asked = client.responses.input_items.list(response.id)",
    "cancelResponse": "response = client.responses.cancel(response.id)",
    "deleteResponse": "client.responses.delete(response.id)",
    "deleteConversation": "client.conversations.delete(conversation.id)",
}


def tell(ask: Ask, *, code: str) -> None:
    """Ask for everything; ``code`` is that of a login URL."""
    _tell_of_conversations(ask)
    _tell_of_turns(ask)
    _tell_of_tasks(ask)
    _tell_of_the_service(ask, code=code)


def _tell_of_conversations(ask: Ask) -> None:
    made = ask(
        "createConversation",
        "With a first item",
        body={
            "items": [{"role": "user", "content": "Buy milk"}],
            "metadata": {"topic": "groceries"},
            "title": "Groceries",
        },
        headers={"Idempotency-Key": "groceries-1"},
    )
    home = {"conversation_id": made["id"]}
    ask("listConversations", "The most recent first", query={"limit": 1})
    ask("getConversation", "A conversation", path=home)
    ask("updateConversation", "Another title", path=home, body={"title": "Shopping"})
    ask("updateConversation", "Archive", path=home, body={"archived": True})
    ask("updateConversation", "Take it back, with other metadata", path=home, body={"archived": False, "metadata": {}})
    call = {"type": "function_call", "call_id": "call_1", "name": "add_task", "arguments": '{"title":"milk"}'}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    ask("createConversationItems", "A call and its output", path=home, body={"items": [call, output]})
    said = ask(
        "createConversationItems",
        "A message in parts",
        path=home,
        body={"items": [{"role": "assistant", "content": [{"type": "output_text", "text": "The milk is noted."}]}]},
    )
    own = {"type": "shopping_list", "things": ["milk"]}
    ask("createConversationItems", "A type of your own", path=home, body={"items": [own]})
    one = {**home, "item_id": said["last_id"]}
    ask("listConversationItems", "In the order in which they came", path=home, query={"limit": 2, "order": "asc"})
    ask("getConversationItem", "A message", path=one)
    ask("searchMessages", "Messages with both words", query={"query": "milk noted"})
    ask("followConversation", "The items from the first on", path=home, query={"after": "0"}, events=5)
    ask("createConversationItems", "A field is missing", path=home, body={"items": [{"type": "function_call"}]})
    ask("getConversation", "No such conversation", path={"conversation_id": "conv_" + "0" * 48})
    ask("deleteConversationItem", "The conversation without it", path=one)
    ask("deleteConversation", "A conversation", path=home)


def _tell_of_turns(ask: Ask) -> None:
    home = ask("createConversation", "An empty one", body={})["id"]
    whole = ask("createResponse", "In a conversation", body={"conversation": home, "input": "Add buy milk"})
    ask(
        "createResponse",
        "As a stream",
        body={"conversation": home, "input": "Hello", "stream": True, "model": "offline"},
    )
    ask("createResponse", "A model that is not there", body={"input": "Hello", "model": "none"})
    ask(
        "getConversation",
        "With how its newest response ended",
        path={"conversation_id": home},
        query={"include[]": "last_response"},
    )
    turn = {"response_id": whole["id"]}
    ask("getResponse", "As it is now", path=turn)
    ask("getResponse", "The last events", path=turn, query={"stream": "true", "starting_after": 11})
    ask("listInputItems", "What was asked", path=turn)
    ask("cancelResponse", "One that has ended stays as it is", path=turn)
    ask("deleteResponse", "Delete", path=turn)


def _tell_of_tasks(ask: Ask) -> None:
    ask("listTasks", "The first", query={"limit": 1})
    made = ask("createTask", "With a description", body={"title": "Buy bread", "description": "Rye"})
    one = {"task_id": made["id"]}
    ask("getTask", "A task", path=one)
    ask("updateTask", "Another title", path=one, body={"title": "Buy rye bread"})
    ask("completeTask", "It is done", path=one)
    ask("deleteTask", "Delete", path=one)


def _tell_of_the_service(ask: Ask, *, code: str) -> None:
    ask("parseMarkdown", "One text", body={"texts": ["Two *plain* words"]})
    ask("getUser", "Who I am")
    ask("createSession", "A code", body={"code": code})
    ask("createSession", "A code that was used", body={"code": code})
    ask("createSession", "A body that is too large", body={"code": "x" * 5000})
    ask("getHealth", "Alive")
    ask("getReadiness", "Ready")
    ask("getUser", "A key that is not valid", headers={"Authorization": "Bearer x"})
    ask("getUser", "Another host", headers={"Host": "example.com"})
    ask("createTask", "A form", body={}, headers={"Content-Type": "application/x-www-form-urlencoded"})
