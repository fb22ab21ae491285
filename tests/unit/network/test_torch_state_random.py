"""Random state that the process doesn't share."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from archcheck.network.torch_state import has_drawn_since, isolated_random_state, seed_generators


def draw() -> tuple[float, float, float]:
    return torch.rand(()).item(), random.random(), float(np.random.rand())


def test_all_generators_are_seeded_within() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with isolated_random_state(seed):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(first != other for first, other in zip(drawn[0], drawn[2], strict=True))


def test_all_generators_go_on_afterwards_as_if_nothing_had_been_drawn() -> None:
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = draw()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with isolated_random_state(5):
        draw()
    assert draw() == expected


@pytest.mark.parametrize(
    ("drawn", "expected"), [(lambda: None, False), (torch.rand, False), (random.random, True), (np.random.rand, True)]
)
def test_what_python_and_numpy_have_drawn_since_is_known(drawn: Callable[..., object], expected: bool) -> None:
    with isolated_random_state(0):
        seed_generators(7)
        drawn(*([1] if drawn is torch.rand else []))
        assert has_drawn_since(7) is expected
        before = draw()
        seed_generators(7)
        drawn(*([1] if drawn is torch.rand else []))
        assert draw() == before
