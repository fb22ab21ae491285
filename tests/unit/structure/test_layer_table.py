"""The layer table as text."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from archcheck.structure.layer_table import format_layers, layer_rows
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import batch, linear, traced


def net() -> nn.Module:
    inner = nn.Sequential(OrderedDict(fc=nn.Linear(4, 3), norm=nn.BatchNorm1d(3)))
    return nn.Sequential(OrderedDict(block=inner, head=nn.Linear(3, 2).requires_grad_(False)))


def test_rows_are_calls_with_their_output_parameters_and_macs() -> None:
    trace = trace_structure(net, [batch(2, 4), batch(3, 4)])
    # fc: 4 * 3 + 3 parameters; norm: 3 + 3; head: 3 * 2 + 2
    assert layer_rows(trace) == [
        ("block", "Sequential", "[B, 3]", "21", "12"),
        ("  block.fc", "Linear", "[B, 3]", "15", "12"),
        ("  block.norm", "BatchNorm1d", "[B, 3]", "6", "-"),
        ("head", "Linear", "[B, 2]", "8", "6"),
    ]
    assert [row[0] for row in layer_rows(trace, 1)] == ["block", "head"]


def test_totals_stand_below() -> None:
    lines = format_layers(trace_structure(net, [batch(2, 4), batch(3, 4)])).splitlines()
    assert lines[-3:] == [
        "output      [B, 2]",
        "parameters  29, 8 of them frozen, and 7 in buffers",
        "macs        18 for one example",
    ]


def test_calls_of_one_module_are_numbered_and_counted_once() -> None:
    rows = layer_rows(traced(lambda m, x: m.body(m.body(x)), body=linear))
    assert [(row[0], row[3]) for row in rows] == [("body[0]", "20"), ("body[1]", "-")]


def test_a_forward_that_stops_is_told() -> None:
    lines = format_layers(traced(lambda m, x: m.body(x), [batch(2, 5)], body=linear)).splitlines()
    assert lines[-1] == "stopped at  body: 5 features in, 4 expected"
