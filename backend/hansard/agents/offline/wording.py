"""Word what the offline assistant says."""

from __future__ import annotations

from collections.abc import Sequence

from hansard.agents.offline.intents import Selection
from hansard.models.limits import JsonObject, storable

_CLIP = 80

HELP = """\
I keep your list of tasks. I understand plain sentences, no matter how you write them, and I need no model and no \
network to do so. These are the things you can say:

• To put something on the list: “add buy milk”, “please add a task: call the bank”, “remind me to water the plants”.
• To see the list: “what is left?”, “show my tasks”, “list done tasks”, “show everything”, and “more” for the next page.
• To finish something: “complete 3”, “finish buy milk”, “I've done the dishes”, “mark 3 and 4 as done”.
• To take that back: “reopen 3”, “buy milk is not done yet”.
• To change a title: “rename buy milk to buy oat milk”.
• To take something off the list for good: “delete 3”, “remove buy milk”.

You can name a task by its number, by its title, or by any words that only its title has. If several tasks fit, I \
ask which one you mean, and you answer with a number."""

NOT_UNDERSTOOD = (
    "I did not understand that. I look after your tasks: say “add buy milk”, “show my tasks”, “complete buy milk”, "
    "“rename buy milk to buy oat milk” or “delete buy milk”. Say “help” for more."
)
NO_TEXT = "There was no text in your message, and text is all I can read. Say “help” to see what I understand."
WELCOME = "You're welcome."
NO_MORE = "There is nothing more to show. Say “show my tasks” to see your list."
ONE_BY_ONE = (
    "I do that only for tasks that you name, such as “{verb} 3 and 4”. Say “show my tasks” to see their numbers."
)

# The assistant keeps nothing between turns: it knows by these beginnings that it had asked something.
ASK_TITLE = "What should the task say?"
ASK_NEW_TITLE = "What should it be called?"
ASK_WHICH = "Which task do you want to "
QUESTIONS = (ASK_TITLE, ASK_NEW_TITLE, ASK_WHICH)

_NOTHING = {
    "open": "You have no open tasks. Say “add buy milk” to make one.",
    "done": "You have not finished any task yet.",
    "all": "Your list is empty. Say “add buy milk” to start it.",
}


def quote(text: str) -> str:
    """Return text in quotation marks: on one line, clipped, without what a terminal or a database trips over."""
    line = " ".join(text.split())
    line = line if len(line) <= _CLIP else line[: _CLIP - 1].rstrip() + "…"
    return "“" + "".join(char if char.isprintable() and storable(char) else "\ufffd" for char in line) + "”"


def name(task: JsonObject) -> str:
    """Name a task by title and id."""
    return f"{quote(task['title'])} (task {task['id']})"


def bullets(tasks: Sequence[JsonObject]) -> str:
    """Return tasks one a line, with a tick at those that are done."""
    return "\n".join(f"{'✓' if task['completed'] else '•'} {name(task)}" for task in tasks)


def listing(tasks: Sequence[JsonObject], *, selection: Selection, more: bool) -> str:
    """Return a page of the list."""
    if not tasks:
        return _NOTHING[selection]
    kind = "" if selection == "all" else f"{selection} "
    many = "s" if more or len(tasks) > 1 else ""
    head = f"Here are {len(tasks)} of your {kind}tasks" if more else f"You have {len(tasks)} {kind}task{many}"
    tail = "\n\nThere are more: say “more” to see them." if more else ""
    return f"{head}:\n\n{bullets(tasks)}{tail}"


def which(verb: str, tasks: Sequence[JsonObject], *, more: bool) -> str:
    """Ask which of several tasks is meant."""
    tail = "\n\nThere are even more; please be more specific." if more else "\n\nAnswer with its number."
    return f"{ASK_WHICH}{verb}? These fit:\n\n{bullets(tasks)}{tail}"


def not_found(target: str) -> str:
    """Say that no task fits."""
    return f"I found no task like {quote(target)}. Say “show my tasks” to see your list."


def refused(result: JsonObject) -> str:
    """Say why a tool would not do it."""
    return f"That did not work: {result['error']}. Nothing was changed."
