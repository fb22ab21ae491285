"""The differences between two traces."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from archcheck.structure.diff import compare_layers, compare_networks, layers_of
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import TWO, linear, traced


def trace(**layers: nn.Module) -> StructureTrace:
    return trace_structure(lambda: nn.Sequential(OrderedDict(layers)), TWO)


def names(left: StructureTrace, right: StructureTrace) -> list[str]:
    return [one.name for one in compare_layers(left, right)]


def test_alike_networks_have_no_difference() -> None:
    left, right = trace(a=linear(), b=nn.ReLU()), trace(a=linear(), b=nn.ReLU())
    assert compare_layers(left, right) == []
    comparison = compare_networks(left, right)
    assert (comparison.text(("A", "B")), comparison.differs) == (
        "no difference in structure: 2 layer calls alike",
        False,
    )


def test_a_layer_of_another_type_or_size_differs() -> None:
    left = trace(a=linear(), b=nn.ReLU(), c=nn.Linear(4, 2))
    right = trace(a=linear(), b=nn.GELU(), c=nn.Linear(4, 3))
    assert names(left, right) == ["b", "c"]


def test_a_layer_that_one_side_has_is_where_it_runs() -> None:
    left = trace(a=linear(), b=nn.ReLU(), c=linear())
    divergences = compare_layers(left, trace(a=linear(), c=linear()))
    assert [(one.name, one.right) for one in divergences] == [("b", None)]


def test_renamed_layers_are_paired_by_execution() -> None:
    left = trace(a=linear(), b=nn.ReLU(), c=linear())
    assert names(left, trace(x=linear(), y=nn.ReLU(), z=linear())) == []
    assert names(left, trace(x=linear(), y=nn.Tanh(), z=linear())) == ["b / y"]


def test_a_block_stands_for_what_is_inside() -> None:
    left = trace(a=linear(), b=linear(), c=linear(), block=nn.Sequential(linear(), nn.ReLU()))
    assert names(left, trace(a=linear(), b=linear(), c=linear())) == ["block"]


def test_calls_come_in_the_order_of_their_returns() -> None:
    calls = layers_of(
        traced(lambda m, x: m.outer(m.again(m.again(x))), again=linear, outer=lambda: nn.Sequential(linear()))
    )
    assert [one.name for one in calls] == ["again[0]", "again[1]", "outer.0", "outer"]
    assert [one.is_leaf for one in calls] == [True, True, True, False]


def test_what_differs_is_told_as_text() -> None:
    comparison = compare_networks(trace(a=linear(), b=nn.Linear(4, 2)), trace(a=linear(), b=nn.Linear(4, 3)))
    assert comparison.differs
    rows = [line.split() for line in comparison.text(("A", "B")).splitlines()]
    assert rows[0] == ["first", "divergence:", "b"]
    assert ["b", "Linear", "[B,", "2]", "10", "parameters", "Linear", "[B,", "3]", "15", "parameters"] in rows
    assert ["output", "[B,", "2]", "[B,", "3]"] in rows
    assert ["parameters", "30", "35"] in rows
