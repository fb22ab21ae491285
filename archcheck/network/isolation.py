"""Contexts for running a user's network: the caller's state kept, nothing compiled, room for deep nesting."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archcheck.network.absent_accelerators import accelerators_stood_in
from archcheck.network.torch_state import cpu_by_default, preserved_state


@contextmanager
def isolated_user_code() -> Iterator[None]:
    """Run constructors and forward passes without gradients, on the CPU by default, and compile nothing.

    Torch's settings, its modes and the random generators are restored afterwards. Accelerators that this machine hasn't
    may be asked for.
    """
    state = torch._C._get_torch_function_state()
    try:
        with (
            preserved_state(), _kept_module_hooks(), torch.inference_mode(False), torch.no_grad(), _uncompiled(),
            _traced_without_modes(), cpu_by_default(), accelerators_stood_in(),
        ):  # fmt: skip
            yield
    finally:
        torch._C._set_torch_function_state(state)


@contextmanager
def _kept_module_hooks() -> Iterator[None]:
    """Remove the hooks on all modules of the process that the code inside registers."""
    held = vars(nn.modules.module)
    hooks = [held[name] for name in held if name.startswith("_global_") and isinstance(held[name], dict)]
    before = [one.copy() for one in hooks]
    try:
        yield
    finally:
        for one, items in zip(hooks, before, strict=True):
            if one != items:
                one.clear()
                one.update(items)


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run functions under torch.compile as they are written.

    Torch's own functions that compile what they are given (cond, flex_attention) run as written, too. Does nothing
    to what is compiled already where compiling was never imported.
    """
    compile_ = torch.compile

    def as_written(model: Any = None, **options: Any) -> Any:
        if model is None:
            return lambda function: as_written(function, **options)
        return compile_(model, **options) if isinstance(model, nn.Module) else model

    torch.compile = as_written
    try:
        if "torch._dynamo" in sys.modules:
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            yield
    finally:
        torch.compile = compile_


@contextmanager
def _traced_without_modes() -> Iterator[None]:
    """Let `torch.jit.trace` see a network's operations, which modes would hide from it or add to.

    On meta it refuses, so that the network is built for real.
    """
    trace = torch.jit._trace._trace_impl

    def trace_plainly(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
        params = list(func.parameters()) if isinstance(func, nn.Module) else []
        if any(isinstance(one, Tensor) and one.is_meta for one in [*tree_leaves(example_inputs), *params]):
            raise NotImplementedError("torch.jit.trace: attempted to run this operator with Meta tensors")
        with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
            return trace(func, example_inputs, *args, **kwargs)  # type: ignore[no-untyped-call]

    torch.jit._trace._trace_impl = trace_plainly
    try:
        yield
    finally:
        torch.jit._trace._trace_impl = trace


@contextmanager
def raised_recursion_limit(names: Iterable[str]) -> Iterator[None]:
    """Raise Python's recursion limit by the depth of the modules of these names.

    A watched forward has a call of its own for each call of a module; a network that is deep enough to come near the
    limit must still run.
    """
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
def gc_paused() -> Iterator[None]:
    """Pause garbage collection: with it, making the many small objects of modules takes a third longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
