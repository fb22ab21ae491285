"""Lines of a text, and the parts of a value."""

from __future__ import annotations

import pytest

from archcheck.spec.positions import Lines, MappingNode, Node, SequenceNode, SharedNode, child_of, end_of, start_of


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("ab\ncd", 0, (1, 1)),
        ("ab\ncd", 2, (1, 3)),
        ("ab\ncd", 3, (2, 1)),
        ("ab\r\ncd", 4, (2, 1)),
        ("ab\rcd", 4, (2, 2)),
        ("\ufeffab", 0, (1, 1)),
        ("\ufeffab", 2, (1, 2)),
        ("", 0, (1, 1)),
        ("ab\n", 3, (2, 1)),
    ],
)
def test_lines_and_columns_count_from_1(text: str, offset: int, place: tuple[int, int]) -> None:
    assert Lines(text).at(offset) == place


def mapping() -> MappingNode:
    """`{a: 1, b: [x, y]}`."""
    node, items = MappingNode(0, True), SequenceNode(10, True)
    items.parts, items.end = [(11, 12), (14, 15)], 16
    node.parts, node.end = {"a": (1, 2, (4, 5)), "b": (7, 8, items)}, 17
    return node


def test_parts_are_found_by_key_and_position() -> None:
    node = mapping()
    assert child_of(node, "a") == (1, (4, 5))
    found = child_of(node, "b")
    assert found is not None
    assert child_of(found[1], 1) == (14, (14, 15))


@pytest.mark.parametrize("part", ["c", 0])
def test_a_part_that_is_not_there(part: str | int) -> None:
    assert child_of(mapping(), part) is None
    assert child_of((4, 5), part) is None


@pytest.mark.parametrize("part", [2, -1, "x"])
def test_an_item_that_is_not_there(part: str | int) -> None:
    assert child_of(mapping().parts["b"][2], part) is None


def test_an_alias_has_the_parts_of_what_it_stands_for_and_a_place_of_its_own() -> None:
    alias: Node = SharedNode(20, 22, mapping())
    assert child_of(alias, "a") == (1, (4, 5))
    assert (start_of(alias), end_of(alias)) == (20, 22)
