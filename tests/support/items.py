"""Make items, from the plain to the hostile, and compare them to the code point."""

import functools
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

NAUGHTY_STRINGS = Path(__file__).parents[2] / ".cache/npm/node_modules/big-list-of-naughty-strings/blns.json"

# What text columns, JSON parsers and careless code bend most often.
HARD_STRINGS = {
    "empty": "",
    "NUL": "a\x00b",
    "only NUL": "\x00",
    "lone high surrogate": "a\ud83d",
    "lone low surrogate": "\udc00a",
    "surrogates in the wrong order": "\ude00\ud83d",
    "surrogate pair as two code points": "\ud83d\ude00",
    "pair beside the character it would make": "\U0001f600\ud83d\ude00",
    "decomposed": "e\u0301 \u1100\u1161",
    "CRLF and its relatives": "\r\n \n\r \r \n \x85 \u2028 \u2029",
    "byte order mark": "\ufeffa\ufeff",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "control characters": "".join(map(chr, range(0x20))) + "\x7f",
    "escapes that are text": '\\u0000 \\n \\" %s ? :name $1 {} ~',
    "blanks around": " \t text \n ",
    "right to left": "\u202eabc\u202c \u0627\u0644",
    "10,000 astral code points": "\U0001f984" * 10_000,
}


def exact(value: object) -> str:
    """Spell a value so that only the very same JSON value is spelled so.

    ``==`` is too kind: it takes 1 for True and 1.0, 0.0 for -0.0, and does not see the order of keys.
    """
    return repr(value)


def user_says(text: str) -> dict[str, Any]:
    """Return the shortest item that is a user's message."""
    return {"role": "user", "content": text}


def of_bytes(size: int, *, filler: str = "x") -> dict[str, Any]:
    """Return an item whose compact JSON has exactly ``size`` bytes of UTF-8, mostly ``filler``."""
    room = size - len(json.dumps(user_says(""), separators=(",", ":")))
    unit = len(json.dumps(filler, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2
    return user_says(filler * (room // unit) + "x" * (room % unit))


def nested(levels: int) -> dict[str, Any]:
    """Return an item of ``levels`` objects and lists inside one another."""
    value: Any = {} if levels % 2 else []
    for level in range(levels - 1, 0, -1):
        value = {"in": value} if level % 2 else [value]
    return dict(value)


@functools.cache
def naughty_strings() -> tuple[str, ...]:
    """Return the big list of naughty strings."""
    if not NAUGHTY_STRINGS.exists():
        raise FileNotFoundError(f"{NAUGHTY_STRINGS} is missing: run the tests by `make test`, which installs it")
    return tuple(json.loads(NAUGHTY_STRINGS.read_text(encoding="utf-8")))


def texts(max_size: int = 30) -> st.SearchStrategy[str]:
    """Generate text of any code points, lone surrogates and NUL included."""
    anything = st.text(st.characters(exclude_categories=()), max_size=max_size)
    hard = st.sampled_from([text for text in HARD_STRINGS.values() if len(text) < 100])
    return anything | hard | st.tuples(anything, hard).map("".join)


def _big_integers() -> st.SearchStrategy[int]:
    # Python itself refuses to read or write more than 4300 digits.
    digits = st.integers(20, 4000)
    return st.builds(lambda size, lead, sign: sign * (lead * 10 ** (size - 1) + 7), digits, st.integers(1, 9), _signs())


def _signs() -> st.SearchStrategy[int]:
    return st.sampled_from([1, -1])


def json_values() -> st.SearchStrategy[Any]:
    """Generate any value that JSON can say exactly."""
    floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 1e308, 5e-324, 1.0, 1e22])
    leaves = st.none() | st.booleans() | st.integers() | _big_integers() | floats | texts()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(8), inner, max_size=4),
        max_leaves=12,
    )


def _deep_values() -> st.SearchStrategy[Any]:
    def wrap(value: object, *, levels: int) -> object:
        for level in range(levels):
            value = [value] if level % 2 else {"\x00": value}
        return value

    return st.builds(lambda value, levels: wrap(value, levels=levels), st.text(), st.integers(0, 98))


@st.composite
def json_items(draw: st.DrawFn) -> dict[str, Any]:
    """Generate any item a store must keep: an object, its keys in any order, with the well-known ones or without."""
    item = draw(st.dictionaries(texts(8), json_values() | _deep_values(), max_size=4))
    known = {
        "type": st.sampled_from(["message", "function_call", "reasoning", "a type of tomorrow"]),
        "role": st.sampled_from(["user", "assistant", "tool", "captain"]) | json_values(),
        "status": st.sampled_from(["completed", "in_progress", "", None, 1]),
        "content": texts() | json_values() | st.lists(st.fixed_dictionaries({"type": texts(8), "text": texts()})),
    }
    for key in ("type", "status"):
        item.pop(key, None)
    for key in draw(st.sets(st.sampled_from(sorted(known)))):
        item[key] = draw(known[key])
    return {key: item[key] for key in draw(st.permutations(list(item)))}


@st.composite
def almost_plain_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Generate messages of the two plain shapes, and neighbours that differ in one detail."""
    role, text = draw(st.sampled_from(["user", "assistant", "system", "developer", "tool", "captain"])), draw(texts())
    if draw(st.booleans()):
        item: dict[str, Any] = user_says(text) | {"role": role}
    else:
        part: dict[str, Any] = {"type": draw(st.sampled_from(["input_text", "output_text"])), "text": text}
        if draw(st.booleans()):
            part |= {"annotations": draw(st.just([]) | st.none() | st.just([1])), "logprobs": []}
        status = draw(st.sampled_from(["completed", "incomplete", "", None]))
        item = {"type": "message", "role": role, "status": status, "content": draw(_shuffled([part]))}
    return draw(_with_detail(item))


@st.composite
def _shuffled(draw: st.DrawFn, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if draw(st.booleans()):
        return parts
    return [{key: part[key] for key in draw(st.permutations(list(part)))} for part in parts]


@st.composite
def _with_detail(draw: st.DrawFn, item: dict[str, Any]) -> dict[str, Any]:
    detail = draw(st.sampled_from(["none", "order", "extra", "two parts"]))
    if detail == "order":
        return {key: item[key] for key in draw(st.permutations(list(item)))}
    if detail == "extra":
        return item | {draw(texts(8).filter(lambda key: key not in {"type", "status"})): draw(json_values())}
    if detail == "two parts" and isinstance(item["content"], list):
        return item | {"content": item["content"] * 2}
    return item
