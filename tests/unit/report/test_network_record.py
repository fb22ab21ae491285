"""A traced network as the layers of a record."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from archcheck.report.network_record import with_layers
from archcheck.report.run_record import Layer, SpecResult
from archcheck.structure.flow import trace_flow
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import TWO, Net, linear


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = linear()

    def forward(self, x: Any) -> Any:
        return x + self.fc(x)


def network() -> nn.Module:
    return Net(lambda m, x: torch.cat([m.block(m.stem(x)), x], 1), stem=linear(), block=Block())


TRACE = trace_structure(network, TWO)


def test_what_joins_layers_stands_where_it_comes_about_and_has_their_places() -> None:
    result = with_layers(SpecResult("net"), TRACE, trace_flow(network, TWO, TRACE))
    assert result.layers == (
        Layer("stem", "Linear", 0, "[B, 4]", 20, 16, (-1,)),
        Layer("block", "Block", 0, "[B, 4]", 20, 16),
        Layer("block.fc", "Linear", 1, "[B, 4]", 20, 16, (0,)),
        Layer("", "add", 1, "[B, 4]", sources=(0, 2)),
        Layer("", "cat", 0, "[B, 8]", sources=(-1, 3)),
    )
    assert result.output_sources == (4,)


def test_without_a_flow_there_are_the_calls_alone() -> None:
    result = with_layers(SpecResult("net"), TRACE)
    assert [(layer.name, layer.depth, layer.sources) for layer in result.layers] == [
        ("stem", 0, ()), ("block", 0, ()), ("block.fc", 1, ()),
    ]  # fmt: skip
    assert result.output_sources == ()
