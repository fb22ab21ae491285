"""The text of a spec from a trace."""

from __future__ import annotations

import re
from collections import OrderedDict

import pytest
from torch import Tensor, nn

from archcheck.errors import UsageError
from archcheck.recording.spec_writer import format_block, format_sections, format_spec
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure


class Shared(nn.Module):
    """One pool that is called twice, at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)  # 1 * 2 * 9 + 2 = 20 parameters
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.conv(self.pool(x)))  # type: ignore[no-any-return]


def nested() -> nn.Module:
    block = nn.Sequential(OrderedDict(fc=nn.Linear(4, 8), norm=nn.BatchNorm1d(8)))  # 40 and 16 parameters, 17 buffers
    return nn.Sequential(OrderedDict(block=block, act=nn.ReLU()))


def traced(make: type[nn.Module] | object, *shape: int) -> StructureTrace:
    inputs = [ForwardInput((TensorInput((batch, *shape)),), sizes={"B": batch}) for batch in (2, 3)]
    return trace_structure(make, inputs)  # type: ignore[arg-type]


def test_a_spec_is_an_aligned_table_in_the_order_of_execution() -> None:
    text = format_spec({"build": "nets:Shared", "input": "[B, 1, 8, 8]"}, traced(Shared, 1, 8, 8))
    # 4 * 4 pixels of 2 channels, 9 products each: 288
    assert (
        text
        == """\
build: nets:Shared
input: [B, 1, 8, 8]

layers:
  pool[0]: {type: AvgPool2d, output: [B, 1, 4, 4]}
  conv:    {type: Conv2d,    output: [B, 2, 4, 4], parameters: 20}
  pool[1]: {type: AvgPool2d, output: [B, 2, 2, 2]}
output: [B, 2, 2, 2]
parameters: 20
macs: 288
"""
    )


def test_the_depth_says_how_many_levels_are_listed() -> None:
    trace = traced(nested, 4)
    assert format_sections(trace, depth=1)["layers"].splitlines() == [
        "layers:",
        "  block: {type: Sequential, output: [B, 8], parameters: 56}",
        "  act:   {type: ReLU,       output: [B, 8]}",
    ]
    assert [line.split(":")[0].strip() for line in format_sections(trace, depth=2)["layers"].splitlines()[1:]] == [
        "block", "block.fc", "block.norm", "act",
    ]  # fmt: skip


def test_buffers_and_frozen_parameters_are_listed_apart() -> None:
    def half_frozen() -> nn.Module:
        network = nested()
        for param in network.get_submodule("block.norm").parameters():
            param.requires_grad = False
        return network

    assert format_sections(traced(nested, 4))["parameters"] == "parameters: {total: 56, buffers: 17}"
    sections = format_sections(traced(half_frozen, 4))
    assert sections["parameters"] == "parameters: {total: 56, trainable: 40, buffers: 17}"


def test_a_forward_that_stops_leaves_nothing_to_record() -> None:
    message = "nothing to record: the forward stopped at block.fc: 5 features in, 4 expected"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        format_sections(traced(nested, 5))


def test_maps_of_maps_become_blocks_and_maps_of_values_lines() -> None:
    value = {"at": {"B": 8}, "layers": {"conv1": {"mean": 0.5}, "act[1]": {"mean": 1}}, "large": 8}
    assert format_block(value, 4) == [
        "    at: {B: 8}",
        "    layers:",
        "      conv1: {mean: 0.5}",
        '      "act[1]": {mean: 1}',
        "    large: 8",
    ]
