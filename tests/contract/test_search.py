"""What the contract promises of search: what a query means, on every database alike, and whose messages it finds."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
import pytest_asyncio

from hansard.database import search_index
from hansard.errors import ConfigurationError, InvalidInput
from hansard.models.search import SearchFilter, SearchSettings
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.items import HARD_STRINGS
from tests.support.store_steps import says

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS, SUBSTRINGS = SearchSettings("words"), SearchSettings("words+substring")

# A message, a query, and whether it is found by words alone, and with substrings too.
MEANINGS = {
    "a word": ("Buy some milk", "milk", True, True),
    "upper case": ("BUY Some Milk", "bUY sOME mILK", True, True),
    "words in any order": ("Buy some milk", "milk buy", True, True),
    "every word must be there": ("Buy some milk", "milk bread", False, False),
    "part of a word": ("unbelievable", "believ", False, True),
    "the beginning of a word": ("Deployment failed", "deploy*", True, True),
    "a beginning that is the whole word": ("deploy now", "deploy*", True, True),
    "the middle of a word is no beginning": ("redeployment", "deploy*", False, True),
    "a star inside is text": ("a b", "a*b", True, True),
    "a phrase": ("the quick brown fox", '"quick brown"', True, True),
    "a phrase in another order": ("the brown quick fox", '"quick brown"', False, False),
    "a phrase with a gap": ("quick, brown fox", '"quick brown"', True, True),
    "a phrase with a word between": ("quick red brown", '"quick brown"', False, False),
    "a phrase of which the last word goes on": ("quick brownish", '"quick brown"*', True, True),
    "a phrase never closed": ("quick brown", '"quick brown', True, True),
    "without a word": ("Buy some milk", "milk -bread", True, True),
    "not without a word": ("Buy milk and bread", "milk -bread", False, False),
    "not without a phrase": ("Buy rye bread and milk", 'milk -"rye bread"', False, False),
    "without a phrase": ("Buy bread of rye and milk", 'milk -"rye bread"', True, True),
    "not without a beginning": ("milk and breadcrumbs", "milk -bread*", False, False),
    "without a word that is only part of one": ("milk and breadcrumbs", "milk -bread", True, False),
    "a hyphen inside is no minus": ("send an e-mail", "e-mail", True, True),
    "two dashes are no minus": ("try --force here", "--force", True, True),
    "words that mean something elsewhere": ("this and that or not near", "AND that OR NOT near", True, True),
    "snake case": ("call read_file now", "read_file", True, True),
    "a part of snake case": ("call read_file now", "read", True, True),
    "dots": ("see os.path.join()", "os.path.join", True, True),
    "dots are gaps": ("see os path join", "os.path.join", True, True),
    "a call to the letter": ("see os.path.join(a)", "join(a", True, True),
    "camel case": ("getUserById", "userby", False, True),
    "a path": ("edit /etc/hosts please", "/etc/hosts", True, True),
    "a part of a path": ("edit /etc/hosts please", "hosts", True, True),
    "a host in an address": ("https://example.com/a?b=c", "example.com", True, True),
    "an address": ("mail ada@example.com", "ada@example.com", True, True),
    "a tag": ("<div class='x'>Hi</div>", "div", True, True),
    "an entity": ("fish &amp; chips", "amp", True, True),
    "a signed number": ("it is -12 here", "12", True, True),
    "a decimal number": ("pi is 3.14159", "3.14159", True, True),
    "a hash": ("commit 1e5abc9 broke it", "1e5abc9", True, True),
    "an apostrophe": ("don't do that", "don't", True, True),
    "Chinese, all of it": ("我喜欢牛奶", "我喜欢牛奶", True, True),
    "Chinese, a part": ("我喜欢喝牛奶。", "牛奶", False, True),
    "Japanese, a part": ("東京タワーに行きました", "タワー", False, True),
    "Japanese between punctuation": ("今日は、東京タワー。", "東京タワー", True, True),
    "Korean": ("우유를 사다", "우유", False, True),
    "Korean, a beginning": ("우유를 사다", "우유*", True, True),
    "Russian": ("Купи МОЛОКО", "молоко", True, True),
    "Greek": ("ΑΓΟΡΑΣΕ γάλα", "αγορασε", True, True),
    "Arabic": ("اشترِ حليب اليوم", "حليب", True, True),
    "Hindi": ("कृपया दूध लाओ", "दूध", True, True),
    "an accent counts": ("a café", "cafe", False, False),
    "an accent is found": ("Un CAFÉ", "café", True, True),
    "sharp s": ("Große STRASSE", "große", True, True),
    "sharp s is not two": ("Straße", "strasse", False, False),
    "the Turkish dotless i": ("\u0131\u015f\u0131k", "\u0131\u015f\u0131k", True, True),
    "a Turkish capital": ("\u0130stanbul", "\u0130stanbul", True, True),
    "an emoji": ("nice \U0001f984 work", "\U0001f984", False, True),
    "an emoji between words is a gap": ("nice\U0001f984work", "work", True, True),
    "an emoji beside a word is dropped where it cannot be found": ("nice work", "work \U0001f984", True, False),
    "punctuation": ("what?!", "?!", False, True),
    "two letters": ("a zq b", "zq", True, True),
    "per cent and underscore are text": ("100% sure_thing", "0% sure_", False, True),
    "per cent is no wildcard": ("100 sure", "1%e", False, False),
    "a backslash": ("C:\\temp\\x", "\\temp\\", True, True),
    "an empty message": ("", "milk", False, False),
    "a NUL between words": ("milk\x00bread", "bread", True, True),
    "a lone surrogate between words": ("milk\ud83dbread", "bread", True, True),
    "dashes and quotes of typographers": ("he said—“milk” …", "milk", True, True),
    "full-width punctuation": ("牛奶\uff0c面包\uff08新\uff09", "面包", True, True),
}


@pytest.fixture(scope="module", autouse=True)
def indexes(database_url):
    """Index everything; the setting of each store says what of it is used."""
    assert search_index.apply(database_url, SUBSTRINGS) == []


@pytest_asyncio.fixture(loop_scope="module", params=[WORDS, SUBSTRINGS], ids=lambda settings: settings.mode)
async def searching(request, store):
    return SqlStore(store.database, search=request.param)


@pytest.fixture
def someone(searching):
    return lambda: searching.for_user(f"user-{new_uuid()}")


@pytest.fixture
def user(someone):
    return someone()


async def texts(user, query, **only):
    """Return the texts of what is found, in order."""
    hits = (await user.search.messages(query, limit=100, only=SearchFilter(**only))).data
    return [(await user.items.get(hit.conversation_id, hit.position)).content for hit in hits]


def spelled(hit):
    return "".join(f"[{segment.text}]" if segment.match else segment.text for segment in hit.snippet)


@pytest.mark.parametrize("text, query, by_words, by_substrings", MEANINGS.values(), ids=MEANINGS)
async def test_a_query_means(user, text, query, by_words, by_substrings):
    await user.conversations.create(items=says("something else entirely", text))
    found = (await user.search.messages(query)).data
    expected = by_words if user.scope.search == WORDS else by_substrings
    assert [hit.position for hit in found] == ([2] if expected else [])


@pytest.mark.parametrize("query", ["", " \t\n", "-milk", '-"milk" -bread', "-*", '""', '"""', '" "', None, 7])
async def test_a_query_must_name_something(user, query):
    with pytest.raises(InvalidInput) as caught:
        await user.search.messages(query)
    assert caught.value.param == "query"


@pytest.mark.parametrize("query", ["x" * 1001, "x " * 51])
async def test_a_query_has_a_limit(user, query):
    with pytest.raises(InvalidInput):
        await user.search.messages(query)


@pytest.mark.parametrize(
    "query",
    [
        *(text for text in HARD_STRINGS.values() if text.strip()),
        *("'", "\"'", '" OR "', "*", "**", "--", "x* -y* -", "a:b", "content:x", "owner:x", "NEAR(a b)"),
        *("^x", "{a b}: c", "(", ")", "((", "a AND", "NOT", "a + b", "!a & b | c", "a:*", "a <-> b", "':* & !'", "\\"),
        *("%", "_", "%_\\", "$1", ":x", "?", "{}", "%s", "'; DROP TABLE messages; --", "x" * 1000, '"' * 999 + "x"),
        *("a" * 30 + " " + "z" * 30, "½", "①", "Ⅷ", "ª", "﷽", "ǆ", "ﬁ", "\u0301", "\u200d", "\ufe0f", "ｱ"),
    ],
)
async def test_no_query_breaks_anything(user, query):
    query = query[:1000]
    made = await user.conversations.create(items=says("something else entirely", query))
    for hit in (await user.search.messages(query)).data:
        assert (hit.conversation_id, hit.position) == (made.id, 2)


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
            await self.make_and_fail(user)
        assert await texts(user, "milk") == []

    async def make_and_fail(self, user):
        async with user.atomic():
            await user.conversations.create(items=says("milk"))
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


async def test_what_a_block_wrote_is_found_inside_and_not_when_it_is_undone(user):
    home = await user.conversations.create()

    async def undone() -> None:
        async with user.atomic():
            await user.items.append(home.id, says("unheard of"))
            assert len((await user.search.messages("unheard")).data) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert (await user.search.messages("unheard")).data == []
    await user.items.append(home.id, says("heard of"))
    assert len((await user.search.messages("heard")).data) == 1
