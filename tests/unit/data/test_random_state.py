"""Seeds derived from others, and random state that the process doesn't share."""

from __future__ import annotations

import random

import numpy as np
import torch

from archcheck.data.random_state import derive_seed, isolated_random_state


def draw() -> tuple[float, float, float]:
    return torch.rand(()).item(), random.random(), float(np.random.rand())


def test_a_seed_is_that_of_its_parts_and_purpose() -> None:
    seeds = [derive_seed(0, 0, "order"), derive_seed(0, 1, "order"), derive_seed(1, 0, "order"), derive_seed(0, 0, "x")]
    assert len(set(seeds)) == 4
    assert seeds[0] == derive_seed(0, 0, "order")
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_parts_are_kept_apart() -> None:
    assert derive_seed(1, 11) != derive_seed(11, 1)


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
