"""The states that networks make to begin with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from archcheck.discovery.own_states import own_states


class Recurrent(nn.Module):
    def init_hidden(self, batch_size: int, device: str = "cpu") -> Any:
        return torch.zeros(2, batch_size, 7, device=device), torch.zeros(2, batch_size, 7)


class OneAtATime(nn.Module):
    def initHidden(self) -> Tensor:  # noqa: N802
        return torch.zeros(1, 1, 7)


class Unusable(nn.Module):
    """Has methods of such names that ask for something else, or make no state of a batch."""

    def init_hidden(self, batch_size: int, num_steps: int) -> Tensor:
        return torch.zeros(batch_size, num_steps)

    def init_state(self, config: Any) -> Any:
        return torch.zeros(config.hidden_size)

    def initial_state(self, batch_size: int) -> Any:
        return {"h": batch_size}

    def zero_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size * 4, 7)


def test_the_sizes_that_are_the_batch_s_are_free() -> None:
    assert list(own_states(Recurrent())) == [[[2, "B", 7], [2, "B", 7]]]


def test_a_state_of_one_example_is_as_it_is() -> None:
    assert list(own_states(OneAtATime())) == [[1, 1, 7]]


def test_methods_that_want_or_make_something_else_are_no_help() -> None:
    assert list(own_states(Unusable())) == []
