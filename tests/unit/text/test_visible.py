"""Text from outside made harmless to look at."""

from __future__ import annotations

import pytest

from archcheck.text.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\u202ecba", r"a\u202ecba"),  # turns the rest of the line around
        ("a\u200eb\u2066c", r"a\u200eb\u2066c"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\udc80b", r"a\udc80b"),  # a byte of a file's name that is no UTF-8
        ("a\u2028b", r"a\u2028b"),  # ends a line of JavaScript
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("תורה", "תורה"),
        ("👩\u200d🔬 naïve", "👩\u200d🔬 naïve"),
        ("two\nlines\tmore", "two\nlines\tmore"),
    ],
)
def test_what_turns_or_hides_text_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_ends_a_line_is_shown_where_there_is_but_one() -> None:
    assert visible("a\nb", keep="") == r"a\nb"
