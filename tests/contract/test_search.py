"""What the contract promises of searching: whose messages are found, which of them, in which order, shown how."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from hansard.errors import ConfigurationError, InvalidInput
from hansard.models.search import SearchFilter, SearchSettings
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.store_steps import says

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def user(someone):
    return someone()


async def texts(user, query, **only):
    """Return the texts of what is found, in order."""
    hits = (await user.search.messages(query, limit=100, only=SearchFilter(**only))).data
    return [(await user.items.get(hit.conversation_id, hit.position)).content for hit in hits]


def spelled(hit):
    return "".join(f"[{segment.text}]" if segment.match else segment.text for segment in hit.snippet)


class TestWhoseMessages:
    async def test_nobody_finds_what_others_wrote(self, user, someone):
        stranger = someone()
        await user.conversations.create(items=says("secret milk"))
        await stranger.conversations.create(items=says("other milk"))
        assert await texts(user, "milk") == ["secret milk"]
        assert await texts(stranger, "milk") == ["other milk"]
        assert await texts(someone(), "milk") == []

    async def test_a_foreign_conversation_holds_nothing(self, user, someone):
        stranger = someone()
        foreign = await stranger.conversations.create(items=says("other milk"))
        await user.conversations.create(items=says("secret milk"))
        assert await texts(user, "milk", conversation_id=foreign.id) == []

    @pytest.mark.parametrize("ending", ['"', "' OR '1'='1", ' OR content : "milk"', "\U0001f984", " ", "%", "_"])
    async def test_a_users_name_is_only_a_name(self, searching, someone, ending):
        await someone().conversations.create(items=says("secret milk"))
        user = searching.for_user(f"user-{new_uuid()}{ending}")
        await user.conversations.create(items=says("own milk"))
        assert await texts(user, "milk") == ["own milk"]


class TestWhatIsThere:
    async def test_a_message_is_found_as_soon_as_it_is_stored(self, user):
        made = await user.conversations.create()
        for number in range(5):
            await user.items.append(made.id, says(f"milk {number}"))
            assert len(await texts(user, "milk")) == number + 1

    async def test_in_a_block_as_well(self, user):
        async with user.atomic():
            await user.conversations.create(items=says("milk"))
            assert await texts(user, "milk") == ["milk"]

    async def test_what_is_undone_is_not_found(self, user):
        with pytest.raises(ZeroDivisionError):
            await self.make_find_and_fail(user)
        assert await texts(user, "milk") == []
        await user.conversations.create(items=says("more milk"))
        assert await texts(user, "milk") == ["more milk"]

    async def make_find_and_fail(self, user):
        async with user.atomic():
            await user.conversations.create(items=says("milk"))
            assert await texts(user, "milk") == ["milk"]
            raise ZeroDivisionError

    async def test_a_deleted_item_is_gone(self, user):
        made = await user.conversations.create(items=says("milk 1", "milk 2"))
        await user.items.delete(made.id, 1)
        assert await texts(user, "milk") == ["milk 2"]

    async def test_a_deleted_conversation_is_gone_with_all_it_held(self, user):
        made = await user.conversations.create(items=says("milk 1", "milk 2"))
        await user.conversations.create(items=says("milk 3"))
        await user.conversations.delete(made.id)
        assert await texts(user, "milk") == ["milk 3"]

    async def test_a_replaced_item_is_found_by_its_new_text(self, user):
        made = await user.conversations.create(items=says("milk", "bread"))
        await user.items.replace(made.id, 1, says("butter")[0], expected_revision=made.revision)
        assert await texts(user, "milk") == []
        assert await texts(user, "butter") == ["butter"]
        assert await texts(user, "bread") == ["bread"]

    async def test_every_kind_of_item_is_found_by_its_readable_text(self, user):
        items = [
            {"type": "function_call", "call_id": "c", "name": "add_task", "arguments": '{"title": "milk"}'},
            {"type": "function_call_output", "call_id": "c", "output": "bought milk"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "They want milk"}]},
        ]
        await user.conversations.create(items=items)
        found = (await user.search.messages("milk")).data
        assert {(hit.position, hit.kind, hit.role) for hit in found} == {
            (1, "function_call", None),
            (2, "function_call_output", None),
            (3, "reasoning", None),
        }

    async def test_many_writers_lose_nothing(self, user):
        made = await user.conversations.create()
        await asyncio.gather(*(user.items.append(made.id, says(f"milk {number}")) for number in range(20)))
        assert len(await texts(user, "milk")) == 20

    async def test_a_huge_message_is_stored_and_found_by_its_beginning(self, user):
        words = " ".join(f"w{number}" for number in range(100_000))
        text = f"milk {words} needle"
        assert len(text) > 500_000
        made = await user.conversations.create(items=says(text))
        assert (await user.items.get(made.id, 1)).content == text
        [hit] = (await user.search.messages("w20000")).data
        assert "w19999 [w20000] w20001" in spelled(hit)
        assert (await user.search.messages("needle")).data == []

    @pytest.mark.parametrize("text", ["x" * 300_000, "牛" * 300_000, "\U0001f984" * 200_000, "é " * 200_000])
    async def test_no_text_is_too_odd_to_be_stored(self, user, text):
        made = await user.conversations.create(items=says(text))
        assert (await user.items.get(made.id, 1)).content == text
        await user.items.delete(made.id, 1)
        assert await texts(user, text[:5]) == []

    async def test_a_hundred_thousand_different_words_can_be_stored(self, user):
        text = " ".join(chr(0x20000 + number % 40_000) + chr(0x20000 + number // 7) for number in range(100_000))
        made = await user.conversations.create(items=says(text))
        assert (await user.items.get(made.id, 1)).content == text


class TestOnly:
    async def test_a_conversation(self, user):
        first = await user.conversations.create(items=says("milk 1"))
        second = await user.conversations.create(items=says("milk 2"))
        assert await texts(user, "milk", conversation_id=first.id) == ["milk 1"]
        assert await texts(user, "milk", conversation_id=second.id) == ["milk 2"]
        assert await texts(user, "milk", conversation_id=new_uuid()) == []

    async def test_a_role(self, user):
        items = [{"role": role, "content": f"milk {role}"} for role in ("user", "assistant", "system")]
        await user.conversations.create(items=items)
        assert await texts(user, "milk", role="assistant") == ["milk assistant"]
        with pytest.raises(InvalidInput) as caught:
            await texts(user, "milk", role="captain")
        assert caught.value.param == "role"

    async def test_a_span_of_time(self, user):
        made = await user.conversations.create(items=says("milk 1"))
        await user.items.append(made.id, says("milk 2"))
        at = (await user.items.get(made.id, 2)).created_at
        instant = timedelta(microseconds=1)
        assert await texts(user, "milk", since=at) == ["milk 2"]
        assert await texts(user, "milk", until=at) == ["milk 1"]
        assert await texts(user, "milk", since=at, until=at + instant) == ["milk 2"]
        assert await texts(user, "milk", since=at + instant) == []
        assert len(await texts(user, "milk", since=datetime.min.replace(tzinfo=timezone.utc))) == 2
        with pytest.raises(InvalidInput):
            await texts(user, "milk", since=at.replace(tzinfo=None))

    async def test_archived_conversations_or_the_others(self, user):
        made = await user.conversations.create(items=says("milk 1"))
        await user.conversations.create(items=says("milk 2"))
        await user.conversations.archive(made.id)
        assert await texts(user, "milk", archived=True) == ["milk 1"]
        assert await texts(user, "milk", archived=False) == ["milk 2"]
        assert sorted(await texts(user, "milk")) == ["milk 1", "milk 2"]

    async def test_several_at_once(self, user):
        made = await user.conversations.create(items=says("milk 1", "bread"))
        await user.conversations.create(items=says("milk 2"))
        assert await texts(user, "milk", conversation_id=made.id, role="user", archived=False) == ["milk 1"]


class TestOrder:
    async def test_more_mentions_come_first(self, user):
        await user.conversations.create(items=says("milk, one two three four", "milk, milk and milk again"))
        assert await texts(user, "milk") == ["milk, milk and milk again", "milk, one two three four"]

    async def test_short_texts_come_first(self, user):
        await user.conversations.create(items=says("milk", "milk and a very long list of other things to buy"))
        assert (await texts(user, "milk"))[0] == "milk"

    async def test_among_equals_the_newest_comes_first(self, user):
        made = await user.conversations.create()
        for number in range(5):
            await user.items.append(made.id, says(f"milk {number}"))
        assert await texts(user, "milk") == [f"milk {number}" for number in (4, 3, 2, 1, 0)]

    async def test_pages_give_each_find_once_and_in_order(self, user):
        made = await user.conversations.create()
        for number in range(12):
            await user.items.append(made.id, says(*(f"milk {'milk ' * (number % 4)}{at}" for at in range(3))))
        whole = (await user.search.messages("milk", limit=100)).data
        walked, place, more = [], None, True
        while more:
            page = await user.search.messages("milk", limit=5, after=place)
            walked += page.data
            more, place = page.has_more, page.data[-1].place
            await user.items.append(made.id, says("bread"))
        assert walked == whole
        assert len({(hit.conversation_id, hit.position) for hit in walked}) == 36
        assert [hit.place for hit in whole] == sorted((hit.place for hit in whole), reverse=True)

    @pytest.mark.parametrize("limit", [0, 1001, True, None])
    async def test_a_page_has_a_limit(self, user, limit):
        with pytest.raises(InvalidInput):
            await user.search.messages("milk", limit=limit)


class TestAHit:
    async def test_says_what_was_found_and_where(self, user):
        made = await user.conversations.create(items=says("bread", "Buy some milk, please"))
        stored = await user.items.get(made.id, 2)
        await user.conversations.rename(made.id, "Groceries")
        [hit] = (await user.search.messages("milk")).data
        assert hit[1:8] == (stored.created_at, made.id, 2, "message", "user", None, "Groceries")
        assert spelled(hit) == "Buy some [milk], please"

    async def test_names_an_announced_item_by_its_public_id(self, user):
        from hansard.models.message import MessageCreate
        from hansard.utils.ids import mint

        raw = mint()
        await user.conversations.create(items=[MessageCreate(says("milk")[0], public_id=raw)])
        [hit] = (await user.search.messages("milk")).data
        assert hit.public_id == raw

    async def test_shows_the_part_around_a_match_far_inside(self, user):
        await user.conversations.create(items=says("before " * 5000 + "here is MILK to see " + "after " * 5000))
        [hit] = (await user.search.messages("milk")).data
        assert "here is [MILK] to see" in spelled(hit)
        assert spelled(hit).startswith("…")
        assert spelled(hit).endswith("…")
        assert len(spelled(hit)) < 300

    async def test_joined_gives_the_stored_text_without_any_markup(self, user):
        text = "<b>milk</b> & <script>bread</script>"
        await user.conversations.create(items=says(text))
        [hit] = (await user.search.messages("milk bread")).data
        assert "".join(segment.text for segment in hit.snippet) == text
        assert [segment.text for segment in hit.snippet if segment.match] == ["milk", "bread"]


async def test_search_can_be_off(store):
    user = SqlStore(store.database, search=SearchSettings("off")).for_user("somebody")
    with pytest.raises(ConfigurationError):
        await user.search.messages("milk")


async def test_a_search_is_one_statement(user, database):
    await user.conversations.create(items=says(*(f"milk {number}" for number in range(50))))
    sent: list[str] = []
    database.on_statement = sent.append
    costs = []
    for _ in range(2):
        sent.clear()
        assert len((await user.search.messages("milk -bread", limit=50)).data) == 50
        costs.append(len(sent))
    # SQLite is asked whether something waits to be indexed, too, and does that first, in two.
    assert costs == {"postgresql": [1, 1], "sqlite": [4, 2]}[database.dialect_name]
