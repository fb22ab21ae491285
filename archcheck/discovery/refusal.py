"""A forward that stopped, in terms of the layer that refused what came in."""

from __future__ import annotations

import re
from typing import Final

from torch import nn

from archcheck.discovery.layers import intake_of
from archcheck.structure.crashes import find_size_mismatch
from archcheck.structure.records import Crash

_GOT: Final = (
    re.compile(r"Expected \d+D \(unbatched\) or \d+D \(batched\) input to \w+, but got input of size: (\[.*?\])"),
    re.compile(r"input.size\(-1\) must be equal to input_size. Expected \d+, got (\d+)"),
    re.compile(r"but got input of size(\[.*?\])"),
    re.compile(r"indices.* but got ([\w.]+) instead"),
    re.compile(r"running_mean should contain (\d+) elements not \d+"),
)


def describe_refusal(crash: Crash, module: nn.Module | None) -> str | None:
    """Return `conv1: Conv2d takes 3 channels, got 1`; None where no layer refused its input."""
    intake = intake_of(crash.module, module) if module is not None else None
    if intake is None:
        return None
    mismatch = find_size_mismatch(crash.error)
    found = (pattern.search(crash.error) for pattern in _GOT)
    got = str(mismatch.actual) if mismatch else next((match[1] for match in found if match is not None), None)
    told = f"{crash.module}: {intake.takes}" if crash.module else intake.takes
    return f"{told}, got {got}" if got is not None else None
