"""What a run without values, or in another precision, leaves in the caches of a network's functions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import BuildError
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.trace import trace_structure

INPUT = ForwardInput((TensorInput((2, 4)),), sizes={"B": 2})


@functools.lru_cache
def positions(length: int) -> Tensor:
    return torch.linspace(0, 1, length)


def kept(function: Callable[[int], Tensor]) -> Callable[[int], Tensor]:
    """Cache a function as libraries do that want to be compiled: behind a function of their own."""
    cached = functools.lru_cache(function)

    @functools.wraps(function)
    def wrapper(length: int) -> Tensor:
        return cached(length)

    return wrapper


@kept
def offset(length: int) -> Tensor:
    return torch.zeros(length)


class Positions(nn.Module):
    """Adds tables of positions that functions keep."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    @staticmethod
    @functools.lru_cache
    def scale(length: int) -> Tensor:
        return torch.full((length,), 2.0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x) * self.scale(4) + positions(4) + offset(4)
        return out


def is_usual() -> bool:
    tables = (positions(4), Positions.scale(4), offset(4))
    return all(not one.is_meta and one.dtype is torch.float32 for one in tables)


def test_a_trace_leaves_no_tensor_without_values() -> None:
    positions.cache_clear()
    Positions.scale.cache_clear()
    trace = trace_structure(Positions, [INPUT])
    assert trace.died is None
    assert trace.device == "meta"
    assert is_usual()


def test_a_fingerprint_leaves_no_tensor_in_double_precision() -> None:
    positions.cache_clear()
    Positions.scale.cache_clear()
    assert fingerprint(Positions, FingerprintConfig(INPUT)).crash is None
    assert is_usual()


class Windowed(nn.Module):
    """Takes a table when it's built, whose values it asks for, or doesn't."""

    window: Tensor

    def __init__(self, *, asks: bool) -> None:
        super().__init__()
        window = positions(4) + 1
        if asks and window.sum().item() != 6:
            raise ValueError("no window")
        self.register_buffer("window", window)
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x * self.window)
        return out


@pytest.mark.parametrize("asks", [True, False])
def test_a_build_leaves_no_tensor_without_values_or_in_double_precision(asks: bool) -> None:
    def build() -> nn.Module:
        try:
            return Windowed(asks=asks)
        except Exception as error:
            raise BuildError("it can't be built") from error

    positions.cache_clear()
    assert trace_structure(build, [INPUT]).died is None
    assert is_usual()
    positions.cache_clear()
    assert fingerprint(build, FingerprintConfig(INPUT)).crash is None
    assert is_usual()
