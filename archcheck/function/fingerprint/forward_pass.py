"""Single forward passes of a network with fixed weights on a fixed input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.function.fingerprint.call_digests import CallOutput, DigestingWatcher, version_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.digests import opaque_parts
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs, named_tensors
from archcheck.function.fingerprint.named_dtypes import DtypeCounts, NamedDtypes
from archcheck.function.fingerprint.network_state import NetworkState
from archcheck.function.fingerprint.preparation import PreparedNetwork
from archcheck.function.fingerprint.weight_filler import FillOnFirstUse, WeightFiller, choose_gain
from archcheck.network.arguments import has_domain
from archcheck.network.exceptions import raised_outside_torch, type_and_first_line
from archcheck.network.torch_state import seed_generators
from archcheck.spec.inputs import TensorInput
from archcheck.spec.tree import map_leaves
from archcheck.structure.meta.failures import needs_gradients
from archcheck.structure.meta.module_tree import set_training
from archcheck.structure.records import Crash


@dataclass(slots=True)
class PassResult:
    """The calls of modules in one pass, and the network's output; `crash` is where the pass died.

    `opaque` are the types of what came out and can't be looked into, `dtypes` what the modules' code names.
    """

    calls: list[CallOutput] = field(default_factory=list)
    output: Any = None
    changed_inputs: tuple[str, ...] = ()
    crash: Crash | None = None
    opaque: tuple[str, ...] = ()
    dtypes: DtypeCounts = field(default_factory=dict)


_SORTING: Final = frozenset({"sort", "argsort", "topk", "kthvalue", "msort"})


_READING: Final = frozenset({"nonzero", "_local_scalar_dense"})


@lru_cache(maxsize=2048)
def _traits_of(func: Any) -> tuple[bool, bool, bool]:
    """Return whether a function of aten clamps, whether it sorts, and whether it lets Python decide by values."""
    name = func.overloadpacket.__name__
    return name.startswith(("clamp", "clip")), name in _SORTING, name in _READING


class PassRunner:
    """Runs forward passes of one network, each of which starts from the network as it was before it ran.

    The network's modules must be watched by `watcher` while it runs (`with runner.watcher.watching(...)`).

    Attributes:
        state: what the network holds before each pass.
        needs_gradients: whether the forward computes gradients itself, in eval mode too.
        calls_clamp: whether a forward has called a clamp so far.
        sorts: whether a forward has sorted anything so far.
        reads_values: whether a forward has let Python decide by values so far.
        draws: whether a forward has drawn random numbers so far.
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
        self.filler = network.make_filler(config.gains, config.given) if filler is None else filler
        self.watcher = DigestingWatcher() if watcher is None else watcher
        self.state = NetworkState(network, self.filler)
        self.needs_gradients = False
        self.calls_clamp = self.sorts = self.reads_values = self.draws = False
        self._innermost_mode = innermost_mode
        self._draws = DrawSequence()
        self._dtypes = NamedDtypes(config.dtype, lambda: self.watcher.running)

    def make_inputs(self, *, training: bool = False) -> tuple[Any, Any]:
        """Make fresh arguments for a forward pass, positional and by keyword."""
        return make_fixed_inputs(self.config.inputs_in(training), self.config.dtype, self.config.device)

    def change_free_inputs(self, change: Callable[[Tensor], Tensor], *, training: bool = False) -> tuple[Any, Any]:
        """Make fresh arguments, of which those that may be any number are changed."""

        def changed(leaf: Any, made: Any) -> Any:
            is_free = isinstance(leaf, TensorInput) and not has_domain(leaf)
            return change(made) if is_free and (made.is_floating_point() or made.is_complex()) else made

        inputs = self.config.inputs_in(training)
        if inputs.source is not None:
            return self.make_inputs(training=training)
        arguments: tuple[Any, Any] = map_leaves(
            changed, (list(inputs.args), inputs.kwargs), self.make_inputs(training=training)
        )
        return arguments

    def forward(
        self,
        *,
        training: bool,
        notes_draws: bool = False,
        make_inputs: Callable[[], tuple[Any, Any]] | None = None,
        reset: bool = True,
        seed: int | None = None,
        num_shares: int = 1,
        reads_last: bool = False,
    ) -> PassResult:
        """Run one forward pass; without `reset` it goes on from the state that the last one left.

        A forward that computes gradients itself is run again with them. Of the outputs of modules only the first of
        `num_shares` equal shares of the batch is read, or only the last.
        """
        args, kwargs = self.make_inputs(training=training) if make_inputs is None else make_inputs()
        if reset:
            self.state.restore()
        seed_generators(self.config.seed if seed is None else seed)
        self._draws = DrawSequence()
        self.watcher.begin(num_shares, reads_last=reads_last)
        result, versions = PassResult(), {name: (one, version_of(one)) for name, one in named_tensors(args, kwargs)}
        asks_for_gradients = False
        try:
            with self.computation_modes(notes_draws=notes_draws):
                set_training(self.network.model, training)  # where weights may be read, and merged with others
                self.state.begin_forward()
                result.output = self.watcher.callable_for(self.network.model)(*args, **kwargs)
        except (Exception, SystemExit) as error:
            asks_for_gradients = needs_gradients(error)
            result.crash = Crash(
                self.watcher.failing_module(error), type_and_first_line(error), raised_outside_torch(error)
            )
        self.draws |= self._draws.is_used
        result.opaque = tuple(opaque_parts(result.output))
        result.calls, result.dtypes = self.watcher.calls, self._dtypes.counts
        self._dtypes.counts = {}  # in the backward pass, checkpointed layers run again
        result.changed_inputs = tuple(name for name, (one, old) in versions.items() if version_of(one) != old)
        self.watcher.stop()
        if asks_for_gradients and not torch.is_grad_enabled() and not self.needs_gradients:
            self.needs_gradients = True
            return self.forward(
                training=training,
                notes_draws=notes_draws,
                make_inputs=make_inputs,
                seed=seed,
                num_shares=num_shares,
                reads_last=reads_last,
            )
        return result

    @contextmanager
    def computation_modes(self, *, notes_draws: bool = False) -> Iterator[None]:
        """Fill weights at first use, replace random draws, and compute in the configured precision."""
        with ExitStack() as stack:
            default = torch.get_default_dtype()
            stack.callback(torch.set_default_dtype, default)
            torch.set_default_dtype(self.config.dtype)
            note = self.watcher.note_draw if notes_draws else None
            stack.enter_context(torch.set_grad_enabled(self.needs_gradients or torch.is_grad_enabled()))
            stack.enter_context(DeterministicRandom(self._draws, note, self._note_call))
            adjust = self._adjust_gain if self.config.gains is None else None
            widens = self.config.dtype is torch.float64
            stack.enter_context(self._dtypes.noting_autocast())
            note_precision = self._dtypes.note
            stack.enter_context(
                FillOnFirstUse(
                    self.filler,
                    widens=widens,
                    adjust=adjust,
                    note_precision=note_precision,
                    stays_on_cpu=self.config.device.type == "cpu",
                )
            )
            stack.enter_context(self._innermost_mode())
            yield

    def _note_call(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        clamps, sorts, reads = _traits_of(func)
        self.calls_clamp |= clamps
        self.sorts |= sorts
        self.reads_values |= reads
        self.filler.fill_used_below(func, args, kwargs)
        self.state.note_call(func, args, kwargs)

    def _adjust_gain(self, weight: Tensor, out: Any) -> bool:
        """Scale a weight where its layer's output is far too small or too large. Returns whether it was scaled."""
        with torch.no_grad(), torch._C._DisableTorchDispatch():  # whose values Python reads, and not the network
            gain = choose_gain(out)
        if gain:
            self.filler.scale(weight, gain)
        return gain != 0
