"""The contracts that people read list what there is: every method of the store, every endpoint of the service."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

from hansard.app import create_app
from hansard.config import Settings
from hansard.store import contract

CONTRACTS = Path(__file__).parents[2] / "specs" / "003-chat-database-schema" / "contracts"


def listed(page: str) -> set[str]:
    """The calls and endpoints in the first cells of the page's tables."""
    return set(re.findall(r"^\| `([\w.]+\(.*\)|[A-Z]+ /\S*)` \|", (CONTRACTS / page).read_text(), re.MULTILINE))


def methods() -> Iterator[str]:
    """Every method of a user's store, as it is called."""
    for noun, member in vars(contract.UserStore).items():
        if not isinstance(member, property):
            continue
        for name, method in vars(get_type_hints(member.fget, vars(contract))["return"]).items():
            if inspect.iscoroutinefunction(method):
                yield f"{noun}.{name}({', '.join(arguments(method))})"


def arguments(method: object) -> Iterator[str]:
    starred = False
    for parameter in list(inspect.signature(method).parameters.values())[1:]:  # type: ignore[arg-type] # a function
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield parameter.name if parameter.default is parameter.empty else f"{parameter.name}="


def test_every_method_of_the_store_is_listed_as_it_is_called():
    assert listed("store.md") == set(methods())


def test_every_endpoint_is_listed(tmp_path: Path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}", "JWT_SECRET_KEY": "x" * 32}
    paths = create_app(Settings.model_validate(settings)).openapi()["paths"]
    assert listed("http.md") == {f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs}
