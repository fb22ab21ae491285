"""Networks given a fingerprint and held against one another, as a spec's `function` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from archcheck.function.comparison import TOLERANCE, Comparison, layers_of, rounded
from archcheck.function.fingerprint.passes import FingerprintConfig, Passes, fingerprint, isolated, prepare
from archcheck.function.records import FunctionRecord
from archcheck.spec.inputs import ForwardInput, make_forward_input, parse_input

Make = Callable[[], nn.Module]
ROWS = [4, 8]  # four examples of eight features
IMAGES = [4, 3, 8, 8]
WORDS = [2, 5, 8]


def inputs_of(pattern: Any) -> ForwardInput:
    return make_forward_input(parse_input(pattern), {})


def recorded(make: Make, pattern: Any = ROWS, **how: Any) -> FunctionRecord:
    return fingerprint(make, FingerprintConfig(inputs_of(pattern), **how))


def numbers_of(record: FunctionRecord) -> dict[str, Mapping[str, float]]:
    """What a spec has: the digests of every layer, and those of the network as `output`."""
    layers = {layer.label: rounded(layer.numbers, "float64") for layer in layers_of(record)}
    return {**layers, "output": rounded(record.root.numbers, "float64")}


def held_against(record: FunctionRecord, make: Make, pattern: Any = ROWS, **how: Any) -> tuple[str, str] | None:
    """Where and how a network differs from a record, in the words of the message; None where it doesn't."""
    numbers = numbers_of(record)
    whole = numbers.pop("output")
    now = fingerprint(
        make, replace(FingerprintConfig(inputs_of(pattern), **how), exponents=record.exponents, large=record.large)
    )
    assert now.crash is None, now.crash
    comparison = Comparison(numbers, whole, now, TOLERANCE["float64"])
    kinds = comparison.differing(whole, now.root.numbers)
    if not kinds:
        return None
    mismatch = comparison.mismatch(kinds)
    return mismatch.subject, mismatch.problem


def difference(make: Make, other: Make, pattern: Any = ROWS) -> tuple[str, str] | None:
    """Where and how another network differs from one that is recorded."""
    record = recorded(make, pattern)
    assert record.crash is None, record.crash
    return held_against(record, other, pattern)


def drawn_in(make: Make, pattern: Any = ROWS) -> dict[str, str]:
    """What drew random numbers in eval mode, by the module that did."""
    how = FingerprintConfig(inputs_of(pattern))
    with isolated():
        passes = Passes(prepare(make, how), how)
        passes.run()
    return dict(passes.listener.draws)


class Computed(nn.Module):
    """Modules by keyword, and a function that computes with them."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module | nn.Parameter | Tensor) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            if isinstance(module, Tensor) and not isinstance(module, nn.Parameter):
                self.register_buffer(name, module)
            else:
                setattr(self, name, module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


class Applied(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def between(*layers: Callable[[], nn.Module]) -> Make:
    """What builds: a linear layer, some layers of 16 units, another linear layer. The first of them is called `1`."""
    return lambda: nn.Sequential(nn.Linear(8, 16), *(layer() for layer in layers), nn.Linear(16, 4))


def clipped(blocks: int, last: type[nn.Module] = nn.ReLU6) -> nn.Module:
    """Convolutions whose outputs are clipped, as those of MobileNets are: all that happens to large values."""
    kinds: list[type[nn.Module]] = [*[nn.ReLU6] * (blocks - 1), last]
    layers = [(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), kind()) for kind in kinds]
    return nn.Sequential(*(layer for block in layers for layer in block))
