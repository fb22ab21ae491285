"""Passes at very large and very small inputs, for networks that bound values: usual ones don't reach a clamp."""

from __future__ import annotations

from functools import partial
from typing import Final

from archcheck.function.fingerprint.digests import Digest
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.large_values import PERTURBATION, is_steady
from archcheck.function.fingerprint.other_weights import added

_FACTORS: Final = (32.0, 1 / 32)  # of inputs, and of parameters of one number, such as a temperature or a step


def run_extreme_inputs(runner: PassRunner) -> PassResult | None:
    """Run in eval mode at inputs that are 32 times as large, and as small; None where that isn't told or not steady.

    A network whose record says nothing of it is run where it calls a clamp, and other rounding errors would make no
    difference; one that sorts isn't, as many of its numbers may be the same there. The digests of a call are added up.
    """
    wanted = runner.config.bounds
    if runner.config.inputs.source is not None:  # what it makes stays as it is
        return None
    if not (runner.calls_clamp and not runner.sorts if wanted is None else wanted):
        return None
    total: PassResult | None = None
    for number, factor in enumerate(_FACTORS):
        result = _run(runner, factor)
        if result.crash is not None or not _is_finite(result):
            return None
        if wanted is None and not _is_steady(result, _run(runner, factor * (1 + PERTURBATION))):
            return None
        result.output = None
        total = result if total is None else added(total, result, number + 1)
    return total


def _run(runner: PassRunner, factor: float) -> PassResult:
    runner.state.restore()
    numbers = [one for one in runner.network.params.values() if one.numel() == 1 and runner.filler.is_weight(one)]
    for one in numbers:
        runner.filler.refill(one)
        one.detach().mul_(factor)
    scaled = partial(runner.change_free_inputs, lambda tensor: tensor * factor)
    result = runner.forward(training=False, reset=False, make_inputs=scaled)
    for one in numbers:
        runner.filler.refill(one)
    return result


def _is_finite(result: PassResult) -> bool:
    return all(call.digest is None or call.digest.is_finite for call in result.calls)


def _last_digest(result: PassResult) -> Digest | None:
    return result.calls[-1].digest if result.calls else None


def _is_steady(result: PassResult, perturbed: PassResult) -> bool:
    ours, theirs = _last_digest(result), _last_digest(perturbed)
    return ours is not None and theirs is not None and is_steady(ours, theirs)
