"""Limits are exact, count code points, and are named in the error."""

import pytest

from hansard.errors import InvalidInput, TooLarge
from hansard.models.conversation import ConversationCreate
from hansard.models.limits import check_count, check_metadata, check_text, check_title, check_user_id, storable
from hansard.models.message import MessageCreate
from hansard.models.task_models import TaskCreate
from hansard.utils.ids import mint
from tests.support.items import HARD_STRINGS

ASTRAL = "\U0001f984"
UNSTORABLE = ["a\x00", "\x00", "\ud800", "a\udc00b", "\ud83d\ude00"]


@pytest.mark.parametrize(
    "make, limit",
    [
        (check_user_id, 255),
        (check_title, 255),
        (lambda text: ConversationCreate(title=text), 255),
        (lambda text: ConversationCreate(source=text), 64),
        (lambda text: ConversationCreate(source="s", external_id=text), 255),
        (lambda text: MessageCreate({}, client_id=text), 255),
        (TaskCreate, 200),
        (lambda text: TaskCreate("x", description=text), 1000),
    ],
    ids=["user id", "title", "new title", "source", "external id", "client id", "task title", "task description"],
)
class TestText:
    @pytest.mark.parametrize("character", ["x", ASTRAL, "\u0301"])
    def test_as_many_code_points_as_the_limit_are_taken_and_one_more_is_refused(self, make, limit, character):
        make(character * limit)
        with pytest.raises(TooLarge, match=f"has {limit + 1} characters; the limit is {limit}") as caught:
            make(character * (limit + 1))
        assert caught.value.param
        assert caught.value.code == "string_above_max_length"

    @pytest.mark.parametrize("text", UNSTORABLE)
    def test_what_text_columns_cannot_hold_is_refused(self, make, limit, text):
        with pytest.raises(InvalidInput, match="must not contain NUL or lone surrogates"):
            make(text)

    @pytest.mark.parametrize("value", [1, b"bytes", ["x"], {}, True])
    def test_other_types_are_refused(self, make, limit, value):
        with pytest.raises(InvalidInput, match="must be a string"):
            make(value)


@pytest.mark.parametrize(
    "make",
    [
        check_user_id,
        check_title,
        TaskCreate,
        lambda text: ConversationCreate(title=text),
        lambda text: ConversationCreate(source="s", external_id=text),
        lambda text: MessageCreate({}, client_id=text),
    ],
)
def test_empty_text_is_refused_where_something_must_be_said(make):
    with pytest.raises(InvalidInput, match=r"must have at least 1 character$"):
        make("")


def test_a_user_id_is_required():
    with pytest.raises(InvalidInput, match="user_id must be a string"):
        check_user_id(None)


def test_no_title_is_a_title():
    assert check_title(None) is None


def test_an_external_id_needs_a_source():
    with pytest.raises(InvalidInput, match="external_id needs a source"):
        ConversationCreate(external_id="thread-1")


class TestMetadata:
    def test_sixteen_pairs_are_taken_and_seventeen_refused(self):
        assert len(check_metadata({str(n): "" for n in range(16)})) == 16
        with pytest.raises(TooLarge, match="metadata has 17 pairs; the limit is 16"):
            check_metadata({str(n): "" for n in range(17)})

    def test_keys_and_values_have_exact_limits(self):
        fits = {ASTRAL * 64: ASTRAL * 512}
        assert check_metadata(fits) == fits
        with pytest.raises(TooLarge, match=r"a key of metadata has 65 characters"):
            check_metadata({"k" * 65: ""})
        with pytest.raises(TooLarge, match=r"a value of metadata has 513 characters; the limit is 512") as caught:
            check_metadata({"k": "v" * 513})
        assert caught.value.param == "metadata.k"

    def test_an_empty_key_is_refused_but_is_not_too_large(self):
        with pytest.raises(InvalidInput, match="key of metadata") as caught:
            check_metadata({"": "x"})
        assert not isinstance(caught.value, TooLarge)

    @pytest.mark.parametrize("value", [[], "text", 1, {"a": 1}, {"a": None}, {1: "a"}, {"a": {"b": "c"}}])
    def test_only_a_map_of_strings_is_metadata(self, value):
        with pytest.raises(InvalidInput, match="metadata must"):
            check_metadata(value)

    def test_none_means_no_metadata(self):
        assert check_metadata(None) == {}

    @pytest.mark.parametrize("text", ["\ud83d\ude00", "\U0001f600\ud83d\ude00"])
    @pytest.mark.parametrize("place", ["key", "value"])
    def test_what_would_not_come_back_exactly_is_refused(self, text, place):
        with pytest.raises(InvalidInput, match="surrogate") as caught:
            check_metadata({text: "v"} if place == "key" else {"k": text})
        assert caught.value.param == "metadata"

    @pytest.mark.parametrize(
        "text", [text for text in HARD_STRINGS.values() if len(text) < 64 and "\ud83d\ude00" not in text]
    )
    def test_hard_strings_are_taken_as_they_are(self, text):
        assert check_metadata({"k": text}) == {"k": text}

    def test_a_later_change_of_the_callers_map_changes_nothing(self):
        given = {"k": "v"}
        new = ConversationCreate(metadata=given)
        given["k"] = "changed"
        assert new.metadata == {"k": "v"}


class TestCount:
    @pytest.mark.parametrize("value", [1, 500, 1000])
    def test_a_count_within_the_limits_is_taken(self, value):
        assert check_count(value, param="limit", most=1000) == value

    @pytest.mark.parametrize(
        "value, code",
        [
            (0, "integer_below_min_value"),
            (-1, "integer_below_min_value"),
            (1001, "integer_above_max_value"),
            (10**40, "integer_above_max_value"),
        ],
    )
    def test_a_count_beyond_is_refused_naming_both_limits(self, value, code):
        with pytest.raises(InvalidInput, match=rf"limit is {value}; it must be between 1 and 1000") as caught:
            check_count(value, param="limit", most=1000)
        assert (caught.value.param, caught.value.code) == ("limit", code)

    @pytest.mark.parametrize("value", [True, 1.0, "1", None])
    def test_only_whole_numbers_count(self, value):
        with pytest.raises(InvalidInput, match="limit must be a whole number"):
            check_count(value, param="limit", most=1000)


class TestPublicIdOfANewItem:
    def test_a_minted_one_is_taken(self):
        raw = mint()
        assert MessageCreate({}, public_id=raw).public_id == raw

    @pytest.mark.parametrize("raw", [b"", b"x" * 23, b"\xff" * 25, "msg_1", 7, b"\x00" * 24, bytearray(24)])
    def test_what_was_not_minted_is_refused(self, raw):
        with pytest.raises(InvalidInput, match="public_id must be 24 bytes") as caught:
            MessageCreate({}, public_id=raw)
        assert caught.value.param == "public_id"


@pytest.mark.parametrize("text", UNSTORABLE)
def test_nul_and_surrogates_cannot_be_stored_as_text(text):
    assert not storable(text)


@pytest.mark.parametrize("text", ["", "plain", ASTRAL, "\uffff", "\x01\x7f", "e\u0301"])
def test_every_other_text_can(text):
    assert storable(text)
    assert check_text(text, param="x", longest=10) == text
