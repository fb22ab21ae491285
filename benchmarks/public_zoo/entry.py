"""A network of a public library, and what goes into it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A network to record: its target, the target's arguments and its inputs, as `archcheck new` takes them."""

    name: str
    target: str
    inputs: Sequence[str]
    args: Mapping[str, Any] = field(default_factory=dict)
    sizes: Sequence[str] = ()

    @property
    def arguments(self) -> list[str]:
        """The arguments of `archcheck new`, but for `--output`."""
        options = [f"--input={text}" for text in self.inputs] + [f"--size={text}" for text in self.sizes]
        if self.args:
            options.append(f"--args={json.dumps(self.args)}")
        return [self.target, *options]
