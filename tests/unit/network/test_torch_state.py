"""Torch's global state comes back as the caller had it, whatever happens in between."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from archcheck.network.torch_state import cpu_by_default, isolated_random_state, preserved_state, seed_generators

GETTERS: dict[str, Callable[[], Any]] = {
    "dtype": torch.get_default_dtype,
    "threads": torch.get_num_threads,
    "deterministic": torch.are_deterministic_algorithms_enabled,
    "warn_only": torch.is_deterministic_algorithms_warn_only_enabled,
    "device": torch.get_default_device,
    "modes": torch._C._len_torch_function_stack,
    "benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn": lambda: (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic),
    "tf32": lambda: (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
    "matmul": torch.get_float32_matmul_precision,
    "anomaly": torch.is_anomaly_enabled,
    "validation": lambda: torch.distributions.Distribution._validate_args,
    "torch": lambda: torch.get_rng_state().tolist(),
    "python": random.getstate,
    "numpy": lambda: (np.random.get_state()[1].tolist(), np.random.get_state()[2]),  # type: ignore[index]
}

MEDDLERS: dict[str, Callable[[], Any]] = {
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "warn_only": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "device": lambda: torch.set_default_device("meta"),
    "benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cudnn": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "matmul": lambda: torch.set_float32_matmul_precision("medium"),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "validation": lambda: torch.distributions.Distribution.set_default_validate_args(False),
    "torch": lambda: torch.rand(3),
    "python": random.random,
    "numpy": np.random.rand,
}


def state() -> dict[str, Any]:
    return {name: get() for name, get in GETTERS.items()}


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """A failing test of these must not spoil the others."""
    threads = torch.get_num_threads()
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    torch.autograd.set_detect_anomaly(False)
    torch.distributions.Distribution.set_default_validate_args(True)
    torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = False


@pytest.mark.parametrize("what", MEDDLERS)
def test_what_is_changed_inside_is_as_before_outside(what: str) -> None:
    before = state()
    with preserved_state():
        MEDDLERS[what]()
        assert state() != before
    assert state() == before


@pytest.mark.parametrize("what", MEDDLERS)
def test_likewise_where_the_inside_dies(what: str) -> None:
    before = state()

    def die() -> None:
        with preserved_state():
            MEDDLERS[what]()
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        die()
    assert state() == before


def test_the_callers_own_settings_are_the_ones_that_come_back() -> None:
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_default_device("meta")
    before = state()
    with preserved_state():
        torch.set_default_dtype(torch.float16)
        torch.use_deterministic_algorithms(False)
        torch.set_default_device("cpu")
    assert state() == before


def test_the_cpu_is_the_default_inside() -> None:
    torch.set_default_device("meta")
    with preserved_state(), cpu_by_default():
        assert torch.zeros(1).device.type == "cpu"
    assert torch.zeros(1).device.type == "meta"
    torch.set_default_device(None)
    with cpu_by_default():
        assert torch.zeros(1).device.type == "cpu"


def test_a_default_device_set_inside_is_the_insides_own() -> None:
    torch.set_default_device("meta")
    before = state()
    with preserved_state(), cpu_by_default():
        torch.set_default_device("cpu")
        assert torch.zeros(1).device.type == "cpu"
    assert state() == before


def test_one_seed_is_the_same_numbers_from_every_generator() -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), random.random(), float(np.random.rand())

    seed_generators(3)
    first = draw()
    draw()
    seed_generators(3)
    assert draw() == first
    seed_generators(4)
    assert draw() != first


def test_a_state_of_its_own_is_the_same_every_time_and_the_callers_comes_back() -> None:
    def draws() -> tuple[Any, ...]:
        return torch.rand(2).tolist(), random.random(), np.random.rand()

    drawn = []
    before = state()
    for seed in (5, 5, 6, 2**40 + 5):
        with isolated_random_state(seed):
            drawn.append(draws())
    assert drawn[0] == drawn[1] != drawn[2] != drawn[3] != drawn[0]
    assert state() == before
