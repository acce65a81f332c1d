"""Keep conversations with the library alone: no server, no framework, one file."""

import asyncio
import tempfile
from pathlib import Path

import hansard


async def main(url: str) -> None:
    """Write as two users, and read back."""
    async with hansard.open_store(url) as store:
        ann, bob = store.for_user("ann"), store.for_user("bob")

        chat = await ann.conversations.create(hansard.ConversationCreate(metadata={"topic": "errands"}))
        await ann.items.append(chat.id, [{"role": "user", "content": "What is left to do?"}])

        # Any JSON object is an item; it comes back exactly, also what a database cannot store as text.
        call = {"type": "function_call", "call_id": "call_1", "name": "list_tasks", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "call_1", "output": "milk \x00 \ud83d"}
        stored = await ann.items.append(chat.id, [call, output])
        assert [one.item for one in stored] == [call, output]

        # Safe to repeat after a timeout: the client_id is stored once.
        answer = hansard.MessageCreate({"role": "assistant", "content": "Milk."}, client_id="answer-1")
        assert await ann.items.append(chat.id, [answer]) == await ann.items.append(chat.id, [answer])

        # Two calls, one transaction.
        async with ann.atomic():
            await ann.conversations.rename(chat.id, "Errands")
            await ann.items.append(chat.id, [{"role": "user", "content": "Done."}])

        # Page by page, from the beginning.
        after, more = None, True
        while more:
            page = await ann.items.list(chat.id, limit=2, after=after)
            for one in page.data:
                print(one.position, one.kind, one.content)
            after, more = page.data[-1].position, page.has_more

        # Somebody else's conversation is a missing one.
        try:
            await bob.items.last(chat.id, 50)
        except hansard.NotFound as error:
            print("bob:", error)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(f"sqlite:///{Path(folder) / 'chat.db'}"))
