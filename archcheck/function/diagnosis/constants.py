"""Constants that differ or are missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import EPSILONS, OpCall
from archcheck.function.diagnosis.substitutions import Substitution, is_data, missing_around


def kept_factor(call: OpCall) -> Iterator[Substitution]:
    """Multiply or divide by a number that the module keeps and computes nothing with any more."""
    yield from _by_kept(call, is_taken=False)


def _by_kept(call: OpCall, *, is_taken: bool) -> Iterator[Substitution]:
    for one in call.numbers:
        if one.is_taken is is_taken:
            for noun, join in (("factor of", torch.mul), ("division by", torch.div)):
                for found in missing_around(
                    call, f"a {noun} {one.value:.4g} ({one.name})", partial(join, other=one.value), is_data
                ):
                    yield replace(found, role=found.text.replace(f"{one.value:.4g} ", "", 1))  # another elsewhere


def sign_of_weights(call: OpCall) -> Iterator[Substitution]:
    """Negate what was computed from parameters alone."""
    if call.is_of_weights:
        yield from missing_around(call, "a factor of -1", torch.neg, is_data)


def common_factor(call: OpCall) -> Iterator[Substitution]:
    """Double, halve or negate, or scale as elsewhere: many another change would do the same to the values at hand."""
    for number in (2.0, 0.5, -1.0):
        yield from missing_around(call, f"a factor of {number:.4g}", partial(torch.mul, other=number), is_data)
    yield from _by_kept(call, is_taken=True)


def missing_factor(call: OpCall) -> Iterator[Substitution]:
    """Multiply by a factor or add a constant that may have been lost."""
    for number in _factors(call):
        yield from missing_around(call, f"a factor of {number:.4g}", partial(torch.mul, other=number), is_data)
    for number in dict.fromkeys((1.0, -1.0, *([call.output_shift] if call.output_shift else []))):
        yield from missing_around(call, f"{number:+.4g}", partial(torch.add, other=number), _is_countable)


# Of residuals, means of three, pixels, sines and angles, and schedules.
_WRITTEN: Final = (0.1, 10.0, 0.2, 5.0, 1 / 3, 3.0, 1 / 255, 255.0, 30.0, 2 * math.pi, math.pi, 100.0, 1000.0)


def _is_countable(x: Tensor) -> bool:
    return not isinstance(x, nn.Parameter) and x.dtype is not torch.bool


def _factors(call: OpCall) -> Iterator[float]:
    sizes = {size for _, one in call.operands for size in one.shape if size > 1}
    numbers = [*_WRITTEN, 0.5**0.5, 2**0.5]
    for size in sorted(sizes):
        numbers += [size**-0.5, size**0.5, 1 / size, float(size)]
    if call.output_factor:
        numbers += [call.output_factor, -call.output_factor]
    yield from dict.fromkeys(numbers)


def other_number(call: OpCall) -> Iterator[Substitution]:
    """Replace an argument that is a number."""
    for place, value in enumerate(call.args):
        if isinstance(value, bool) or not isinstance(value, int | float) or call.name not in _WITH_NUMBERS:
            continue
        for other in _numbers(float(value)):
            recorded = f"{other:.4g}"
            if call.name in _COMPARISONS:  # which all numbers between two values decide alike
                recorded = f"a {'larger' if other > value else 'smaller'} number"
            yield _with_number(f"{call.name} {value:.4g} now, {recorded} was recorded", place, other)


def _with_number(text: str, place: int, number: float) -> Substitution:
    return Substitution(text, lambda call: call.with_operand((place, None), number).run())


_COMPARISONS: Final = frozenset({"lt", "le", "gt", "ge"})
_WITH_NUMBERS: Final = frozenset(
    [
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "rdiv",
        "pow",
        "clamp",
        "clamp_min",
        "clamp_max",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "leaky_relu",
        "elu",
        "hardtanh",
        "softplus",
        "full",
        "full_like",
        "threshold",
        "masked_fill",
        "lerp",
        "where",
        "addcmul",
        "norm",
        "celu",
        "nan_to_num",
        "lp_pool1d",
        "lp_pool2d",
    ]
)


def _numbers(value: float) -> Iterator[float]:
    numbers = [
        0.0,
        1.0,
        -value,
        1 - value,
        value * 2,
        value / 2,
        value * 10,
        value / 10,
        value + 1,
        value - 1,
        value**2,
    ]
    numbers += [abs(value) ** 0.5, *EPSILONS, *_WRITTEN]
    if value:
        numbers += [1 / value, abs(value) ** -0.5]
    yield from (number for number in dict.fromkeys(numbers) if number != value)
