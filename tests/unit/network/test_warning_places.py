"""Where warnings of a network under archcheck's modes are told."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it

from archcheck.network.warning_places import warnings_where_caused
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.trace import trace_structure


class Network(nn.Module):
    """Does something with its input that torch warns about, twice over."""

    def __init__(self, warned_about: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.warned_about = warned_about

    def forward(self, x: Tensor) -> Tensor:
        return self.warned_about(x) + self.warned_about(x)


def traced(make: Callable[[], nn.Module]) -> list[tuple[str, str]]:
    """Trace a network; return the file and the beginning of each warning."""
    inputs = [ForwardInput((TensorInput((size, 3)),)) for size in (2, 3)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trace_structure(make, inputs)
    return [(one.filename, str(one.message)[:20]) for one in told]


@pytest.mark.parametrize(
    ("warned_about", "words"),
    [
        (lambda x: x[[[0, 1], [1, 2]]], "Using a non-tuple se"),  # in C++, by a mode on meta
        (lambda x: x[:, torch.tensor([1, 0, 1], dtype=torch.uint8)], "indexing with dtype "),  # on the CPU after that
        (lambda x: F.softmax(x), "Implicit dimension c"),  # two frames above torch's Python
    ],
    ids=["on meta", "on the CPU", "by torch's Python"],
)
def test_a_warning_is_told_once_at_the_line_of_the_network(
    warned_about: Callable[[Tensor], Tensor], words: str
) -> None:
    assert traced(lambda: Network(warned_about)) == [(__file__, words)]


def test_of_a_network_that_is_all_torch_s_it_is_told_at_torch_s_line() -> None:
    [(file, words)] = traced(lambda: nn.Sequential(nn.Softmax()))
    assert file.startswith(torch.__path__[0])
    assert words == "Implicit dimension c"


def test_the_caller_s_way_of_telling_is_kept() -> None:
    before = warnings.showwarning
    with pytest.warns(UserWarning, match="mine"), warnings_where_caused():
        warnings.warn("mine", stacklevel=1)
    assert warnings.showwarning is before


def test_a_warning_that_is_an_error_stops_the_network() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace = trace_structure(lambda: Network(F.softmax), [ForwardInput((TensorInput((2, 3)),))])
    assert trace.died is not None
    assert "Implicit dimension choice" in trace.died[1].error
