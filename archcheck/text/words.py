"""How messages name things: values found, names misspelt, long text cut short."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


def unknown(what: str, found: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """`unknown key 'mac'; did you mean macs?`."""
    import difflib

    close = difflib.get_close_matches(found, list(known), n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
    return f"unknown {what} {clip(found)!r}; {hint}"


def shown(value: object) -> str:
    """A value from a spec as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)) and not value:
        return "an empty map" if isinstance(value, dict) else "an empty list"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(clip(value)) if isinstance(value, str) else str(value)


def key_text(key: str) -> str:
    """A key as a message names it: as it is, unless it would break the line."""
    return clip(key) if key.isprintable() and key.strip() else repr(clip(key))


def clip(text: str, limit: int = 60) -> str:
    """Text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def a(value: object) -> str:
    """`a list`, `an int`, `None`: what kind of value was found."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'fc1'?` where one of the known words is close, else nothing."""
    spelt = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(spelt), n=1)
    return f": did you mean {spelt[close[0]]!r}?" if close else ""


def listed(names: Sequence[str], limit: int = 12) -> str:
    """`a, b, … (14 in all)`: the first of some names, and how many there are."""
    shown = ", ".join(names[:limit])
    return f"{shown}, … ({len(names)} in all)" if len(names) > limit else shown or "no modules inside it"
