"""Values with which a network runs that stops for others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from archcheck.discovery.assumption import Assumption
from archcheck.discovery.values import with_values_that_run


class Logarithm(nn.Linear):
    """A network that gives no number for what is below 0."""

    num_runs = 0

    def __init__(self) -> None:
        super().__init__(2**20, 1)

    def forward(self, x: Tensor) -> Tensor:
        Logarithm.num_runs += 1
        return super().forward(torch.log(x))


class Packed(nn.Module):
    """Takes one tuple, whose lengths have to be in order."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(5, 3, batch_first=True)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        last: Tensor = self.rnn(pack_padded_sequence(*inputs, batch_first=True))[1][-1]
        return last


def test_values_within_a_tuple_are_found_in_their_place() -> None:
    lengths = {"shape": ["B"], "dtype": "int64", "between": [1, 7]}
    found = with_values_that_run(Packed, Packed(), Assumption([{"tuple": [["B", 7, 5], lengths]}], "a layer"))
    assert found is not None
    assert found.value == [{"tuple": [["B", 7, 5], {**lengths, "sorted": "descending"}]}]


class TwoTables(nn.Module):
    """Looks up the first column of a table among 16 rows, the second among 15."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(16, 2), nn.Embedding(15, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.first(x[:, 0]) + self.second(x[:, 1])
        return out


def test_an_id_that_is_too_large_is_noticed_though_few_examples_have_it() -> None:
    columns = {"shape": ["B", 4], "dtype": "int64", "below": 16}
    found = with_values_that_run(TwoTables, TwoTables(), Assumption(columns, "a layer"))
    assert found is not None
    assert found.value["below"] == 15


def test_values_of_a_huge_input_that_was_refused_are_not_looked_for() -> None:
    """Running it takes minutes and gigabytes for what is hardly more than a guess; one that is right is worth them."""
    guess = Assumption(["B", 2**20], "a layer")
    assert with_values_that_run(Logarithm, Logarithm(), guess, "stopped: no idea why") is None
    assert Logarithm.num_runs == 0
    assert with_values_that_run(Logarithm, Logarithm(), guess) is not None
