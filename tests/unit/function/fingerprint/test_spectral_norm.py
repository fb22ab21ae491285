"""Spectral norms, torch's and others', are one function: their vectors are made for the weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils import spectral_norm as by_hooks

from archcheck.function.fingerprint.preparation import NetworkFactory
from tests.unit.function.running import difference, held_against, recorded


class OfBuffers(nn.Linear):
    """Vectors in buffers, written to in place."""

    def __init__(self, columns: int, rows: int, num_steps: int = 1) -> None:
        super().__init__(columns, rows)
        self.num_steps = num_steps
        self.register_buffer("left", functional.normalize(torch.randn(self.out_features), dim=0))
        self.register_buffer("right", functional.normalize(torch.randn(self.in_features), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.get_buffer("left"), self.get_buffer("right")
        if self.training:
            with torch.no_grad():
                for _ in range(self.num_steps):
                    right.copy_(functional.normalize(self.weight.T @ left, dim=0))
                    left.copy_(functional.normalize(self.weight @ right, dim=0))
        return functional.linear(x, self.weight / torch.dot(left, self.weight @ right), self.bias)


class OfParameters(nn.Module):
    """A wrapper which keeps vectors as parameters of the layer, and puts others in their place, as in old code."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        rows, columns = layer.weight.shape
        weight = layer.weight
        del layer._parameters["weight"]
        for name, size in (("weight_u", rows), ("weight_v", columns)):
            vector = nn.Parameter(torch.randn(size), requires_grad=False)
            vector.data = vector.data / (vector.data.norm() + 1e-12)
            layer.register_parameter(name, vector)
        layer.register_parameter("weight_bar", nn.Parameter(weight.data))

    def forward(self, x: Tensor) -> Any:
        layer: Any = self.layer
        left, right, weight = layer.weight_u, layer.weight_v, layer.weight_bar
        if self.training:
            right.data = functional.normalize(weight.data.T @ left.data, dim=0)
            left.data = functional.normalize(weight.data @ right.data, dim=0)
        layer.weight = weight / left.dot(weight @ right)
        return self.layer(x)


class OfOneVector(nn.Linear):
    """One vector in a row of its own, replaced in each step."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self.register_buffer("u0", functional.normalize(torch.randn(1, self.out_features)))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            right = functional.normalize(self.get_buffer("u0") @ self.weight)
            left = functional.normalize(right @ self.weight.T)
            if self.training:
                self.u0 = left
        return functional.linear(x, self.weight / (left @ self.weight @ right.T), self.bias)


def _parametrized(num_steps: int = 1) -> nn.Module:
    return parametrizations.spectral_norm(nn.Linear(8, 5), n_power_iterations=num_steps)


WAYS = {
    "torch's by hooks": lambda: by_hooks(nn.Linear(8, 5)),
    "vectors in buffers": lambda: OfBuffers(8, 5),
    "vectors in parameters": lambda: OfParameters(nn.Linear(8, 5)),
}


@pytest.mark.parametrize("way", WAYS)
def test_in_whatever_way_it_is_written_it_is_the_same(way: str) -> None:
    assert difference(_parametrized, WAYS[way]) is None
    assert difference(WAYS[way], _parametrized) is None


def test_one_with_a_single_vector_gives_the_same_output() -> None:
    kind = "its buffers after a step in train mode differ"  # a vector less is written to
    assert difference(_parametrized, lambda: OfOneVector(8, 5)) in {("output", kind), ("", kind)}


@pytest.mark.parametrize("make", [*WAYS.values(), lambda: OfOneVector(8, 5)], ids=[*WAYS, "a single vector"])
def test_its_record_is_the_same_in_every_run(make: NetworkFactory) -> None:
    assert held_against(recorded(make), make, seed=1) is None


def test_steps_that_are_more_or_never_taken_are_seen() -> None:
    kind = "its buffers after a step in train mode differ"
    found = difference(_parametrized, lambda: _parametrized(2))
    assert found is not None
    assert found[1] == kind
    found = difference(lambda: OfBuffers(8, 5), lambda: OfBuffers(8, 5, num_steps=0))
    assert found is not None
    assert found[1] == kind


def test_its_absence_is_seen() -> None:
    assert difference(lambda: OfBuffers(8, 5), lambda: nn.Linear(8, 5)) is not None


def test_a_drawn_direction_that_fits_no_weight_is_left_alone() -> None:
    class Projected(nn.Linear):
        def __init__(self, direction: Tensor) -> None:
            super().__init__(8, 5)
            self.register_buffer("direction", direction)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).sum(1, keepdim=True) * self.get_buffer("direction")

    make = lambda: Projected(functional.normalize(torch.randn(3), dim=0))  # noqa: E731
    assert held_against(recorded(make), make, seed=1) is None
    assert difference(make, lambda: Projected(torch.full((3,), 3**-0.5))) is not None
