"""Check the parameters of a turn that are its agent's business, as far as every response repeats them.

What is not listed here is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hansard.api.bodies import missing, wrong_type
from hansard.api.includes import check_values
from hansard.errors import InvalidInput
from hansard.models.limits import JsonObject

_NUMBER: Final = (int, float)
# The SDKs read these in the response, so their types must be right. `None` is "not sent".
TYPES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "include": ((list,), "an array"),
    "instructions": ((str, list), "a string or an array"),
    "max_output_tokens": ((int,), "an integer"),
    "max_tool_calls": ((int,), "an integer"),
    "parallel_tool_calls": ((bool,), "a boolean"),
    "prompt": ((dict,), "an object"),
    "prompt_cache_key": ((str,), "a string"),
    "reasoning": ((dict,), "an object"),
    "safety_identifier": ((str,), "a string"),
    "service_tier": ((str,), "a string"),
    "temperature": (_NUMBER, "a number"),
    "text": ((dict,), "an object"),
    "tool_choice": ((str, dict), "a string or an object"),
    "tools": ((list,), "an array"),
    "top_logprobs": ((int,), "an integer"),
    "top_p": (_NUMBER, "a number"),
    "truncation": ((str,), "a string"),
    "user": ((str,), "a string"),
}
# Of these the words have not grown in years; of others a model's server may know more than we do.
WORDS: Final[Mapping[str, frozenset[str]]] = {
    "tool_choice": frozenset({"auto", "none", "required"}),
    "truncation": frozenset({"auto", "disabled"}),
}


def check_parameters(sent: JsonObject) -> None:
    """Raise `InvalidInput`, by name, for a parameter that cannot be meant."""
    for name, (types, expected) in TYPES.items():
        value = sent.get(name)
        # A boolean is an integer in Python, never in JSON.
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            raise wrong_type(value, param=name, expected=expected)
    for name, words in WORDS.items():
        if isinstance(sent.get(name), str) and sent[name] not in words:
            known = ", ".join(f"'{word}'" for word in sorted(words))
            raise InvalidInput(f"Invalid value for '{name}': it must be one of {known}.", param=name)
    for index, tool in enumerate(sent.get("tools") or ()):
        _check_typed(tool, param=f"tools[{index}]")
    if (sent.get("text") or {}).get("format") is not None:
        _check_typed(sent["text"]["format"], param="text.format")
    _check_include(sent.get("include") or ())


def _check_typed(value: object, *, param: str) -> None:
    if not isinstance(value, dict):
        raise wrong_type(value, param=param, expected="an object")
    if "type" not in value:
        raise missing(f"{param}.type")
    if not isinstance(value["type"], str):
        raise wrong_type(value["type"], param=f"{param}.type", expected="a string")


def _check_include(values: Iterable[object]) -> None:
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise wrong_type(value, param=f"include[{index}]", expected="a string")
        check_values({value})
