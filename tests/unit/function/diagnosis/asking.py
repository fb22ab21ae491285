"""Networks of a forward and some layers, and what is said of the cause where two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from archcheck.function.comparison import Comparison
from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import DifferingCall
from tests.unit.function.running import ROWS, Computed, inputs_of, numbers_of

Forward = Callable[[Any, Tensor], Any]
Layers = Mapping[str, Callable[[], nn.Module]]

LINEAR: Layers = {"a": partial(nn.Linear, 8, 16), "b": partial(nn.Linear, 16, 4)}
SQUARE: Layers = {"a": partial(nn.Linear, 8, 8), "b": partial(nn.Linear, 8, 8), "c": partial(nn.Linear, 8, 8)}


def computing(forward: Forward, layers: Layers) -> NetworkFactory:
    return lambda: Computed(forward, **{name: build() for name, build in layers.items()})


def cause(original: NetworkFactory, changed: NetworkFactory, pattern: Any = ROWS, **options: Any) -> str | None:
    """What is said of the first layer that differs; `options` are of the search."""
    config = FingerprintConfig(inputs_of(pattern))
    record = fingerprint(original, config)
    assert record.crash is None, record.crash
    config = replace(config, gains=record.gains)
    rows = numbers_of(record)
    whole = rows.pop("output")
    now = fingerprint(changed, config)
    comparison = Comparison(rows, whole, now)
    kind = comparison.differing_kinds(whole, now.root.numbers)[0]
    first = comparison.first_layer(kind)
    if first is None:
        return likely_cause(changed, config, DifferingCall("", 0, kind, whole), **options)
    label, layer = first
    index = int(label.partition("[")[2].rstrip("]") or 0)
    return likely_cause(changed, config, DifferingCall(layer.name, index, kind, rows[label], whole=whole), **options)


def asked(
    original: NetworkFactory,
    changed: NetworkFactory,
    layer: str,
    index: int = 0,
    kind: str = "eval",
    inner: tuple[str, int] | None = None,
    **options: Any,
) -> str | None:
    """The cause for a layer that a test names, whatever others differ; `inner` is what differs first of its calls."""
    config = FingerprintConfig(inputs_of(ROWS))
    record = fingerprint(original, config)
    numbers = next(call.numbers for call in record.calls if (call.name, call.index) == (layer, index))
    config = replace(config, gains=record.gains)
    return likely_cause(changed, config, DifferingCall(layer, index, kind, numbers, inner), **options)
