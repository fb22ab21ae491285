"""Names of new specs: of what they build, and of the arguments that it's built with."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from archcheck.spec.target import Target

_MAX_CHARS: Final = 80
_CLASS: Final = "class:"  # before what an argument names
# Arguments that name an architecture: their values say enough.
_NAMING: Final = frozenset(
    {"name", "model", "model_name", "arch", "architecture", "variant", "backbone", "encoder", "encoder_name", "type"}
)


def spec_name_for(target: Target, args: Mapping[str, Any]) -> str:
    """Return a name for the spec of a target, legal for a file: of what it builds, and of each argument.

    Arguments in a map are called by their own keys, as in `width_32-depths_2x2`, or by the way to them where two have
    one key. What can't be said in a file's name, or is too long for one, ends in a digest.
    """
    leaves = list(_leaves(args))
    count = Counter(keys[-1] for keys, _ in leaves)
    parts = [_part(keys[-1] if count[keys[-1]] == 1 else ".".join(keys), value) for keys, value in leaves]
    plain = "-".join([target.short_name, *parts])
    name = _legal(plain)[:_MAX_CHARS]
    return name if name == plain else f"{name}-{_digest([target.short_name, args])}" if args else name


def _leaves(args: Mapping[str, Any], way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is no map, or an empty one, with the keys on the way to it; a call of a class yields that, too."""
    for key, value in args.items():
        if key.startswith(_CLASS) and way:
            yield way, key
            keys = way
        else:
            keys = (*way, key)
        if isinstance(value, Mapping) and (value or keys == way):
            yield from _leaves(value, keys)
        else:
            yield keys, value


def distinct_names(names: Sequence[str], targets: Sequence[Target], args: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of several specs, each another one, whatever a file system thinks of upper and lower case.

    Those of one name are told apart by the modules or files that their targets are from, and what is left by a digest.
    """
    count = Counter(names)
    told = [
        name if count[name] == 1 else _legal(f"{target.source.removesuffix('.py').replace('/', '.')}.{name}")
        for name, target in zip(names, targets, strict=True)
    ]
    first: dict[str, int] = {}
    for i in sorted(range(len(told)), key=told.__getitem__):
        first.setdefault(told[i].casefold(), i)
    return [
        name if first[name.casefold()] == i else f"{name}-{_digest([targets[i].text, args[i]])}"
        for i, name in enumerate(told)
    ]


def _part(key: str, value: Any) -> str:
    text = _text(value)
    return text if key in _NAMING and isinstance(value, str) else f"{key}_{text}"


def _text(value: Any) -> str:
    """Return a value as a name has it: 2x2 for a list of numbers, GELU for a class."""
    if isinstance(value, str):
        return value.rpartition(".")[2] if value.startswith(_CLASS) else value
    if value in ({}, []):
        return "empty"
    if isinstance(value, list) and not any(isinstance(item, Mapping) for item in value):
        is_flat = not any(isinstance(item, str | list) for item in value)
        return ("x" if is_flat else "_").join(map(_text, value))
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _legal(text: str) -> str:
    """Return a text with `_` for what a file's name had better not have, and not begin with."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".-") or "_"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:6]
