"""What a user's callable makes for a function's inputs: held against another process, and summed up in a number."""

from __future__ import annotations

from collections.abc import Mapping

from archcheck.errors import NotMeasured
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.digests import digest
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.network.input_checksum import differs_elsewhere
from archcheck.network.input_source import all_tensors
from archcheck.spec.inputs import InputSource

_DIGITS = 6


def require_same_elsewhere(source: InputSource, sizes: Mapping[str, int]) -> None:
    """Raise NotMeasured unless the source makes the same values in another process."""
    if differs_elsewhere(source, sizes):
        raise NotMeasured(
            f"inputs_from {source.target} makes other values in another process: draw them with torch, numpy or "
            "random, which are seeded, and don't go by the order of a set, the clock or a hash"
        )


def check_of_inputs(config: FingerprintConfig) -> float | None:
    """Return a number for the values that a source makes, in eval mode and in train mode; None without a source."""
    if config.inputs.source is None:
        return None
    total, number = 0.0, 0
    for training in (False, True):
        made = make_fixed_inputs(config.inputs_in(training), config.dtype, config.device)
        for tensor in all_tensors(made):
            found, number = digest(tensor), number + 1
            total += 0.0 if found is None else found.check / number**0.5
    return float(f"{total:.{_DIGITS}g}")
