"""The picture of a network: which rows take what comes from further up, what is said of them, what is open."""

from __future__ import annotations

import re

from archcheck.report.layer_tree import all_rows
from archcheck.report.picture import INPUT, Picture, Said, draw_network
from archcheck.report.run_record import Layer, SpecResult


def residual_block(number: int, start: int) -> list[Layer]:
    """Return a block of two layers and an addition, which begins at a place."""
    return [
        Layer(f"b{number}", "Block", 0, "[B, 4]", 40, 32),
        Layer(f"b{number}.fc", "Linear", 1, "[B, 4]", 20, 16, sources=(start - 1,)),
        Layer(f"b{number}.act", "ReLU", 1, "[B, 4]", sources=(start + 1,)),
        Layer("", "add", 1, "[B, 4]", sources=(start - 1, start + 2)),
    ]


def network(*layers: Layer, output: tuple[int, ...] = ()) -> SpecResult:
    return SpecResult("net", layers=layers, output_sources=output)


STEM = Layer("stem", "Linear", 0, "[B, 4]", 20, 16, sources=(INPUT,))
BLOCKS = network(STEM, *(one for number in range(3) for one in residual_block(number, 1 + 4 * number)), output=(12,))


def test_an_arc_inside_a_folded_block_is_there_once() -> None:
    html = draw_network(BLOCKS)
    assert re.search(r'class="times">3 ', html)
    found = re.findall(r'data-n="(\d+)"(?: data-of="([\d -]*)")?', html)
    assert found == [("0", "1"), ("1", ""), ("2", "2"), ("3", "1"), ("4", "4 1")]


def test_what_follows_a_folded_block_takes_what_comes_from_the_one_that_is_shown() -> None:
    head = Layer("head", "Linear", 0, "[B, 2]", 10, 8, sources=(12, 0))
    picture = Picture(network(*BLOCKS.layers, head, output=(13,)))
    assert str(picture.flow[13]) == ' data-n="13" data-of="9 13"'
    assert picture.takes.get(13) == "takes stem"


def test_what_is_taken_from_further_up_is_told_in_words() -> None:
    picture = Picture(BLOCKS)
    assert picture.takes.get(4) == "takes stem"
    assert picture.takes.get(2) is None
    assert "takes stem" in draw_network(BLOCKS)


def test_layers_in_a_row_have_no_arcs() -> None:
    picture = Picture(network(STEM, Layer("head", "Linear", 0, sources=(0,)), output=(1,)))
    assert (picture.has_arcs, picture.has_input_row, picture.has_output_row) == (False, False, False)
    assert "data-n" not in draw_network(network(STEM))


def test_an_input_that_is_taken_later_and_an_output_of_an_earlier_layer_have_rows() -> None:
    late = Layer("", "add", 0, sources=(0, INPUT))
    picture = Picture(network(STEM, late, Layer("head", "Linear", 0, sources=(1,)), output=(1, 2)))
    assert (picture.has_input_row, picture.has_output_row) == (True, True)
    assert (picture.takes.get(1), picture.takes.get(3)) == ("takes the input", "takes add")


def test_many_sources_are_counted() -> None:
    layers = [Layer(f"l{number}", "Linear", 0, str(number), sources=(number - 1,)) for number in range(20)]
    picture = Picture(network(*layers, Layer("", "cat", 0, sources=tuple(range(20)))))
    assert picture.takes.get(20) == "takes l0, l1, l2, l3, l4, l5 and 13 more"


def test_what_is_said_of_a_layer_and_is_not_so_stands_below_it() -> None:
    html = draw_network(BLOCKS, {"b1.fc": [Said("the spec says", "[B, 5]")]})
    assert 'class="times">2 ' not in html
    assert re.search(r'class="layer said"[^>]*>the spec says <code>\[B, 5\]</code>', html)


def test_a_depth_says_what_is_open() -> None:
    assert "open" not in draw_network(BLOCKS, depth=1)
    assert " open" in draw_network(BLOCKS, depth=2)


def test_a_layer_holds_what_is_in_it_and_a_further_call_nothing_more() -> None:
    layers = (
        Layer("b[0]", "Block", 0), Layer("b.fc[0]", "Linear", 1), Layer("b.act[0]", "ReLU", 1),
        Layer("b[1]", "Block", 0), Layer("b.fc[1]", "Linear", 1),
    )  # fmt: skip
    picture = Picture(SpecResult("net", layers=layers, memory={"b": 1, "b.fc": 100, "b.act": 20, "(loss)": 7}))
    held = {row.name: picture.memory(row) for row in all_rows(picture.rows)}
    assert held == {"b[0]": 121, "b.fc[0]": 100, "b.act[0]": 20, "b[1]": 0, "b.fc[1]": 0}
    shades = re.findall(
        r'<i class="m0 k(\d)', draw_network(SpecResult("net", layers=layers, memory={"a": 1, "b.fc": 9}))
    )
    assert shades == ["5", "5"]
