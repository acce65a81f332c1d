"""The offline assistant understands what people write, and nothing they write can make it stumble."""

# ruff: noqa: RUF001 - people type typographic quotes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.agents.offline.intents import (
    Add,
    Complete,
    Courtesy,
    Delete,
    Help,
    Intent,
    More,
    Rename,
    Reopen,
    Show,
)
from hansard.agents.offline.sentences import parse

OPEN, DONE, ALL = Show("open"), Show("done"), Show("all")
ASKED, LOST = Help(asked=True), Help(asked=False)

SENTENCES: list[tuple[str, Intent]] = [
    # Adding
    ("add buy milk", Add("buy milk")),
    ("ADD BUY MILK", Add("BUY MILK")),
    ("  add\tbuy\n milk ", Add("buy milk")),
    ("Please add a task: call the bank", Add("call the bank")),
    ("please, add a task to call the bank, thanks!", Add("call the bank")),
    ("could you please add a new task called pay rent", Add("pay rent")),
    ('Can you add "Read ‘Dune’" to my list?', Add("Read ‘Dune’")),
    ("hi, I'd like to add buy bread", Add("buy bread")),
    ("hey there! add eggs to the shopping list", Add("eggs")),
    ("add task buy milk", Add("buy milk")),
    ("add a task for Friday's demo", Add("Friday's demo")),
    ("add to my list: eggs", Add("eggs")),
    ("add “buy milk”", Add("buy milk")),
    ("add call Dr. Smith.", Add("call Dr. Smith")),
    ("add wait for it...", Add("wait for it...")),
    ("add what's for dinner?", Add("what's for dinner?")),
    ("add done: a history of doneness", Add("done: a history of doneness")),
    ("add äpfel & birnen 🍎", Add("äpfel & birnen 🍎")),
    ("create a task to sweep", Add("sweep")),
    ("make a new to-do: water plants", Add("water plants")),
    ("new task: x", Add("x")),
    ("todo: wash car", Add("wash car")),
    ("put eggs on my to-do list", Add("eggs")),
    ("write down a reminder to breathe", Add("breathe")),
    ("remind me to water the plants.", Add("water the plants")),
    ("remind me about the dentist", Add("the dentist")),
    ("don't forget to call mum", Add("call mum")),
    ("don’t let me forget the keys", Add("the keys")),
    ("remember to breathe", Add("breathe")),
    ("make sure I pay the rent", Add("pay the rent")),
    ("I need to finish the report", Add("finish the report")),
    ("I have to delete old photos", Add("delete old photos")),
    ("I’ve got to go", Add("go")),
    ("I need to add a task: sleep", Add("sleep")),
    ("add", Add("")),
    ("add a task", Add("")),
    ("add an item to my list", Add("")),
    # Seeing
    ("list", OPEN),
    ("tasks", OPEN),
    ("My tasks, please", OPEN),
    ("to-do list", OPEN),
    ("what's left?", OPEN),
    ("what’s on my list?", OPEN),
    ("What do I have to do?", OPEN),
    ("what's not done yet?", OPEN),
    ("which tasks are still open", OPEN),
    ("do I have any tasks?", OPEN),
    ("how many tasks do I have left?", OPEN),
    ("list all open tasks", OPEN),
    ("I need to see my tasks", OPEN),
    ("what have I done so far?", DONE),
    ("show me the completed tasks", DONE),
    ("what is done?", DONE),
    ("list everything that's finished", DONE),
    ("show me everything", ALL),
    ("list all my tasks", ALL),
    ("list open and done tasks", ALL),
    ("more", More()),
    ("show me more tasks", More()),
    ("next page", More()),
    # Completing
    ("complete 3", Complete("3")),
    ("Complete #3.", Complete("#3")),
    ("complete task number 4 please", Complete("task number 4")),
    ("complete 3, 4 and 5", Complete("3, 4 and 5")),
    ("finish buy milk", Complete("buy milk")),
    ('finish "buy milk"', Complete("buy milk")),
    ("I've done buy milk", Complete("buy milk")),
    ("I’ve already finished the report", Complete("the report")),
    ("i did the dishes", Complete("the dishes")),
    ("I'm done with the dishes", Complete("the dishes")),
    ("mark 3 as done", Complete("3")),
    ("mark buy milk done", Complete("buy milk")),
    ("set buy milk to completed", Complete("buy milk")),
    ("change 3 to done", Complete("3")),
    ("buy milk is done", Complete("buy milk")),
    ("task 3 is complete now", Complete("task 3")),
    ("done: buy milk", Complete("buy milk")),
    ("done with buy milk", Complete("buy milk")),
    ("check off buy milk", Complete("buy milk")),
    ("check buy milk off my list", Complete("buy milk")),
    ("tick off 4", Complete("4")),
    ("done", Complete("")),
    ("complete", Complete("")),
    # Reopening
    ("reopen 3", Reopen("3")),
    ("uncheck buy milk", Reopen("buy milk")),
    ("mark 3 as not done", Reopen("3")),
    ("set buy milk back to open", Reopen("buy milk")),
    ("buy milk isn’t done yet", Reopen("buy milk")),
    ("I haven't finished buy milk", Reopen("buy milk")),
    ("undo", Reopen("")),
    # Renaming
    ("rename buy milk to buy oat milk", Rename((("buy milk", "buy oat milk"),))),
    ("change the title of 3 to eggs", Rename((("3", "eggs"),))),
    ("rename 3 -> tea", Rename((("3", "tea"),))),
    ('update task 3 to "x"', Rename((("task 3", "x"),))),
    ('rename "go to shop" to "go to market"', Rename((("go to shop", "go to market"),))),
    (
        "rename go to shop to go to market",
        Rename((("go to shop to go", "market"), ("go to shop", "go to market"), ("go", "shop to go to market"))),
    ),
    ("rename 3", Rename((("3", ""),))),
    ("rename", Rename((("", ""),))),
    # Deleting
    ("delete 3", Delete("3")),
    ("remove buy milk from my list", Delete("buy milk")),
    ("get rid of buy milk!", Delete("buy milk")),
    ("take eggs off my list", Delete("eggs")),
    ("delete", Delete("")),
    ("delete everything", Delete("everything")),
    # Talking
    ("help", ASKED),
    ("?", ASKED),
    ("hello", ASKED),
    ("Good morning!", ASKED),
    ("what can you do?", ASKED),
    ("how do I add a task?", ASKED),
    ("thanks!", Courtesy()),
    ("Thank you so much", Courtesy()),
    ("what is the weather like", LOST),
    ("buy milk", LOST),
    ("👍", LOST),
    ("3", LOST),
    ("the quick brown fox jumps over the lazy dog", LOST),
]


@pytest.mark.parametrize("sentence,intent", SENTENCES, ids=[sentence for sentence, _ in SENTENCES])
def test_a_sentence_is_understood(sentence: str, intent: Intent) -> None:
    assert parse(sentence) == intent


@given(
    st.text(max_size=2000)
    | st.lists(st.sampled_from([word for sentence, _ in SENTENCES for word in sentence.split(" ")]), max_size=30).map(
        " ".join
    )
)
@example("\ud800 add \x00")
@example("add " + "to " * 700 + "my list")
@example("rename " + "a to " * 400)
def test_no_text_at_all_makes_it_stumble(text: str) -> None:
    assert isinstance(parse(text), Intent)


@given(st.text(min_size=1, max_size=200))
def test_a_quoted_title_is_taken_to_the_letter(title: str) -> None:
    plain = " ".join(title.split())
    if plain:
        assert parse(f'add a task: "{plain}"') == Add(plain)


def test_a_title_beyond_every_limit_is_kept_whole_so_that_its_length_can_be_named() -> None:
    assert parse("add " + "x" * 1_000_000) == Add("x" * 1_000_000)
