"""The rows of a layer table that reads at a glance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torchvision
from torch import Tensor, nn

from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.structure.layer_groups import ROWS_AT_MOST, LayerRow, layer_rows, rows_of_level
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure


class Block(nn.Module):
    """A linear layer with an activation, which keeps the width or changes it."""

    def __init__(self, width: int = 8, out: int = 8, bias: bool = True) -> None:
        super().__init__()
        self.norm, self.fc, self.act = nn.LayerNorm(width), nn.Linear(width, out, bias=bias), nn.ReLU()
        self.proj = nn.Linear(out, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.act(self.fc(self.norm(x))))  # type: ignore[no-any-return]


class Other(Block):
    """The same under another name."""


class Wide(nn.Linear):
    """A layer of another type."""


class Net(nn.Module):
    """A stem, blocks in a list and a head; `skipped` blocks are there and never called."""

    def __init__(self, blocks: Sequence[nn.Module], skipped: int = 0) -> None:
        super().__init__()
        self.stem, self.blocks, self.skipped = nn.Linear(8, 8), nn.ModuleList(blocks), skipped
        self.head = nn.Sequential(nn.Dropout(), nn.Linear(blocks[-1].proj.out_features, 3))  # type: ignore[union-attr,arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks[: len(self.blocks) - self.skipped]:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


def traced(make: Callable[[], nn.Module], *shape: int) -> StructureTrace:
    inputs = [ForwardInput((TensorInput((batch, *(shape or (8,)))),), sizes={"B": batch}) for batch in (2, 3)]
    return trace_structure(make, inputs)


def net(*blocks: Callable[[], nn.Module], skipped: int = 0) -> list[LayerRow]:
    return layer_rows(traced(lambda: Net([block() for block in blocks], skipped)))


def shown(rows: Sequence[LayerRow]) -> list[tuple[str, Any, Any, Any]]:
    return [(row.key, row.type_name, row.output, row.num_params) for row in rows]


WIDE = ["B", 8]


def test_equal_blocks_are_one_row_and_so_are_their_parts() -> None:
    assert shown(net(*[Block] * 9)) == [
        ("stem", "Linear", WIDE, 72),  # 8 * 8 + 8
        ("blocks.*", "Block", WIDE, 160),  # 2 * 72 + 16
        ("blocks.*.norm", "LayerNorm", WIDE, 16),
        ("blocks.*.fc", "Linear", WIDE, 72),
        ("blocks.*.proj", "Linear", WIDE, 72),
        ("head", "Sequential", ["B", 3], 27),
    ]


def test_what_blocks_do_not_have_in_common_is_left_out() -> None:
    rows = net(*[Block] * 8, lambda: Block(bias=False))
    assert shown(rows)[1] == ("blocks.*", "Block", WIDE, None)
    assert shown(rows)[3] == ("blocks.*.fc", "Linear", WIDE, None)
    other = net(*[Block] * 24, Other)
    assert shown(other)[1] == ("blocks.*", None, WIDE, 160)


def test_blocks_with_different_outputs_have_rows_of_their_own_as_long_as_they_fit() -> None:
    rows = net(*[Block] * 9, lambda: Block(8, 16), lambda: Block(16, 16))
    assert [row.key for row in rows] == ["stem", *(f"blocks.{i}" for i in range(11)), "head"]
    many = net(*[Block] * 30, lambda: Block(8, 16))
    assert shown(many)[1] == ("blocks.*", "Block", None, None)


def test_a_glob_never_speaks_of_more_than_its_row_does() -> None:
    rows = net(*[Block] * 12, skipped=1)
    assert [row.key for row in rows if row.key.startswith("blocks")] == [f"blocks.{i}" for i in range(11)]


def test_a_small_network_is_listed_in_full() -> None:
    layers = OrderedDict(a=nn.Linear(8, 8), drop=nn.Dropout(), b=Block(), act=nn.ReLU())
    keys = [row.key for row in layer_rows(traced(lambda: nn.Sequential(layers)))]
    assert keys == ["a", "drop", "b", "b.norm", "b.fc", "b.act", "b.proj", "act"]


def test_of_a_flat_network_norms_go_where_there_is_no_room_for_them() -> None:
    def keys(count: int) -> list[str]:
        layers = [layer for _ in range(count) for layer in (nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())]
        return [row.key for row in layer_rows(traced(lambda: nn.Sequential(*layers)))]

    assert keys(8) == [str(i) for i in range(24)]
    assert keys(12) == [str(i) for i in range(36) if i % 3 < 2]
    assert keys(20) == [str(i) for i in range(60) if i % 3 == 0]


def test_a_network_of_a_hundred_different_layers_has_the_largest_of_them() -> None:
    layers = [(nn.Linear if i % 2 else Wide)(8 + i, 9 + i) for i in range(100)]
    rows = layer_rows(traced(lambda: nn.Sequential(*layers)))
    assert [row.key for row in rows] == [str(i) for i in range(100 - ROWS_AT_MOST, 100)]


def test_what_wraps_one_layer_stands_for_it() -> None:
    def make() -> nn.Module:
        wrapped = nn.Sequential(OrderedDict(only=nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))))
        return nn.Sequential(OrderedDict(a=wrapped, b=nn.Sequential(*[Block() for _ in range(9)])))

    assert [row.key for row in layer_rows(traced(make)) if row.key.startswith("a")] == ["a"]


def test_blocks_of_many_stages_are_not_taken_apart() -> None:
    def stage(width: int) -> nn.Module:
        return nn.Sequential(Block(width, width + 8), *[Block(width + 8, width + 8) for _ in range(3)])

    keys = [row.key for row in layer_rows(traced(lambda: nn.Sequential(*map(stage, range(8, 80, 8)))))]
    assert keys == [key for i in range(9) for key in (str(i), f"{i}.*")]


def test_calls_with_different_outputs_have_rows_of_their_own() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool1d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(self.pool(x))  # type: ignore[no-any-return]

    assert shown(layer_rows(traced(Twice, 3, 8))) == [
        ("pool[0]", "AvgPool1d", ["B", 3, 4], 0),
        ("pool[1]", "AvgPool1d", ["B", 3, 2], 0),
    ]


def test_a_level_lists_every_module_down_to_it() -> None:
    trace = traced(lambda: Net([Block(), Block()]))
    assert [row.key for row in rows_of_level(trace, 1)] == ["stem", "head"]
    assert [row.key for row in rows_of_level(trace, 2)] == ["stem", "blocks.0", "blocks.1", "head", "head.0", "head.1"]


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("resnet50", 12), ("densenet121", 12), ("vit_b_16", 10), ("swin_t", 12), ("efficientnet_v2_s", 12), ("vgg19", 9)],
)
def test_torchvisions_networks_take_25_rows_of_which_each_speaks_of_its_layers(name: str, at_least: int) -> None:
    trace = traced(lambda: torchvision.models.get_model(name, weights=None), 3, 224, 224)
    rows = layer_rows(trace)
    assert at_least <= len(rows) <= 25
    for row in rows:
        modules = matching_modules(parse_layer_key(row.key), trace)
        assert set(modules) == set(row.names)
        assert row.type_name is None or {trace.modules[one].type_name for one in modules} == {row.type_name}
