"""Steps under weights that open gates: what saturates under the usual ones hides what lies before it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from archcheck.function.fingerprint.digests import Digest, combine
from archcheck.function.fingerprint.forward_pass import PassResult, PassRunner
from archcheck.function.fingerprint.gradients import GradientStep, run_gradient_step
from archcheck.function.fingerprint.large_values import PERTURBATION, is_steady, vectors_of
from archcheck.function.fingerprint.number_pool import squeezed_shape, uniform
from archcheck.function.fingerprint.other_weights import added


class WeightSet(NamedTuple):
    """Other weights: by how much their biases and scales, and inputs, are smaller or larger, and of which signs."""

    factor: float
    mixes_signs: bool


# Small ones open what large arguments shut, large ones what lies behind a threshold; the mildest come first. Several
# draws of one size meet what is only open between two numbers. A lock has the positions here.
SETS: Final = (
    WeightSet(1 / 32, mixes_signs=True),
    WeightSet(1 / 32, mixes_signs=False),
    WeightSet(1.0, mixes_signs=True),
    WeightSet(1.0, mixes_signs=False),
    WeightSet(1 / 1024, mixes_signs=True),
    WeightSet(1 / 8, mixes_signs=False),
    *[WeightSet(factor, mixes_signs=True) for factor in (2.0, 4.0, 8.0) * 3],
    WeightSet(32.0, mixes_signs=True),
    WeightSet(1 / 2**15, mixes_signs=False),
    WeightSet(1024.0, mixes_signs=True),
)
_MAX_OPENED: Final = 3  # sets that are recorded
_TRIES: Final = 6  # sets under which another expert may run, if one ever does
_SEARCH_SEC: Final = 15.0  # of processor time: a large network may have a part that nothing opens
_LEAST_TRIES: Final = 4  # sets that are tried however long they take
_NOISE: Final = {torch.float64: 1e-8, torch.float32: 1e-3}  # of the largest gradient: what is smaller is rounding
_MIN_SHARE: Final = 10.0  # of the noise: what counts as a gradient that came through
_LEAST_TOTAL: Final = 20.0  # that a combined gradient is held against: its parts may cancel out


def open_gates(runner: PassRunner, usual: GradientStep) -> Mapping[int, GradientStep]:
    """Run steps under the sets of weights that the record names, or under those that let gradients through.

    They are looked for where the graph of the usual step reaches a parameter or an input, and no gradient does; and
    where a network chooses by values what runs, so that another expert may run under other weights. The weights are the
    usual ones afterwards.
    """
    wanted = runner.config.opened
    shut = _shut(runner, usual) if wanted is None else set()
    if shut and runner.draws:  # a block that is skipped at random isn't behind a gate
        in_eval = run_gradient_step(runner, training=False)
        shut -= _reached(runner, in_eval, shut)
    passed_over = _passed_over(runner, usual) if wanted is None and runner.reads_values else set()
    numbers = wanted if wanted is not None else range(len(SETS) if shut else _TRIES if passed_over else 0)
    if not numbers:
        return {}
    shut |= passed_over
    steps: dict[int, GradientStep] = {}
    end = time.process_time() + _SEARCH_SEC
    for number in numbers:
        if wanted is None and number >= _LEAST_TRIES and time.process_time() > end:
            break
        step = _run(runner, number)
        found = _reached(runner, step, shut)
        if wanted is not None or (found and _is_steady(runner, step, _run(runner, number, PERTURBATION))):
            steps[number] = step
            shut -= found
        if wanted is None and (not shut or len(steps) == _MAX_OPENED):
            break
    _put_back(runner)
    return steps


def used_under_other_weights(runner: PassRunner, names: Collection[str]) -> set[str]:
    """Return those of some parameters that a gradient reaches under one of a few sets of other weights.

    Where values decide what runs, an edit that gives weights other numbers may leave an expert without examples. The
    weights are the usual ones afterwards.
    """
    used: set[str] = set()
    for number in range(_TRIES):
        used |= _reached(runner, _run(runner, number), {*names} - used)
        if used == {*names}:
            break
    _put_back(runner)
    return used


def opened_pass(steps: Collection[GradientStep]) -> PassResult | None:
    """Return the passes of several steps as one, with the sums of their digests; None where there are none."""
    total: PassResult | None = None
    for number, step in enumerate(steps):
        if step.forward.crash is not None:
            return None
        total = step.forward if total is None else added(total, step.forward, number + 1)
    return total


def _run(runner: PassRunner, number: int, perturbation: float = 0.0) -> GradientStep:
    """Run a step under a set of weights."""
    make_inputs = use_set(runner, number, perturbation)
    step = run_gradient_step(runner, training=runner.config.train, make_inputs=make_inputs)
    step.forward.output = None  # frees its memory
    return step


def use_set(runner: PassRunner, number: int, perturbation: float = 0.0) -> Callable[[], tuple[Any, Any]]:
    """Give a network the weights of a set. Returns what makes the inputs that go with them."""
    chosen = SETS[number]
    runner.filler.refill_all(f" opened {number}")
    with torch.no_grad():
        for param in vectors_of(runner):
            values = param.detach()
            values *= chosen.factor
            if chosen.mixes_signs:
                values *= uniform(values.shape, f"sign {number}", values.device).sign().to(values.dtype)
            if perturbation:
                values *= 1 + perturbation * uniform(values.shape, "tremor", values.device).to(values.dtype)
        runner.filler.derived.compute()

    def scaled(tensor: Tensor) -> Tensor:
        return tensor * (min(chosen.factor, 1.0) * (1 + perturbation))

    return partial(runner.change_free_inputs, scaled, training=runner.config.train)


def _shut(runner: PassRunner, step: GradientStep) -> set[str]:
    """Return the parameters and inputs that the graph of a step reaches, and no gradient.

    What has no gradient at all isn't used, or not by anything that could have one.
    """
    noise = noise_of(runner, step)
    shut = {name for name, one in step.params.items() if one.rms <= (noise if _is_matrix(runner, name) else 0.0)}
    return shut | {name for name, one in step.inputs.items() if one.rms <= noise}


def _passed_over(runner: PassRunner, step: GradientStep) -> set[str]:
    """Return the parameters that a step has not used, or not such that they could have a gradient."""
    return {name for name, one in runner.network.params.items() if one.requires_grad and name not in step.params}


def _reached(runner: PassRunner, step: GradientStep, names: Collection[str]) -> set[str]:
    """Return those of some parameters and inputs that a gradient reaches which is no rounding."""
    if step.forward.crash is not None or not all(map(_is_finite, (*step.params.values(), *step.inputs.values()))):
        return set()
    found, least = {**step.params, **step.inputs}, _MIN_SHARE * noise_of(runner, step)
    return {
        name
        for name in names & found.keys()
        if found[name].rms > (least if name in step.inputs or _is_matrix(runner, name) else 0.0)
    }


def noise_of(runner: PassRunner, step: GradientStep) -> float:
    """Return how small gradients of a step are rounding."""
    return _NOISE[runner.config.dtype] * max((one.rms for one in step.params.values()), default=0.0)


def _is_matrix(runner: PassRunner, name: str) -> bool:
    """Return whether a parameter is one whose gradient isn't nothing by its nature, as that before a norm's is."""
    param = runner.network.params.get(name)
    return param is not None and len(squeezed_shape(param.shape)) > 1


def _is_finite(one: Digest) -> bool:
    return math.isfinite(one.rms) and one.is_finite


def _is_steady(runner: PassRunner, ours: GradientStep, perturbed: GradientStep) -> bool:
    """Return whether other rounding errors would make no difference, to what comes out and to gradients."""
    if perturbed.forward.crash is not None or not ours.forward.calls or not perturbed.forward.calls:
        return False
    here, there = ours.forward.calls[-1].digest, perturbed.forward.calls[-1].digest
    if here is None or there is None or not is_steady(here, there):
        return False
    totals = [combine(one.params, noise_of(runner, one)) + combine(one.inputs, 0.0) for one in (ours, perturbed)]
    scale = max(abs(totals[0]), _LEAST_TOTAL)
    return is_steady(Digest(0.0, scale, scale), Digest(0.0, scale, scale + totals[1] - totals[0]))


def _put_back(runner: PassRunner) -> None:
    """Give all parameters their usual numbers."""
    runner.state.restore()
    for param in runner.network.params.values():
        if id(param) in runner.filler.keys:
            runner.filler.refill(param)
    runner.filler.refill_all("")
