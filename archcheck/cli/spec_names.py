"""Names of new specs: of what they build, and of the arguments that it's built with."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from archcheck.spec.target import Target

_MAX_CHARS: Final = 80
# Arguments that name an architecture: their values say enough.
_NAMING: Final = frozenset(
    {"name", "model", "model_name", "arch", "architecture", "variant", "backbone", "encoder", "encoder_name", "type"}
)


def spec_name_for(target: Target, args: Mapping[str, Any]) -> str:
    """Return a name for the spec of a target, legal for a file, and another one for other arguments."""
    parts = [target.short_name, *(_part(key, value) for key, value in args.items())]
    plain = "-".join(parts)
    name = _legal(plain)[:_MAX_CHARS]
    return name if name == plain else f"{name}-{_digest([target.short_name, args])}" if args else name


def distinct_names(names: Sequence[str], targets: Sequence[Target]) -> list[str]:
    """Return the names of several specs, each another one, whatever a file system thinks of upper and lower case.

    Those of one name are told apart by the modules or files that their targets are from.
    """
    count = Counter(names)
    told = [
        name if count[name] == 1 else _legal(f"{target.source.removesuffix('.py').replace('/', '.')}.{name}")
        for name, target in zip(names, targets, strict=True)
    ]
    first: dict[str, str] = {}
    for name in sorted(told):
        first.setdefault(name.casefold(), name)
    return [
        name if first[name.casefold()] == name else f"{name}-{_digest(target.text)}"
        for name, target in zip(told, targets, strict=True)
    ]


def _part(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
    return text if key in _NAMING and isinstance(value, str) else f"{key}_{text}"


def _legal(text: str) -> str:
    """Return a text with `_` for what a file's name had better not have, and not begin with."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".-") or "_"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:6]
