"""Words of messages: values found, names that don't exist, lists and text cut short, counts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

MAX_CHARS = 60  # of a text from outside that a message repeats


def clip(text: str, limit: int = MAX_CHARS) -> str:
    """Return a text of at most `limit` characters, the last a `…` where something was cut off."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(text: str) -> str:
    """Return a text in quotes, on one line and not too long."""
    return repr(clip(text))


def shown(value: object) -> str:
    """Return a value from a spec as a message shows it."""
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
    return quoted(value) if isinstance(value, str) else str(value)


def key_text(key: str) -> str:
    """Return a key as a message names it: as it is, unless it would break the line."""
    return clip(key) if key.isprintable() and key.strip() else quoted(key)


def kind_of(value: object) -> str:
    """Return what kind of object something is: `a list`, `an int`, `None`."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def close_names(word: str, known: Iterable[str], limit: int = 1) -> list[str]:
    """Return the known names that a misspelt one may stand for, the likeliest first; case doesn't count."""
    spelt = {name.lower(): name for name in known}
    return [spelt[close] for close in difflib.get_close_matches(word.lower(), list(spelt), n=limit)]


def unknown(kind: str, found: str, known: Iterable[str]) -> str:
    """Return `unknown key 'mac'; did you mean macs?`, with all the known names where none is close."""
    names = list(known)
    close = close_names(found, names)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"
    return f"unknown {kind} {quoted(found)}; {hint}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `: did you mean 'fc1'?` where a known name is close, to end a message with; else nothing."""
    close = close_names(word, known)
    return f": did you mean {close[0]!r}?" if close else ""


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Return the first of some names, and how many there are: `a, b, … (14 in all)`."""
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 epoch`, `2 epochs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return how often something happens: `once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
