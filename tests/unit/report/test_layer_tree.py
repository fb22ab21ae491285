"""The tree of a network's calls: what is inside of what, what is folded, what is open at first."""

from __future__ import annotations

from archcheck.report.layer_tree import Row, all_rows, layer_tree
from archcheck.report.run_record import Layer


def block(number: int, params: int = 20) -> list[Layer]:
    """Return the calls of a block of two layers."""
    return [
        Layer(f"b{number}", "Block", 0, "[B, 4]", params, 16),
        Layer(f"b{number}.fc", "Linear", 1, "[B, 4]", params, 16),
        Layer(f"b{number}.act", "ReLU", 1, "[B, 4]"),
    ]


def told(rows: tuple[Row, ...]) -> list[tuple[str, int, str, int]]:
    return [(row.name, row.times, row.last_name, row.level) for row in all_rows(rows)]


def test_calls_inside_others_stand_below_them() -> None:
    assert told(layer_tree(block(0)).rows) == [("b0", 1, "", 0), ("b0.fc", 1, "", 1), ("b0.act", 1, "", 1)]


def test_blocks_that_are_alike_are_one_row_with_their_number() -> None:
    layers = [one for number in range(12) for one in block(number)]
    assert told(layer_tree(layers).rows) == [("b0", 12, "b11", 0), ("b0.fc", 1, "", 1), ("b0.act", 1, "", 1)]


def test_a_block_of_another_size_is_no_repetition() -> None:
    layers = [*block(0), *block(1), *block(2, params=30), *block(3), *block(4)]
    assert [(row.name, row.times) for row in layer_tree(layers).rows] == [("b0", 2), ("b2", 1), ("b3", 2)]


def test_rows_that_repeat_together_are_folded_together() -> None:
    layers = [Layer(str(number), "ReLU" if number % 2 else "Linear", 0) for number in range(8)]
    (row,) = layer_tree(layers).rows
    assert (row.name, row.times, row.last_name) == ("0", 4, "7")
    assert [(child.name, child.type, child.level) for child in row.children] == [("0", "Linear", 1), ("1", "ReLU", 1)]


def test_what_repeats_together_is_called_by_its_layers_and_not_by_what_joins_them() -> None:
    layers = [layer for number in range(3) for layer in (Layer("", "cat", 0), Layer(f"l{number}", "Linear", 0))]
    (row,) = layer_tree(layers).rows
    assert (row.name, row.times, row.last_name) == ("l0", 3, "l2")


def test_two_rows_are_not_folded_for_one() -> None:
    layers = [Layer("a", "ReLU", 0), Layer("b", "ReLU", 0)]
    assert [row.name for row in layer_tree(layers).rows] == ["a", "b"]


def test_the_first_layer_that_differs_is_never_folded_away_and_in_the_open() -> None:
    layers = [one for number in range(100) for one in [*block(number), Layer(f"x{number}", "Tanh", 0, str(number))]]
    rows = layer_tree(layers, first_difference="b7.fc").rows
    (marked,) = [row for row in all_rows(rows) if row.is_first_difference]
    assert marked.name == "b7.fc"
    assert [row.name for row in rows if row.is_open] == ["b7"]


def test_a_layer_that_differs_is_never_folded_away() -> None:
    layers = [one for number in range(9) for one in block(number)]
    rows = layer_tree(layers, differing=["b4.act"]).rows
    assert [(row.name, row.times) for row in rows] == [("b0", 4), ("b4", 1), ("b5", 4)]


def test_what_is_folded_away_is_shown_by_the_first_one_like_it() -> None:
    """Two stages of three blocks, a block of two layers and one of which there are two in a row that repeats."""
    layers = [
        Layer(*one)
        for stage in "ab"
        for one in [
            (stage, "Stage", 0, "[B, 4]"),
            *((f"{stage}.{k}{kind}", kind, 1, "[B, 4]") for k in range(3) for kind in ("Linear", "ReLU")),
        ]
    ]
    tree = layer_tree(layers)
    assert [(row.name, row.times) for row in tree.rows] == [("a", 2)]
    assert [tree.shown(place) for place in range(14)] == [0, 1, 2, 1, 2, 1, 2] * 2


def test_levels_are_open_as_long_as_the_picture_is_seen_at_a_glance() -> None:
    """30 stages of a block each, all different: 60 rows with their blocks, 120 with what is in them."""
    layers = [
        Layer(f"s{number}{name}", type_name, depth, f"[B, {number}]")
        for number in range(30)
        for name, type_name, depth in (
            ("", "Stage", 0),
            (".b", "Block", 1),
            (".b.fc", "Linear", 2),
            (".b.act", "ReLU", 2),
        )
    ]
    rows = layer_tree(layers).rows
    assert all(row.is_open for row in rows)
    assert not any(row.children[0].is_open for row in rows)


def test_what_names_inside_a_row_begin_with_is_known() -> None:
    layers = [Layer("b[0]", "Block", 0), Layer("b.fc[0]", "Linear", 1), Layer("shared", "Linear", 1)]
    (row,) = layer_tree(layers).rows
    assert [(child.name, child.prefix) for child in row.children] == [("b.fc[0]", "b."), ("shared", "")]


def test_a_network_that_nests_without_end_is_still_drawn() -> None:
    layers = [Layer(f"l{number}", "Deep", number) for number in range(2000)]
    assert sum(row.times for row in all_rows(layer_tree(layers).rows)) == 2000
