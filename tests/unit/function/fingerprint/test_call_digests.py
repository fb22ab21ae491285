"""The order in which calls of modules are told, of passes that don't all have the same."""

from __future__ import annotations

import pytest

from archcheck.function.fingerprint.call_digests import in_order


@pytest.mark.parametrize(
    ("calls", "further", "expected"),
    [
        ("", "abc", "abc"),
        ("abc", "abc", "abc"),
        ("ac", "abc", "abc"),
        ("ac", "abcd", "abcd"),
        ("abc", "c", "abc"),
        ("bd", "abc", "abdc"),
        ("ab", "ba", "ab"),
        ("ab", "xbya", "yaxb"),
    ],
)
def test_a_new_call_comes_before_what_returned_after_it(calls: str, further: str, expected: str) -> None:
    found = in_order([(name, 0) for name in calls], [(name, 0) for name in further])
    assert found == [(name, 0) for name in expected]
