"""Single forward passes of a network with fixed weights on a fixed input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from archcheck.function.fingerprint.call_digests import CallOutput, DigestingWatcher, version_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs, named_tensors
from archcheck.function.fingerprint.preparation import PreparedNetwork
from archcheck.function.fingerprint.weight_filler import FillOnFirstUse, WeightFiller, choose_gain
from archcheck.network.exceptions import raised_outside_torch, type_and_first_line
from archcheck.network.torch_state import seed_generators
from archcheck.structure.meta.network_snapshot import NetworkSnapshot
from archcheck.structure.records import Crash


@dataclass(slots=True)
class PassResult:
    """The calls of modules in one pass, and the network's output; `crash` is where the pass died."""

    calls: list[CallOutput] = field(default_factory=list)
    output: Any = None
    changed_inputs: tuple[str, ...] = ()
    crash: Crash | None = None


class PassRunner:
    """Runs forward passes of one network, each of which starts from the network as it was before it ran.

    The network's modules must be watched by `watcher` while it runs (`with runner.watcher.watching(...)`).

    Attributes:
        saved_buffers: by name, each buffer and a copy of the values that it has before each pass.
    """

    def __init__(
        self,
        network: PreparedNetwork,
        config: FingerprintConfig,
        *,
        filler: WeightFiller | None = None,
        watcher: DigestingWatcher | None = None,
        innermost_mode: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.network, self.config = network, config
        self.filler = network.make_filler(config.gains) if filler is None else filler
        self.watcher = DigestingWatcher() if watcher is None else watcher
        self.saved_buffers: dict[str, tuple[Tensor, Tensor]] = {}
        self._innermost_mode = innermost_mode
        self._state: NetworkSnapshot | None = None
        self._param_versions: dict[str, int] = {}
        self._draws = DrawSequence()

    # ----------------------------------------------------------------------------------------- the network's state

    def save_state(self) -> None:
        """Remember what the modules hold besides parameters and buffers, to be restored before each pass."""
        self._state = NetworkSnapshot(self.network.modules.values(), values=False)

    def save_buffers(self, named: Iterable[tuple[str, Tensor]]) -> None:
        """Remember the values of buffers, to be restored before each pass."""
        self.saved_buffers = {name: (buffer, buffer.detach().clone()) for name, buffer in named}

    def note_param_versions(self) -> None:
        """Take all writes to parameters so far as our own, which are not undone before the next pass."""
        self._param_versions = {name: param._version for name, param in self.network.filled.items()}

    @property
    def has_changed(self) -> bool:
        """Whether running it has changed anything but parameters and buffers."""
        return self._state is not None and self._state.has_changed()

    def _reset(self) -> None:
        """Put the network back to what it was before it ran."""
        if self._state is not None:
            self._state.restore(keep_layers=True)
        with torch.no_grad():
            for buffer, values in self.saved_buffers.values():
                buffer.copy_(values)
            for name, param in self.network.filled.items():
                if self._param_versions.get(name, param._version) != param._version:  # a teacher follows its student
                    self.filler.refill(param if param.is_leaf else param.detach_())
                    self._param_versions[name] = param._version

    # ----------------------------------------------------------------------------------------- one pass

    def make_inputs(self) -> tuple[Any, Any]:
        """Make fresh arguments for a forward pass, positional and by keyword."""
        return make_fixed_inputs(self.config.inputs, self.config.dtype, self.config.device)

    def forward(
        self,
        *,
        training: bool,
        notes_draws: bool = False,
        inputs: tuple[Any, Any] | None = None,
        reset: bool = True,
        seed: int | None = None,
        num_shares: int = 1,
    ) -> PassResult:
        """Run one forward pass; without `reset` it goes on from the state that the last one left.

        Of the outputs of modules only the first of `num_shares` equal shares of the batch is read.
        """
        args, kwargs = inputs or self.make_inputs()
        if reset:
            self._reset()
        seed_generators(self.config.seed if seed is None else seed)
        self._draws = DrawSequence()
        self.watcher.begin(num_shares)
        self.network.model.train(training)
        result, versions = PassResult(), {name: (one, version_of(one)) for name, one in named_tensors(args, kwargs)}
        try:
            with self.computation_modes(notes_draws=notes_draws):
                result.output = self.watcher.callable_for(self.network.model)(*args, **kwargs)
        except (Exception, SystemExit) as error:
            result.crash = Crash(
                self.watcher.failing_module(error), type_and_first_line(error), raised_outside_torch(error)
            )
        result.calls = self.watcher.calls
        result.changed_inputs = tuple(name for name, (one, old) in versions.items() if version_of(one) != old)
        self.watcher.stop()
        return result

    @contextmanager
    def computation_modes(self, *, notes_draws: bool = False) -> Iterator[None]:
        """Fill weights at first use, replace random draws, and compute in the configured precision."""
        with ExitStack() as stack:
            default = torch.get_default_dtype()
            stack.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(self.config.dtype)
            note = self.watcher.note_draw if notes_draws else None
            stack.enter_context(DeterministicRandom(self._draws, note, self.filler.fill_used))
            adjust = self._adjust_gain if self.config.gains is None else None
            widens = self.config.dtype is torch.float64
            stack.enter_context(FillOnFirstUse(self.filler, widens=widens, adjust=adjust))
            stack.enter_context(self._innermost_mode())
            yield

    def _adjust_gain(self, weight: Tensor, out: Any) -> bool:
        """Scale a weight where its layer's output is far too small or too large. Returns whether it was scaled."""
        with torch.no_grad():
            gain = choose_gain(out)
            if gain:
                weight.detach().mul_(2.0**gain)
                self.filler.gains[self.filler.positions[id(weight)]] = gain
        return gain != 0
