"""Why a build or a forward pass failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archcheck.structure.meta.failures import (
    chain,
    confirm,
    fails_on_any_device,
    fallback_reason,
    may_be_caused_by_meta,
    needs_gradients,
    needs_values,
)
from tests.unit.structure.meta.calls import meta


def raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_what_an_error_was_raised_from_is_seen() -> None:
    inner, outer = ValueError("inner"), KeyError("outer")
    outer.__cause__, inner.__context__ = inner, outer  # a circle ends
    assert list(chain(outer)) == [outer, inner]
    assert list(chain(None)) == []


@pytest.mark.parametrize("function", [lambda: meta(2)[0].item(), lambda: meta(2).numpy(), lambda: meta(2).nonzero()])
def test_operations_that_need_values(function: Callable[[], object]) -> None:
    error = raised(function)
    assert needs_values(error)
    assert may_be_caused_by_meta(error)
    assert not fails_on_any_device(error)


def test_what_the_cpu_raised_as_well_fails_on_any_device() -> None:
    error = raised(lambda: torch.ones(2, 3).view(5))
    assert not needs_values(error)
    assert not fails_on_any_device(error)  # so far only one device has said so
    confirm(error)
    assert fails_on_any_device(error)
    outer = ValueError("what the network makes of it")
    outer.__cause__ = error
    assert fails_on_any_device(outer)


def test_a_network_that_gives_up_does_so_on_any_device() -> None:
    assert fails_on_any_device(SystemExit("no such width"))
    assert not fails_on_any_device(SystemExit("Tensor.item() cannot be called on meta tensors"))


def test_a_forward_that_asks_for_gradients() -> None:
    with torch.no_grad():
        error = raised(lambda: torch.autograd.grad(torch.ones(1), torch.ones(1)))
    assert needs_gradients(error)
    assert not needs_gradients(ValueError("no"))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: meta(2)[0].item(), "needs values: Tensor.item()"),
        (lambda: meta(2).nonzero(), "data-dependent: aten.nonzero"),
    ],
)
def test_the_reason_is_told_in_a_few_words(function: Callable[[], object], reason: str) -> None:
    told = fallback_reason(raised(function))
    assert told.startswith(f"{reason} (")
    assert "test_failures.py:" in told
