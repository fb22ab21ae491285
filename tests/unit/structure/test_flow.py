"""Where what layers take comes from: skip connections, branches, what hands on, what is lost and found again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.structure.flow import trace_flow
from archcheck.structure.records import INPUT, FlowRecord, TensorRecord
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import TWO, Forward, Net, linear


def flow_of(function: Forward, **children: Callable[[], Any]) -> tuple[FlowRecord, list[str]]:
    """Return the flow of a network with a forward, and what its places are called."""

    def make() -> nn.Module:
        return Net(function, **{name: child() for name, child in children.items()})

    trace = trace_structure(make, TWO)
    flow = trace_flow(make, TWO, trace)
    assert flow is not None
    return flow, [*(call.name for call in trace.forwards[0].calls), *(join.operation for join in flow.joins)]


def told(function: Forward, **children: Callable[[], Any]) -> dict[str, list[str]]:
    """Return by layer, by join and for the output what they take, by name."""
    flow, names = flow_of(function, **children)

    def named(places: Iterable[int]) -> list[str]:
        return ["input" if place == INPUT else names[place] for place in places]

    found = {names[place]: named(sources) for place, sources in flow.sources.items()}
    found |= {join.operation: named(join.sources) for join in flow.joins}
    return found | {"output": named(flow.output)}


LAYERS = {"a": linear, "b": linear, "c": linear}


def test_layers_in_a_row_take_what_the_one_before_puts_out() -> None:
    assert told(lambda m, x: m.c(m.b(m.a(x).relu()).reshape(-1, 2, 2).flatten(1)), **LAYERS) == {
        "a": ["input"], "b": ["a"], "c": ["b"], "output": ["c"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("joined", "operation"),
    [
        (lambda a, b: a + b, "add"),
        (lambda a, b: a.__iadd__(b), "add"),
        (lambda a, b: torch.add(a, b, alpha=2), "add"),
        (lambda a, b: a * b.sigmoid(), "mul"),
        (lambda a, b: torch.cat([a, b], 1)[:, :4], "cat"),
        (lambda a, b: torch.stack((a, b)).sum(0), "stack"),
        (lambda a, b: torch.where(a > 0, a, b), "where"),
    ],
)
def test_what_joins_two_results_is_a_place_of_its_own(joined: Any, operation: str) -> None:
    def forward(m: Any, x: Any) -> Any:
        first = m.a(x)
        return m.c(joined(m.b(first), first))

    assert told(forward, **LAYERS) == {
        "a": ["input"], "b": ["a"], operation: ["a", "b"], "c": [operation], "output": ["c"],
    }  # fmt: skip


def test_what_is_written_into_a_part_is_joined_too() -> None:
    def forward(m: Any, x: Any) -> Any:
        out = torch.zeros_like(x)
        out[:, :2] = m.a(x)[:, :2]
        out[:, 2:].add_(m.b(x)[:, 2:])
        return m.c(out)

    found = told(forward, **LAYERS)
    assert (found["a"], found["b"], found["add"], found["c"]) == (["input"], ["input"], ["a", "b"], ["add"])


def test_a_residual_network_over_many_blocks_has_an_addition_each() -> None:
    def forward(m: Any, x: Any) -> Any:
        for layer in (m.a, m.b, m.c):
            x = x + layer(x)
        return x

    flow, names = flow_of(forward, **LAYERS)
    assert [[names[one] if one >= 0 else "input" for one in join.sources] for join in flow.joins] == [
        ["input", "a"], ["b", "add"], ["c", "add"],
    ]  # fmt: skip
    assert flow.output == (6,)


def test_additions_that_only_another_one_takes_are_one_with_it() -> None:
    def forward(m: Any, x: Any) -> Any:
        a, b, c = m.a(x), m.b(x), m.c(x)
        return torch.cat([a + b + c, x], 1)

    assert told(forward, **LAYERS)["add, cat"] == ["input", "a", "b", "c"]


def test_a_result_that_is_taken_twice_stays_one() -> None:
    def forward(m: Any, x: Any) -> Any:
        both = m.a(x) + m.b(x)
        return m.c(both) + both

    flow, names = flow_of(forward, **LAYERS)
    assert [join.operation for join in flow.joins] == ["add", "add"]
    assert [names[one] for one in flow.joins[1].sources] == ["c", "add"]


def test_what_nobody_takes_is_left_out() -> None:
    def forward(m: Any, x: Any) -> Any:
        out = m.a(x)
        _ = (out + m.b(x)) > 0
        return m.c(out)

    assert flow_of(forward, **LAYERS)[0].joins == ()


def test_a_layer_with_operations_of_its_own_is_one_place() -> None:
    class Mixed(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a * b.sigmoid() + a

    assert told(lambda m, x: m.mix(m.a(x), b=m.b(x)), a=linear, b=linear, mix=Mixed) == {
        "a": ["input"], "b": ["input"], "mix": ["a", "b"], "output": ["mix"],
    }  # fmt: skip


def test_what_hands_on_the_tensor_that_it_takes_is_where_it_comes_from_later() -> None:
    def forward(m: Any, x: Any) -> Any:
        first = m.a(x)
        return m.b(m.last(m.drop(first))) + m.same(first)

    assert told(forward, a=linear, b=linear, drop=nn.Dropout, last=nn.Identity, same=nn.Identity) == {
        "a": ["input"], "drop": ["a"], "last": ["drop"], "b": ["last"], "same": ["last"],
        "add": ["b", "same"], "output": ["add"],
    }  # fmt: skip


def test_what_writes_to_the_tensor_that_it_takes_is_a_source() -> None:
    class Cut(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.clamp_(max=1)

    found = told(lambda m, x: m.c(m.cut(m.act(m.a(x)))), a=linear, act=lambda: nn.ReLU(inplace=True), cut=Cut, c=linear)
    assert (found["cut"], found["c"]) == (["act"], ["cut"])


def test_a_shape_or_a_type_that_is_lent_is_no_source() -> None:
    def forward(m: Any, x: Any) -> Any:
        first = m.a(x)
        return m.c(m.b(x).view_as(first).to(first) + torch.ones_like(first))

    assert told(forward, **LAYERS)["c"] == ["b"]


def test_a_way_that_is_lost_begins_again_at_the_module_around_it() -> None:
    class Lost(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()

        def forward(self, x: Any) -> Any:
            return torch.empty(self.inner(x).shape)

    found = told(lambda m, x: m.c(m.lost(x)), lost=Lost, c=linear)
    assert (found["lost"], found["lost.inner"], found["c"]) == (["input"], ["input"], ["lost"])


def test_results_in_maps_and_lists_are_followed() -> None:
    class Pair(nn.Module):
        def forward(self, x: Any) -> Any:
            return {"left": [x * 2], "right": (x + 1, None)}

    def forward(m: Any, x: Any) -> Any:
        pair = m.pair(m.a(x))
        return m.c(pair["left"][0]) + pair["right"][0]

    found = told(forward, a=linear, pair=Pair, c=linear)
    assert (found["pair"], found["c"], found["add"]) == (["a"], ["pair"], ["pair", "c"])


def test_a_join_knows_what_comes_out_of_it_at_each_size() -> None:
    flow, _ = flow_of(lambda m, x: torch.cat([m.a(x), x], 1), a=linear)
    assert flow.joins[0].output == (TensorRecord((2, 8)), TensorRecord((3, 8)))


def test_a_network_that_is_run_on_the_cpu_is_followed_there() -> None:
    def forward(m: Any, x: Any) -> Any:
        first = m.a(x)
        return first + m.b(first) if float(first.sum()) < 1e9 else first

    def make() -> nn.Module:
        return Net(forward, a=linear(), b=linear())

    trace = trace_structure(make, TWO)
    assert trace.device == "cpu"
    flow = trace_flow(make, TWO, trace)
    assert flow is not None
    assert [join.sources for join in flow.joins] == [(1, 2)]


def test_a_network_with_other_calls_than_were_traced_has_no_flow() -> None:
    traced = trace_structure(lambda: nn.Sequential(linear()), TWO)
    assert trace_flow(lambda: nn.Sequential(linear(), linear()), TWO, traced) is None


def test_what_can_not_be_built_again_has_no_flow() -> None:
    def make() -> nn.Module:
        raise OSError("no disk")

    assert trace_flow(make, TWO, trace_structure(lambda: nn.Sequential(linear()), TWO)) is None


def test_what_a_network_prints_and_warns_of_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    def forward(m: Any, x: Any) -> Any:
        print("a word")  # noqa: T201
        warnings.warn("a warning", stacklevel=1)
        return m.a(x)

    def make() -> nn.Module:
        return Net(forward, a=linear())

    with pytest.warns(UserWarning, match="a warning"):
        trace = trace_structure(make, TWO)
    assert "a word" in capsys.readouterr().out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trace_flow(make, TWO, trace) is not None
    assert capsys.readouterr().out == ""
