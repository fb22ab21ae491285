"""An input that was found: the value of a spec's `input` and `sizes`, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archcheck.spec.input_option import format_input_options


@dataclass(frozen=True, slots=True)
class Assumption:
    """What goes into a network: values as a spec has them, the reason to believe so, and reasons for doubt."""

    value: Any
    source: str
    sizes: Mapping[str, list[int]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def options(self) -> str:
        """Return the options of the command line that say the same."""
        return format_input_options(self.value, self.sizes)
