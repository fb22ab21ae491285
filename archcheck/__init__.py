"""archcheck: a neural network's architecture, written down once as a spec file and verified for ever.

`verify` and `summary` are for notebooks and hand-written tests (docs/python-api.md); docs/commands.md describes
`pytest --archcheck` and the `archcheck` command. Nothing heavy is imported before one of them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcheck.errors import ArchcheckError, BuildError, SpecError, UsageError

if TYPE_CHECKING:
    from archcheck.layer_summary import Summary, summary
    from archcheck.verification import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "ArchcheckError",
    "BuildError",
    "SpecError",
    "Summary",
    "UsageError",
    "Verification",
    "__version__",
    "summary",
    "verify",
]

_LAZY = {
    "Summary": "layer_summary",
    "summary": "layer_summary",
    "Verification": "verification",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'archcheck' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"archcheck.{_LAZY[name]}"), name)
    globals()[name] = value
    return value
