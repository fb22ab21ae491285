"""Forward passes with gradients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from archcheck.function.fingerprint.config import OTHER_SEED
from archcheck.function.fingerprint.derived_weights import DerivedWeights
from archcheck.function.fingerprint.digests import Digest, digest, tensors_in
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.number_pool import uniform
from archcheck.network.exceptions import raised_outside_torch, type_and_first_line
from archcheck.spec.tree import map_leaves
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES
from archcheck.structure.records import Crash


@dataclass(frozen=True, slots=True)
class GradientStep:
    """A forward and a backward pass, with the digests of the gradients of parameters (by name) and of inputs.

    tracks_inputs: whether there are inputs that wanted a gradient; those that got none have no digest.
    """

    forward: PassResult
    params: Mapping[str, Digest]
    inputs: Mapping[str, Digest]
    tracks_inputs: bool = False


def run_gradient_step(
    runner: PassRunner,
    *,
    training: bool,
    wanted: Collection[str] | None = None,
    make_inputs: Callable[[], tuple[Any, Any]] | None = None,
    from_kept: bool = False,
) -> GradientStep:
    """Run a forward and a backward pass, with the gradients of all parameters or of those named in `wanted`.

    The inputs get gradients, too, unless the network refuses inputs that want them. `from_kept` starts also from what
    modules keep on themselves, such as a loss of their own.
    """
    make_inputs = make_inputs or partial(runner.make_inputs, training=training)
    run = partial(_run_step, runner, training, wanted, make_inputs, from_kept=from_kept)
    step = run(tracks_inputs=True)
    if step.forward.crash is None:
        return step
    untracked = run(tracks_inputs=False)
    return step if untracked.forward.crash is not None else untracked


def _run_step(
    runner: PassRunner,
    training: bool,
    wanted: Collection[str] | None,
    make_inputs: Callable[[], tuple[Any, Any]],
    *,
    tracks_inputs: bool,
    from_kept: bool,
) -> GradientStep:
    leaves: list[Tensor] = []

    def tracked(value: Any) -> Any:
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            leaves.append(value.requires_grad_(True))
            return value.clone()  # a network may write to its inputs, and can't to leaves
        return value

    def make_leaves() -> Any:
        leaves.clear()
        return map_leaves(tracked, make_inputs()) if tracks_inputs else make_inputs()

    with torch.enable_grad(), _param_gradients(runner.network.params, runner.filler.derived) as params:
        result = runner.forward(training=training, make_inputs=make_leaves, seed=runner.config.seed + OTHER_SEED)
        if result.crash is None:
            outputs = [result.output, *(_kept(runner) if from_kept else ())]
            _backward(
                runner, result, outputs, None if wanted is None else [runner.network.params[name] for name in wanted]
            )
    gradients = {f"input {i}": digest(leaf.grad) for i, leaf in enumerate(leaves) if leaf.grad is not None}
    known = {key: one for key, one in gradients.items() if one is not None}
    return GradientStep(result, params, known, tracks_inputs=bool(leaves))


def _kept(runner: PassRunner) -> list[Any]:
    """Return what modules hold in attributes after a forward pass."""
    modules = runner.network.modules.values()
    return [value for one in modules for name, value in vars(one).items() if name not in STANDARD_ATTRIBUTES]


def _backward(runner: PassRunner, result: PassResult, values: Any, wanted: Sequence[Tensor] | None) -> None:
    outputs = [(position, one) for position, one in enumerate(tensors_in(values)) if one.requires_grad]
    if not outputs:
        return
    try:
        with runner.computation_modes():
            gradients = [_output_gradient(one, position) for position, one in outputs]
            torch.autograd.backward([one for _, one in outputs], gradients, inputs=wanted)
    except Exception as error:
        result.crash = Crash("", type_and_first_line(error), raised_outside_torch(error))


def _output_gradient(output: Tensor, position: int) -> Tensor:
    """Make the gradient of an output, from which the backward pass starts: different numbers, none of them near 0."""
    numbers = uniform(output.shape, f"pull {position}", output.device)
    return (numbers + 2 * numbers.sign()).to(output.dtype)


@contextmanager
def _param_gradients(params: Mapping[str, Tensor], derived: DerivedWeights) -> Iterator[dict[str, Digest]]:
    """Collect the digest of each parameter's gradient as soon as it's there, and free the gradient's memory.

    Those of parameters that are derived from another network's become gradients of these, by their keys.
    """
    gradients: dict[str, Digest] = {}
    kept: dict[str, Tensor] = {}

    def note(name: str, param: Tensor) -> None:
        found, gradient = digest(param.grad), param.grad
        param.grad = None
        if name in derived.names and gradient is not None:
            kept[name] = gradient
        elif found is not None:
            gradients[name] = found

    handles = [
        param.register_post_accumulate_grad_hook(partial(note, name))  # type: ignore[no-untyped-call]
        for name, param in params.items()
        if param.requires_grad and param.is_leaf
    ]
    try:
        yield gradients
    finally:
        for handle in handles:
            handle.remove()
    pulled = {key: digest(one) for key, one in derived.pull_back(kept).items()} if kept else {}
    gradients |= {key: one for key, one in pulled.items() if one is not None}
