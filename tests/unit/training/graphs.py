"""Graphs of the CPU: what is captured isn't run, a replay runs it again on the same memory, as CUDA's graphs do."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from archcheck.network.devices import GraphTools
from archcheck.network.exceptions import is_torchs_or_pythons


class CPUGraph:
    """The operations that were captured, with the memory that they read and write."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.num_replays = 0

    def replay(self) -> None:
        """Run the operations again; what each returned then gets what it returns now."""
        self.num_replays += 1
        with torch.no_grad():
            for func, args, kwargs, out in self.operations:
                if any(one.alias_info is not None for one in func._schema.returns) and not func._schema.is_mutable:
                    continue  # a view of memory that has its new numbers
                now = func(*args, **kwargs)
                for kept, made in zip(tree_leaves(out), tree_leaves(now), strict=True):
                    if isinstance(kept, Tensor) and kept is not made:
                        kept.copy_(made)


class _Capture(TorchDispatchMode):
    """Keeps the operations. They run, for the shapes of what they return; what they write to is put back at the end."""

    def __init__(self, graph: CPUGraph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._graph = graph
        self.before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for one in tree_leaves((args, kwargs)):  # not only those that the schema says are written to: batch norm lies
            if isinstance(one, Tensor):
                self.before.setdefault(id(one), (one, one.detach().clone()))
        out = func(*args, **kwargs)
        # Detached, as the tensors of a step belong to its autograd graph, which is gone when it's replayed.
        detached = tree_map_only(Tensor, lambda one: one.detach(), (args, kwargs, out))
        self._graph.operations.append((func, *detached))
        return out


class _WaitsTold(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Warns of each operation that reads a value, in the words of CUDA's."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            frame = sys._getframe(1)
            while is_torchs_or_pythons(frame.f_code.co_filename):  # C++ knows the caller's line alone
                assert frame.f_back is not None
                frame = frame.f_back
            told = "called a synchronizing CUDA operation (Triggered internally)"
            warnings.warn_explicit(told, UserWarning, frame.f_code.co_filename, frame.f_lineno)
        return func(*args, **kwargs or {})


class CPUModule:
    """What a device's module has for graphs, as XPU's; `log` is what was asked of its streams.

    Where a capture fails, its stream stays the current one, as torch leaves it.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.graphs: list[CPUGraph] = []
        self.current = _Stream("current", self.log)

    def Stream(self, device: torch.device) -> Any:  # noqa: N802 - torch's name
        return _Stream("side", self.log)

    def current_stream(self, device: torch.device) -> Any:
        return self.current

    def set_stream(self, stream: _Stream) -> None:
        self.current = stream

    @contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        self.log.append(f"on {stream.name}")
        yield

    @contextmanager
    def graph(self, graph: CPUGraph, capture_error_mode: str = "global") -> Iterator[None]:
        self.log.append(f"capture, {capture_error_mode}")
        self.graphs.append(graph)
        mode = _Capture(graph)
        before, self.current = self.current, _Stream("capture", self.log)
        try:
            with mode:
                yield
            self.current = before
        finally:
            with torch.no_grad():
                for tensor, value in mode.before.values():
                    if not torch.equal(tensor, value):
                        tensor.copy_(value)


class CUDALikeModule(CPUModule):
    """One that also tells what waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.mode: Any = "default"
        self._telling: Any = _WaitsTold()  # type: ignore[no-untyped-call]

    def get_sync_debug_mode(self) -> Any:
        return self.mode

    def set_sync_debug_mode(self, mode: Any) -> None:
        self.mode = mode
        if mode == "warn":
            warnings.warn("Synchronization debug mode is a prototype feature and does not yet detect all", stacklevel=1)
            self._telling.__enter__()
        else:
            self._telling.__exit__(None, None, None)


class _Stream:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def wait_stream(self, other: _Stream) -> None:
        self._log.append(f"{self.name} waits for {other.name}")


def cpu_tools(kind: type[CPUModule] = CPUModule) -> tuple[GraphTools, CPUModule]:
    """Return the tools to make graphs on the CPU, and what stands behind them."""
    module = kind()
    return GraphTools(module, CPUGraph, torch.device("cpu")), module
