"""The checks by name, in the order of their items. A check is the `CHECK` of the module of its name.

Imports nothing that is heavy, so that `plugin.py` can register the markers in an ordinary pytest run.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archcheck.checks.check import Check

CHECKS = {
    "spec": "a spec file itself, and what building it tells",
    "shapes": "layers' and the network's output shapes",
    "parameters": "parameter and buffer counts",
    "compute": "multiply-adds",
    "health": "what no sound network violates",
    "function": "the function that the network computes",
    "state_dict": "what a checkpoint holds, and that published ones load",
    "cost": "memory, traffic, operations and waits of a step",
    "equivalence": "two builds of one function",
    "compile": "the graphs that torch.compile makes",
    "export": "what torch.export and ONNX make of it",
    "accuracy": "a short training run",
    "throughput": "examples per second",
    "claims": "what must hold between specs",
}


def load_check(name: str) -> Check:
    """Import a check."""
    check: Check = importlib.import_module(f"archcheck.checks.{name}").CHECK
    return check


@functools.cache
def all_checks() -> tuple[Check, ...]:
    """Import every check, in the order of the registry."""
    return tuple(load_check(name) for name in CHECKS)
