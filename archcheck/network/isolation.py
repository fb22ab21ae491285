"""What a trace needs around it: the caller's state kept, nothing compiled, room for deep networks."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from archcheck.network.torch_state import cpu_by_default, preserved_state


@contextmanager
def isolated_torch() -> Iterator[None]:
    """Undo whatever a constructor or a forward pass does to torch's settings and to the random generators."""
    state = torch._C._get_torch_function_state()
    try:
        with preserved_state(), torch.inference_mode(False), torch.no_grad(), _uncompiled(), cpu_by_default():
            yield
    finally:
        torch._C._set_torch_function_state(state)


def _uncompiled() -> AbstractContextManager[Any]:
    """Functions under torch.compile run as they are written; only where compiling was ever imported."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")  # type: ignore[no-any-return]


@contextmanager
def room_for_depth(names: Iterable[str]) -> Iterator[None]:
    """Let modules nest as deeply as they can without a trace, which has a call of its own for each of theirs."""
    before = sys.getrecursionlimit()
    depth = max((name.count(".") for name in names), default=0)
    if depth < 50:
        yield
        return
    sys.setrecursionlimit(before + 3 * depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Modules are many small objects: collecting garbage among them takes a third of the time it takes to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
