"""A network under torch.compile: how often its graph breaks, how often it's compiled again, whether it's the same.

Dynamo takes the forward apart, and a backend that runs its graphs as they are stands where a compiler would: none is
needed, and nothing is measured that depends on one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archcheck.deployment.agreement import difference, gradients_of, outputs_of
from archcheck.deployment.dynamo_state import in_a_line, line_of, own_dynamo, refusal_of
from archcheck.deployment.free_sizes import arguments_at, free_axes
from archcheck.deployment.own_networks import own_pair
from archcheck.deployment.records import CompileRecord, Recompile, Refusal
from archcheck.errors import NotMeasured
from archcheck.network.exceptions import one_line_with_place
from archcheck.network.torch_state import default_torch_settings, seed_generators
from archcheck.spec.models import Spec
from archcheck.structure.meta.module_tree import set_training
from archcheck.text.words import clip

_TOLERANCE: Final = 1e-4  # of the largest number, in single precision
_MAX_REASON: Final = 200


def measure_compilation(make: Callable[[], nn.Module], spec: Spec, free: Sequence[str]) -> CompileRecord:
    """Compile a network in eval mode and in train mode, and run it at each of the spec's sizes beside itself.

    free: the dimensions that are marked as dynamic beforehand.

    Raises:
        NotMeasured: torch.compile does nothing here, or the network doesn't run as it is.
        BuildError: it can't be built.
    """
    with default_torch_settings(), own_dynamo():
        records = [_measure(make, spec, free, train=train) for train in (False, True)]
    evaluated, trained = records
    if evaluated.stopped is not None:
        raise NotMeasured(f"the network doesn't run: {evaluated.stopped}")
    if trained.stopped is not None:
        return evaluated
    return max(records, key=lambda one: (len(one.breaks), len(one.recompiles))).with_troubles_of(records)


def _measure(make: Callable[[], nn.Module], spec: Spec, free: Sequence[str], *, train: bool) -> CompileRecord:
    """Run a network compiled and as it is, in one mode; where it takes more than one graph, count them.

    Only `fullgraph` tells for sure that there is one: what ends before a graph has begun is no graph's end.
    """
    from torch._dynamo.exc import Unsupported

    try:
        return _Comparison(make, spec, free, train=train, fullgraph=True).run()
    except Unsupported as error:
        record = _Comparison(make, spec, free, train=train, fullgraph=False).run()
        return record if record.breaks else record.having(breaks=(refusal_of(error),))


class _Comparison:
    """A network compiled, beside the same one as it is."""

    def __init__(
        self, make: Callable[[], nn.Module], spec: Spec, free: Sequence[str], *, train: bool, fullgraph: bool
    ) -> None:
        from torch._dynamo.backends.debugging import ExplainWithBackend

        torch.compiler.reset()
        self._spec, self._train = spec, train
        self._plain, self._network = own_pair(make)
        self._backend = ExplainWithBackend("eager")
        self._compiled = torch.compile(self._network, backend=self._backend, fullgraph=fullgraph)
        self._axes = free_axes(spec, spec.bindings()[0], free, train=train)

    def run(self) -> CompileRecord:
        """Run both at the first size twice, and at every other one.

        Raises:
            Unsupported: it takes more than one graph, and is to be one.
        """
        first, *others = self._spec.bindings()
        record = CompileRecord(mode="train" if self._train else "eval")
        for turn, sizes in enumerate((first, first, *others)):
            try:
                expected = self._pass(self._plain, self._plain, sizes, marked=False)
            except (Exception, SystemExit) as error:
                return record.having(stopped=one_line_with_place(error))
            shown = ", ".join(f"{name}={size}" for name, size in sizes.items()) if turn > 1 else "the same sizes"
            record = self._compare(expected, sizes, shown, record)
            if record.refused is not None or record.differs is not None:
                return record
        return record

    def _compare(
        self, expected: Sequence[tuple[str, Tensor]], sizes: dict[str, int], shown: str, record: CompileRecord
    ) -> CompileRecord:
        """Run the compiled network once; return the record with what that has shown."""
        from torch._dynamo.exc import Unsupported

        before, breaks = len(self._backend.graphs), _graph_breaks(self._backend)
        _forget_reasons()
        try:
            actual = self._pass(self._compiled, self._network, sizes, marked=True)
        except Unsupported:
            raise
        except (Exception, SystemExit) as error:
            return record.having(refused=refusal_of(error))
        if record.num_graphs == 0:
            found = _graph_breaks(self._backend)[len(breaks) :]
            record = record.having(num_graphs=len(self._backend.graphs), breaks=tuple(map(_graph_break, found)))
        elif len(self._backend.graphs) > before:
            record = record.having(recompiles=(*record.recompiles, Recompile(shown, _reason_to_recompile())))
        return record.having(differs=difference(expected, actual, _TOLERANCE))

    def _pass(
        self, call: Callable[..., Any], network: nn.Module, sizes: dict[str, int], *, marked: bool
    ) -> list[tuple[str, Tensor]]:
        """Run a forward pass, and in train mode a backward pass. Returns outputs and gradients."""
        set_training(network, self._train)
        args, kwargs = arguments_at(self._spec, sizes, train=self._train)
        for tensor, axes in zip(tree_leaves((args, kwargs)), self._axes if marked else (), strict=False):
            for axis in axes:
                torch._dynamo.mark_dynamic(tensor, axis)
        seed_generators(0)
        with torch.set_grad_enabled(self._train):
            outputs = outputs_of(call(*args, **kwargs))
            gradients = gradients_of(network, outputs) if self._train else []
        return [(name, one.detach()) for name, one in (*outputs, *gradients)]


def _graph_breaks(backend: Any) -> list[Any]:
    """Return dynamo's reasons for ending graphs so far: those of empty graphs too, as far as this torch keeps them."""
    from torch._dynamo import output_graph

    return list(getattr(output_graph, "graph_break_reasons", backend.break_reasons))


def _graph_break(reason: Any) -> Refusal:
    return Refusal(in_a_line(str(reason.reason)), line_of(reason.user_stack))


def _forget_reasons() -> None:
    from torch._dynamo import utils

    if hasattr(utils, "clear_compilation_metrics"):
        utils.clear_compilation_metrics()


def _reason_to_recompile() -> str:
    """Return why dynamo has compiled again, as far as this version of torch says so."""
    from torch._dynamo import utils

    metrics = utils.get_compilation_metrics() if hasattr(utils, "get_compilation_metrics") else []
    reasons = [str(one.recompile_reason) for one in metrics if getattr(one, "recompile_reason", None)]
    if not reasons:
        return "a guard of dynamo's doesn't hold"
    return clip(" ".join(re.sub(r"^\d+/\d+: ", "", reasons[0]).partition("#")[0].split()), _MAX_REASON)
