"""A title is the beginning of what was said first, however that is spaced."""

import pytest

from hansard.models.verbatim import ItemColumns
from hansard.store.titles import AUTO_TITLE_CODE_POINTS, first_message_title


def said(text: str) -> list[ItemColumns]:
    return [ItemColumns("message", "user", None, text, None)]


@pytest.mark.parametrize("space", [" ", "  ", "\n\t", "\u3000"])
@pytest.mark.parametrize("word", ["a", "ab", "milk", "x" * 29, "x" * 59, "x" * 60, "x" * 61])
def test_a_long_text_is_cut_between_words_and_has_one_space_between_them(space, word):
    title = first_message_title(said(space.join([word] * 300)))
    whole = " ".join([word] * 300)
    assert title is not None
    assert title.endswith("…")
    assert whole.startswith(title[:-1])
    assert len(title) <= AUTO_TITLE_CODE_POINTS + 1
    # Another word would have been too long.
    assert len(title) + len(word) >= AUTO_TITLE_CODE_POINTS - 1
