"""What a query means, on every database alike."""

import pytest

from hansard.errors import InvalidInput
from tests.plugins.searching import WORDS
from tests.support.items import HARD_STRINGS
from tests.support.store_steps import says

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
    "Arabic before a comma": ("حليب، خبز", "حليب", True, True),
    "Arabic before a question mark": ("أين الحليب؟", "الحليب", True, True),
    "Hebrew joined by a maqaf": ("תל־אביב", "אביב", True, True),
    "Hindi before a danda": ("दूध लाओ।", "लाओ", True, True),
    "Armenian before a full stop": ("Կաթ գնիր\u0589", "գնիր", True, True),
    "a phrase over foreign punctuation": ("حليب، خبز", '"حليب خبز"', True, True),
    "behind a byte order mark": ("\ufeffmilk and bread", "milk", True, True),
    "beside a character of private use": ("\ue000milk\U000f0000", "milk", True, True),
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


@pytest.fixture
def user(someone):
    return someone()


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
