"""Locks written: what was recorded of a network, a layer a line."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from typing import Any

from archcheck import __version__
from archcheck.findings import Change, Edit, Rename
from archcheck.spec.lock import FORMAT, LOCK
from archcheck.text.words import listed

_VERSIONS = ("torch", "torchvision")
_NAMED = 6


def changed_lock(old: Mapping[str, Any], build: str, changes: Iterable[Change]) -> dict[str, Any]:
    """Return the plain value of a lock with sections replaced, and then entries renamed; `old` is {} where none is.

    What it was recorded with is written anew where anything recorded is another.
    """
    new = {key: copy.deepcopy(old[key]) for key in old if key not in ("format", "recorded_with", "build")}
    changes = list(changes)
    for change in changes:
        if isinstance(change, Edit):
            new[str(change.keys[-1])] = change.value
    for change in changes:
        if isinstance(change, Rename):
            _rename(new, change)
    differs = any(old.get(key) != value for key, value in new.items())
    recorded_with = _recorded_with() if differs else old.get("recorded_with", {})
    return {"format": FORMAT, "recorded_with": recorded_with, "build": build, **new}


def _rename(value: dict[str, Any], change: Rename) -> None:
    """Rename an entry of a map and leave it in its place; one that isn't there any more is left out."""
    holder: Any = value
    for key in change.keys[1:-1]:
        holder = holder.get(key, {})
    old = str(change.keys[-1])
    if old not in holder or change.new_key in holder:
        return
    entries = [(change.new_key if key == old else key, item) for key, item in holder.items()]
    holder.clear()
    holder.update(entries)


def is_of_lock(change: Change) -> bool:
    """Return whether a change is one of the lock, not of the spec."""
    return isinstance(change, Edit | Rename) and change.keys[:1] == (LOCK,)


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say in a line what of a lock is another: the layers, and the parameters that start otherwise."""
    if not old:
        layers = new.get("function", new.get("cost", {})).get("layers", {})
        return f"recorded, {len(layers)} layers"
    before, after = _numbers(old), _numbers(new)
    renamed = _renamed(before, after)
    names = [name for name in after if before.get(name) != after[name] and name not in renamed.values()]
    costs = _costs(new)
    if costs != _costs(old):
        number = sum(_costs(old).get(name) != cost for name, cost in costs.items())
        names.append(f"what {number} layers cost")
    if _dtypes(new) != _dtypes(old):
        names.append("which dtypes its code names")
    lost = before.keys() - after.keys() - renamed.keys()
    gone = [f"{len(lost)} gone"] if lost else []
    moved = [f"under other names: {listed(list(renamed.values()), _NAMED)}"] if renamed else []
    anew = [f"recorded anew: {listed(names, _NAMED) or 'how it was recorded'}"] if names or not renamed else []
    return ", ".join([*anew, *gone, *moved])


def _renamed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Return the new names of what has the same numbers as it had, by the old ones, in order."""
    free = [name for name in after if name not in before]
    found: dict[str, str] = {}
    for name in (one for one in before if one not in after):
        same = next((new for new in free if after[new] == before[name]), None)
        if same is not None:
            found[name] = same
            free.remove(same)
    return found


def _numbers(lock: Mapping[str, Any]) -> dict[str, Any]:
    function = lock.get("function", {})
    return {**function.get("layers", {}), "output": function.get("output"), **lock.get("initial", {})}


def _dtypes(lock: Mapping[str, Any]) -> Any:
    return lock.get("function", {}).get("dtypes")


def _costs(lock: Mapping[str, Any]) -> dict[str, Any]:
    layers: dict[str, Any] = lock.get("cost", {}).get("layers", {})
    return layers


@functools.cache
def _recorded_with() -> dict[str, str]:
    """Return the versions of what records."""
    found = {name: importlib.metadata.version(name) for name in _VERSIONS if _is_installed(name)}
    return {"archcheck": __version__, "python": platform.python_version(), **found}


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def format_lock(value: Mapping[str, Any]) -> str:
    """Return the text of a lock: maps of maps a line for each entry, everything else in one."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Mapping[str, Any], indent: str) -> list[str]:
    inner = f"{indent}  "
    lines = ["{"]
    for position, (key, item) in enumerate(value.items(), 1):
        is_block = isinstance(item, Mapping) and any(isinstance(one, Mapping) for one in item.values())
        first, *rest = _lines(item, inner) if is_block else [json.dumps(item, ensure_ascii=False)]
        lines += [f"{inner}{json.dumps(str(key), ensure_ascii=False)}: {first}", *rest]
        lines[-1] += "," if position < len(value) else ""
    return [*lines, f"{indent}}}"]
