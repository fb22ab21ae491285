"""Networks given a fingerprint and held against one another, as a spec's `function` does."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from archcheck.function.comparison import Comparison
from archcheck.function.digested_layers import layers_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.exact_computation import exact_computation
from archcheck.function.fingerprint.fingerprint import FingerprintRun, fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.fingerprint.written_constants import prepare_network
from archcheck.function.records import FunctionRecord
from archcheck.function.section import rounded
from archcheck.recording.lock_writer import format_lock
from archcheck.spec.file_names import lock_path
from archcheck.spec.inputs import ForwardInput, make_forward_input, parse_input
from archcheck.spec.spec_file import SpecFile, parse_spec

ROWS = [4, 8]  # four examples of eight features
IMAGES = [4, 3, 8, 8]
WORDS = [2, 5, 8]


_FOLDER = tempfile.TemporaryDirectory()
_NUMBERS = itertools.count()


def locked(text: str, section: Mapping[str, Any]) -> SpecFile:
    """A spec with the lock that has the section of its function."""
    path = Path(_FOLDER.name, f"{next(_NUMBERS)}.arch.yaml")
    lock_path(path).write_text(format_lock({"format": 1, "function": section}))
    return parse_spec(text, "s.arch.yaml", path)


def inputs_of(pattern: Any) -> ForwardInput:
    return make_forward_input(parse_input(pattern), {})


def recorded(build: NetworkFactory, pattern: Any = ROWS, **config: Any) -> FunctionRecord:
    return fingerprint(build, FingerprintConfig(inputs_of(pattern), **config))


def numbers_of(record: FunctionRecord) -> dict[str, Mapping[str, float]]:
    """What a spec has: the digests of every layer, and those of the network as `output`."""
    layers = {layer.label: rounded(layer.numbers, "float64") for layer in layers_of(record)}
    return {**layers, "output": rounded(record.root.numbers, "float64")}


def held_against(
    record: FunctionRecord, build: NetworkFactory, pattern: Any = ROWS, **config: Any
) -> tuple[str, str] | None:
    """Where and how a network differs from a record, in the words of the message; None where it doesn't."""
    numbers = numbers_of(record)
    whole = numbers.pop("output")
    bounds = "bounds" in record.root.numbers
    config = {"gains": record.gains, "large": record.large, "opened": record.opened, "bounds": bounds, **config}
    now = fingerprint(build, FingerprintConfig(inputs_of(pattern), **config))
    assert now.crash is None, now.crash
    comparison = Comparison(numbers, whole, now)
    kinds = comparison.differing_kinds(whole, now.root.numbers)
    if not kinds:
        return None
    mismatch = comparison.first_difference(kinds).mismatch
    return mismatch.subject, mismatch.problem


def difference(build: NetworkFactory, other: NetworkFactory, pattern: Any = ROWS) -> tuple[str, str] | None:
    """Where and how another network differs from one that is recorded."""
    record = recorded(build, pattern)
    assert record.crash is None, record.crash
    return held_against(record, other, pattern)


def drawn_in(build: NetworkFactory, pattern: Any = ROWS) -> dict[str, str]:
    """What drew random numbers in eval mode, by the module that did."""
    config = FingerprintConfig(inputs_of(pattern))
    with exact_computation():
        run = FingerprintRun(prepare_network(build, config), config)
        run.run()
    return dict(run.runner.watcher.draws)


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


def between(*layers: Callable[[], nn.Module]) -> NetworkFactory:
    """What builds: a linear layer, some layers of 16 units, another linear layer. The first of them is called `1`."""
    return lambda: nn.Sequential(nn.Linear(8, 16), *(layer() for layer in layers), nn.Linear(16, 4))


def clipped(blocks: int, last: type[nn.Module] = nn.ReLU6) -> nn.Module:
    """Convolutions whose outputs are clipped, as those of MobileNets are: all that happens to large values."""
    kinds: list[type[nn.Module]] = [*[nn.ReLU6] * (blocks - 1), last]
    layers = [(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), kind()) for kind in kinds]
    return nn.Sequential(*(layer for block in layers for layer in block))
