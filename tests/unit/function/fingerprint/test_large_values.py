"""How large biases and scales may be without rounding errors that grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.unit.function.running import clipped, held_against, recorded


@contextmanager
def other_rounding() -> Iterator[None]:
    """Every sum of a convolution is rounded another way, as on another machine."""

    def hook(module: nn.Module, args: Any, out: Tensor) -> Any:
        with torch._C.DisableTorchFunction():
            return out * (1 + 1e-14) if isinstance(module, nn.Conv2d) else None

    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize(("blocks", "large"), [(18, 32), (40, 8), (70, 2)])
def test_values_are_as_large_as_rounding_allows(blocks: int, large: int) -> None:
    record = recorded(lambda: clipped(blocks), [2, 8, 6, 6])
    assert record.large == large
    with other_rounding():
        assert held_against(record, lambda: clipped(blocks), [2, 8, 6, 6]) is None
    found = held_against(record, lambda: clipped(blocks, nn.ReLU), [2, 8, 6, 6])
    assert found is not None
    assert found[0] == str(3 * blocks - 1)
