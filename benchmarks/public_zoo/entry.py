"""A network of a public library, and what goes into it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A network to record: its target, the target's arguments and its inputs, as `archcheck new` takes them.

    `changes` are arguments that somebody changes by mistake, laid over `args` one at a time: maps are merged, all
    else is replaced.
    """

    name: str
    target: str
    inputs: Sequence[str] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    sizes: Sequence[str] = ()
    inputs_from: str = ""
    train_inputs: Sequence[str] = ()
    changes: Sequence[Mapping[str, Any]] = ()

    @property
    def arguments(self) -> list[str]:
        """The arguments of `archcheck new`, but for `--output`."""
        options = [f"--input={text}" for text in self.inputs] + [f"--size={text}" for text in self.sizes]
        options += [f"--train-input={text}" for text in self.train_inputs]
        if self.inputs_from:
            options.append(f"--inputs-from={self.inputs_from}")
        return [*self.alone, *options]

    @property
    def alone(self) -> list[str]:
        """The arguments of `archcheck new` that say nothing of what goes in."""
        return [self.target, *([f"--args={json.dumps(self.args)}"] if self.args else [])]


def laid_over(args: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with a change made: maps are merged, all else is replaced."""
    merged = dict(args)
    for key, value in change.items():
        below = merged.get(key)
        merged[key] = laid_over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
