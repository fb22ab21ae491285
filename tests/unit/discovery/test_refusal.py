"""Refusals in terms of a layer, from the errors that torch itself raises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.discovery.refusal import describe_refusal
from archcheck.structure.records import Crash


@pytest.mark.parametrize(
    ("layer", "shape", "told"),
    [
        (nn.Conv2d(3, 4, 3), (2, 1, 8, 8), "Conv2d takes 3 channels, got 1"),
        (nn.Conv2d(3, 4, 3), (2, 3), "Conv2d takes 3 channels, got [2, 3]"),
        (nn.Linear(7, 2), (2, 5), "Linear takes 7 features, got 5"),
        (nn.LSTM(6, 2), (3, 2, 5), "LSTM takes 6 features, got 5"),
        (nn.LayerNorm(6), (2, 5), "LayerNorm takes 6 features, got [2, 5]"),
        (nn.BatchNorm2d(6), (2, 5, 4, 4), "BatchNorm2d takes 6 channels, got 5"),
        (nn.Embedding(9, 2), (2, 5), "Embedding takes 9 different numbers, got torch.FloatTensor"),
    ],
)
def test_a_layer_says_what_it_takes_and_what_it_got(layer: nn.Module, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match=r".") as raised:
        layer.eval()(torch.zeros(shape))
    crash = Crash("one", f"{type(raised.value).__name__}: {str(raised.value).splitlines()[0]}")
    assert describe_refusal(crash, layer) == f"one: {told}"


def test_what_is_no_refusal_has_no_words_for_it() -> None:
    assert describe_refusal(Crash("one", "ValueError: never"), nn.Conv2d(3, 4, 3)) is None
    assert describe_refusal(Crash("one", "ValueError: never"), None) is None
