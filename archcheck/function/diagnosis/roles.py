"""What a module is to another, such that it's the same in all layers that are built alike."""

from __future__ import annotations


def seen_from(name: str, other: str) -> str:
    """Return a module's name as seen from another: `^.0.norm` is `layers.3.0.norm` from `layers.3.1`."""
    ours, theirs = name.split("."), other.split(".")
    same = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    ours, theirs = ours[same:], theirs[same:]
    if ours and theirs and ours[0].isdigit() and theirs[0].isdigit():
        theirs[0] = f"{int(theirs[0]) - int(ours[0]):+d}"
    return ".".join(["^" * len(ours), *theirs])
