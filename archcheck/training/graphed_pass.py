"""Forward and backward pass of a step as a graph, which a device runs again without being told every operation.

A network of many small layers keeps a fast device waiting for Python; a graph doesn't. It reads and writes the same
memory each time, so batches are copied into the first one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn

from archcheck.network.devices import GraphTools
from archcheck.network.exceptions import one_line
from archcheck.spec.tree import iter_leaves, map_leaves
from archcheck.training.failures import RunFailed

EAGER_STEPS: Final = 2  # before a graph is made: libraries load, and memory gets its sizes

Pass: TypeAlias = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""Runs forward and backward on inputs and targets; returns loss and outputs, and leaves gradients in the parameters."""


class GraphedPass:
    """A pass that runs as it is for the first steps, is then captured, and runs as a graph on batches of the same form.

    problem: in one line, why there is no graph; None while there may be one. What a graph returns, and the gradients
    that it leaves, are valid until the next pass.
    """

    def __init__(self, run: Pass, parameters: Sequence[nn.Parameter], tools: GraphTools) -> None:
        """`run` has to start with gradients that are None."""
        self.problem: str | None = None
        self._run, self._parameters, self._tools = run, parameters, tools
        self._num_passes = 0
        self._graph: Any = None
        self._batch: tuple[Any, Tensor] | None = None
        self._results: tuple[Tensor, Tensor] | None = None
        self._gradients: list[Tensor | None] = []

    def __call__(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Run the pass; return loss and outputs."""
        self._num_passes += 1
        if self.problem is not None:
            return self._run_eagerly(inputs, targets)
        if self._num_passes <= EAGER_STEPS:
            # What autograd keeps of a stream must not be of the one that a graph can't be captured on.
            with self._tools.beside(), self._tools.noted_waits() as waits:
                results = self._run_eagerly(inputs, targets)
            if waits and self._num_passes == EAGER_STEPS:  # before that, what loads libraries may wait
                self.problem = f"{waits[0]} waits for the device, which a graph can't"
            return results
        if self._graph is None and not self._capture(inputs, targets):
            return self._run_eagerly(inputs, targets)
        assert self._batch is not None
        assert self._results is not None
        if not _is_alike((inputs, targets), self._batch):
            return self._run_eagerly(inputs, targets)
        map_leaves(_copy, self._batch, (inputs, targets))
        self._graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._results

    def _run_eagerly(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        for parameter in self._parameters:
            parameter.grad = None
        return self._run(inputs, targets)

    def _capture(self, inputs: Any, targets: Tensor) -> bool:
        """Capture the pass on a batch, without running it; return whether that went."""
        batch = map_leaves(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, (inputs, targets))
        for parameter in self._parameters:
            parameter.grad = None  # so that a graph writes gradients anew, and doesn't add to them
        graph = self._tools.make_graph()
        try:
            with self._tools.capture(graph):
                results = self._run(*batch)
        except Exception as error:  # whatever a network does may not be possible while it is captured
            self.problem = str(error) if isinstance(error, RunFailed) else one_line(error)
            return False
        self._graph, self._batch, self._results = graph, batch, results
        self._gradients = [parameter.grad for parameter in self._parameters]
        return True


def _is_alike(batch: Any, other: Any) -> bool:
    """Whether two batches have the same form, so that one can be copied into the other."""
    ours, theirs = list(iter_leaves(batch)), list(iter_leaves(other))
    return len(ours) == len(theirs) and all(
        keys == their_keys and _is_same_kind(leaf, their_leaf)
        for (keys, leaf), (their_keys, their_leaf) in zip(ours, theirs, strict=True)
    )


def _is_same_kind(leaf: Any, other: Any) -> bool:
    if not isinstance(leaf, Tensor) or not isinstance(other, Tensor):
        return bool(leaf == other)
    return leaf.shape == other.shape and leaf.dtype is other.dtype and leaf.stride() == other.stride()


def _copy(target: Any, source: Any) -> None:
    if isinstance(target, Tensor):
        with torch.no_grad():
            target.copy_(source, non_blocking=True)
