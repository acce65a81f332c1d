"""The offline assistant does what it is told, on a real store."""

# ruff: noqa: RUF001 - people type typographic quotes

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansard.agents.offline import MODEL, OfflineAssistant
from hansard.models.task_models import TaskCreate
from hansard.models.verbatim import message_item
from hansard.services.beginning import TurnRequest
from hansard.services.task_tools import task_tools
from hansard.services.turns import Turns
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore

pytestmark = pytest.mark.asyncio(loop_scope="module")


def offline_turns() -> Turns:
    return Turns(
        {MODEL: OfflineAssistant(pace=0)},
        default_model=MODEL,
        tools_for=lambda user: task_tools(user.tasks),
    )


class Talk:
    """A conversation of one user with the assistant."""

    def __init__(self, turns: Turns, user: UserStore, conversation_id: UUID) -> None:
        self.user = user
        self.conversation_id = conversation_id
        self._turns = turns

    async def __call__(self, text: str) -> str:
        """Say something; return what the assistant answers."""
        return await self.send(message_item("user", "completed", text))

    async def send(self, *items: dict) -> str:
        response = await self._turns.run(self.user, TurnRequest(items=items, conversation_id=self.conversation_id))
        assert response["status"] == "completed", response["error"]
        text: str = response["output"][-1]["content"][0]["text"]
        return text

    async def titles(self, *, completed: bool | None = None) -> list[str]:
        return [task.title for task in (await self.user.tasks.list(limit=1000, completed=completed)).data]

    async def has(self, *titles: str) -> list[int]:
        """Put tasks on the list, and return their ids."""
        return [int((await self.user.tasks.create(TaskCreate(title))).id) for title in titles]


@pytest_asyncio.fixture(loop_scope="module")
async def talk(store: SqlStore, user: UserStore) -> Talk:
    conversation = await user.conversations.create()
    return Talk(offline_turns(), user, conversation.id)


@pytest.fixture
def new_talk(store: SqlStore, new_user: Callable[[], UserStore]) -> Callable[[], Awaitable[Talk]]:
    async def begin() -> Talk:
        user = new_user()
        return Talk(offline_turns(), user, (await user.conversations.create()).id)

    return begin


async def test_a_day_with_a_list(talk: Talk) -> None:
    assert "“buy milk”" in await talk("add buy milk")
    assert "“call mum”" in await talk("remind me to call mum")
    assert await talk.titles() == ["buy milk", "call mum"]
    listed = await talk("what's left?")
    assert listed.startswith("You have 2 open tasks")
    assert await talk("I've done buy milk") == f"Done: {named(listed, 'buy milk')}."
    assert await talk.titles(completed=True) == ["buy milk"]
    assert "“buy milk”" not in await talk("show my tasks")
    assert "is open again" in await talk("buy milk is not done yet")
    await talk("rename buy milk to buy oat milk")
    assert await talk.titles() == ["buy oat milk", "call mum"]
    assert "Deleted" in await talk("delete the task called call mum")
    assert await talk.titles() == ["buy oat milk"]


def named(listing: str, title: str) -> str:
    """Return how a listing names a task."""
    return next(line[2:] for line in listing.splitlines() if f"“{title}”" in line)


async def test_calls_and_outputs_are_recorded_like_those_of_any_agent(talk: Talk) -> None:
    await talk("add buy milk")
    kinds = [(item.kind, item.item.get("name")) for item in await talk.user.items.last(talk.conversation_id, 10)]
    assert kinds == [
        ("message", None),
        ("function_call", "add_task"),
        ("function_call_output", None),
        ("message", None),
    ]
    _, call, output, _ = await talk.user.items.last(talk.conversation_id, 10)
    assert call.item["arguments"] == '{"title":"buy milk"}'
    assert call.item["call_id"] == output.item["call_id"]
    [task] = (await talk.user.tasks.list()).data
    assert output.item["output"] == f'{{"task":{{"id":{task.id},"title":"buy milk","completed":false}}}}'


@pytest.mark.parametrize(
    "words",
    ["{id}", "#{id}", "task {id}", "Buy Oat Milk", "buy oat milk", "BUY OAT MILK", '"buy oat milk"', "oat", "milk oat"],
)
async def test_a_task_is_found_by_id_and_by_any_words_that_only_it_has(talk: Talk, words: str) -> None:
    _, wanted = await talk.has("buy bread", "Buy Oat Milk")
    await talk("complete " + words.format(id=wanted))
    assert await talk.titles(completed=True) == ["Buy Oat Milk"]


async def test_spelling_of_accents_and_apostrophes_does_not_matter(talk: Talk) -> None:
    await talk.has("Cafe\u0301 with Zoë’s team")
    await talk("complete caf\u00e9 with zoe\u0308's team")
    assert len(await talk.titles(completed=True)) == 1


async def test_an_exact_title_wins_over_longer_ones(talk: Talk) -> None:
    await talk.has("buy milk and bread", "buy milk", "Buy Milk")
    await talk("delete buy milk")
    assert await talk.titles() == ["buy milk and bread", "Buy Milk"]


async def test_a_title_that_is_a_number_is_found_when_no_task_has_that_id(talk: Talk) -> None:
    await talk.has("999999999")
    await talk("complete 999999999")
    assert await talk.titles(completed=True) == ["999999999"]


async def test_words_that_fit_several_tasks_make_it_ask_which_and_the_answer_is_understood(talk: Talk) -> None:
    _, bread = await talk.has("buy milk", "buy bread")
    question = await talk("complete buy")
    assert question.startswith("Which task do you want to complete?")
    assert "“buy milk”" in question
    assert "“buy bread”" in question
    assert await talk.titles(completed=True) == []
    await talk(str(bread))
    assert await talk.titles(completed=True) == ["buy bread"]


async def test_completing_looks_among_open_tasks_first(talk: Talk) -> None:
    first, second = await talk.has("buy milk", "buy milk")
    await talk(f"complete {first}")
    await talk("complete buy milk")
    assert await talk.titles(completed=False) == []
    assert f"(task {second}) is done already" in await talk("finish buy milk")


@pytest.mark.parametrize(
    "question,answer,titles",
    [
        ("add", "fly a kite", ["sail", "fly a kite"]),
        ("delete", "sail", []),
        ("rename sail", "sail far", ["sail far"]),
    ],
)
async def test_what_was_left_out_is_asked_for(talk: Talk, question: str, answer: str, titles: list[str]) -> None:
    await talk.has("sail")
    assert "?" in await talk(question)
    await talk(answer)
    assert await talk.titles() == titles


async def test_a_question_that_nobody_answers_is_forgotten(talk: Talk) -> None:
    await talk("add")
    await talk("help")
    await talk("fly a kite")
    assert await talk.titles() == []


@pytest.mark.parametrize(
    "sentence,titles",
    [
        ("rename go to shop to go to market", ["go to market", "go home"]),
        ('rename "go home" to "go to bed"', ["go to shop", "go to bed"]),
        ("rename go home to go to the cinema to see a film", ["go to shop", "go to the cinema to see a film"]),
    ],
)
async def test_renaming_is_cut_where_a_task_is(talk: Talk, sentence: str, titles: list[str]) -> None:
    await talk.has("go to shop", "go home")
    await talk(sentence)
    assert await talk.titles() == titles


async def test_several_tasks_at_once_by_number(talk: Talk) -> None:
    one, two, three = await talk.has("a", "b", "c")
    answer = await talk(f"complete {one}, #{three} and 999999999")
    assert await talk.titles(completed=True) == ["a", "c"]
    assert "There is no task 999999999." in answer
    assert await talk.titles(completed=False) == ["b"]
    assert two


async def test_everything_at_once_is_not_done(talk: Talk) -> None:
    await talk.has("a", "b")
    await talk("delete all my tasks")
    assert await talk.titles() == ["a", "b"]


async def test_a_long_list_is_paged_without_gap_or_repetition(talk: Talk) -> None:
    await talk.has(*[f"task number {index:03}" for index in range(120)])
    pages = [await talk(text) for text in ("show my tasks", "more", "next")]
    shown = [line.split("“")[1].split("”")[0] for page in pages for line in page.splitlines() if line.startswith("•")]
    assert shown == [f"task number {index:03}" for index in range(120)]
    assert "nothing more" in await talk("more")


async def test_only_the_own_list_is_seen(new_talk: Callable[[], Awaitable[Talk]]) -> None:
    ann, bob = await new_talk(), await new_talk()
    [task] = await ann.has("a secret")
    assert "secret" not in await bob("show everything")
    for sentence in (f"complete {task}", f"delete {task}", f"rename {task} to mine", "delete a secret"):
        assert "secret" not in (await bob(sentence)).replace("“a secret”. Say", "")
    assert await ann.titles(completed=False) == ["a secret"]


@pytest.mark.parametrize("length", [200, 201, 300, 5000, 500_000])
async def test_a_title_that_is_too_long_is_refused_with_its_length_and_the_limit(talk: Talk, length: int) -> None:
    answer = await talk("add " + "x" * length)
    if length > 200:
        assert str(length) in answer
        assert "200" in answer
    assert len(await talk.titles()) == (1 if length <= 200 else 0)


@pytest.mark.parametrize("title", ["a\x00b", "a\ud800b"])
async def test_a_title_that_no_database_can_hold_is_refused(talk: Talk, title: str) -> None:
    assert "NUL or lone surrogates" in await talk(f"add {title}")
    assert await talk.titles() == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n",
        [],
        [{"type": "input_text", "text": ""}],
        [{"type": "input_image", "image_url": "data:,", "detail": "auto"}],
        [{"type": "input_file", "file_id": "file_1"}],
    ],
)
async def test_a_message_without_text_is_answered(talk: Talk, content: object) -> None:
    answer = await talk.send({"type": "message", "role": "user", "status": "completed", "content": content})
    assert "no text" in answer


async def test_text_beside_an_image_is_read(talk: Talk) -> None:
    parts = [{"type": "input_image", "image_url": "data:,"}, {"type": "input_text", "text": "add look at this"}]
    await talk.send({"type": "message", "role": "user", "status": "completed", "content": parts})
    assert await talk.titles() == ["look at this"]


async def test_a_turn_without_a_new_message_repeats_nothing(talk: Talk) -> None:
    await talk("add buy milk")
    await talk.send()
    await talk.send({"type": "function_call_output", "call_id": "call_x", "output": "1", "status": "completed"})
    assert await talk.titles() == ["buy milk"]


async def test_help_is_worth_reading(talk: Talk) -> None:
    assert len((await talk("help")).split()) >= 100


WORDS = ["add", "complete", "finish", "done", "delete", "rename", "reopen", "list", "show", "more", "help", "all"]
WORDS += ["tasks", "task", "to", "my", "1", "2", "#3", "and", "milk", "“milk”", '"x"', "is", "not", "buy", "what", "?"]
SAID = st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@settings(max_examples=40)
@given(talked=st.lists(SAID, min_size=1, max_size=4))
@example(talked=["add x", "rename to to to", "complete 999999999999999999999", "delete \x00\ud800", "\u202e"])
async def test_nothing_anybody_says_makes_a_turn_fail(
    new_talk: Callable[[], Awaitable[Talk]], talked: list[str]
) -> None:
    talk = await new_talk()
    for text in talked:
        assert await talk(text)
