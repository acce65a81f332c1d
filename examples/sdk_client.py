"""Talk to the service with the official SDK, unmodified.

Start the service with `make run`, then set OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY to what
`hansard token` prints.
"""

from openai import OpenAI
from openai.pagination import SyncConversationCursorPage
from openai.types.conversations import Conversation


def main() -> None:
    """Hold a conversation, read it back, list and delete it."""
    client = OpenAI()
    conversation = client.conversations.create(metadata={"topic": "errands"})

    for words in ("add buy milk", "show my tasks"):
        response = client.responses.create(conversation=conversation.id, input=words)
        print(f"> {words}\n{response.output_text}")

    # The SDK fetches page after page.
    for item in client.conversations.items.list(conversation.id, order="asc", limit=2):
        print(item.type, item.id)

    # What the API has no word for, Hansard adds beside it: a title, and a list by recent activity.
    client.post(f"/conversations/{conversation.id}", cast_to=object, body={"title": "Errands"})
    newest_first = client.get_api_list(
        "/conversations", model=Conversation, page=SyncConversationCursorPage[Conversation]
    )
    print([listed.title for listed in newest_first])  # type: ignore[attr-defined] # a field of ours

    client.conversations.delete(conversation.id)


if __name__ == "__main__":
    main()
