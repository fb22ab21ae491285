"""The layer and the user's line that an operation belongs to, in the forward pass, the backward pass and the update."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from archcheck.network.exceptions import is_ours, is_torchs_or_pythons
from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward
from archcheck.text.paths import path_below
from archcheck.training import forward_pass

INPUTS: Final = "(inputs)"  # in the place of a layer's name, which has no parentheses
LOSS: Final = "(loss)"
OPTIMIZER: Final = "(optimizer)"
_SITE_PACKAGES: Final = "site-packages/"


class Place(NamedTuple):
    """A layer by its name, and a line by its file and number; None where no line is the user's."""

    layer: str
    line: tuple[str, int] | None = None


def format_line(line: tuple[str, int] | None) -> str:
    """Return a line as messages have it: `nets.py:33`, of an installed package from its own folder on."""
    if line is None:
        return "-"
    return f"{path_below(Path(line[0])).rpartition(_SITE_PACKAGES)[2]}:{line[1]}"


class Places(ForwardWatcher):
    """Knows the place of the operation that runs right now.

    calls: how often each layer's forward ran, a run that a checkpoint repeats in the backward pass included.
    owners: the layer that each parameter is of, by the parameter's identity.
    """

    def __init__(self, owners: Mapping[int, str]) -> None:
        super().__init__()
        self._owners = owners
        self.calls: dict[str, int] = {}
        self._running: list[str] = []
        self._of_nodes: dict[int, Place] = {}  # by the number that autograd gives a node
        self._num_nodes = torch._C._autograd._get_sequence_nr()
        self._is_users: dict[str, bool] = {}

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return a forward during which this layer is the one that runs."""
        run, running, calls = uncompiled_forward(module), self._running, self.calls

        def forward(*args: Any, **kwargs: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            running.append(name)
            try:
                return run(*args, **kwargs)
            finally:
                running.pop()

        return forward

    def note_final_output(self, name: str, out: Any) -> None:
        """Leave the output of a layer as it is."""

    def begin_step(self) -> None:
        """Forget the step before."""
        self.calls.clear()
        self._of_nodes.clear()
        self._num_nodes = torch._C._autograd._get_sequence_nr()

    def here(self) -> Place:
        """Return the place of the operation that calls; call it straight from the mode that sees the operation."""
        if not self._running:
            node: Any = torch._C._current_autograd_node()
            return Place(LOSS) if node is None else self._of_node(node)
        place = Place(self._running[-1], self._line())
        if torch.is_grad_enabled():
            self._note_nodes(place)
        return place

    def _note_nodes(self, place: Place) -> None:
        """Note that the nodes which autograd has made since the last operation are this one's: it may take several."""
        made = torch._C._autograd._get_sequence_nr()
        for number in range(self._num_nodes, made):
            self._of_nodes[number] = place
        self._num_nodes = made

    def _of_node(self, node: Any) -> Place:
        """Return the place in the forward pass of what is differentiated."""
        found = self._of_nodes.get(node._sequence_nr())
        return found or Place(self._owners.get(id(getattr(node, "variable", None)), LOSS))  # of gradients added up

    def _line(self) -> tuple[str, int] | None:
        """Return the innermost line that is neither torch's, nor Python's, nor ours, within the layers that run."""
        frame = sys._getframe(2)
        known = self._is_users
        while frame is not None and frame.f_code.co_filename != forward_pass.__file__:
            code = frame.f_code
            is_users = known.get(code.co_filename)
            if is_users is None:
                file = code.co_filename
                is_users = not (is_ours(file) or is_torchs_or_pythons(file) or file.startswith("<"))
                known[file] = is_users
            if is_users:
                return code.co_filename, frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return None
