"""Build targets as text: which callable a spec's `build` names. Nothing is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from archcheck.errors import BuildError
from archcheck.text.words import quoted

TargetKind: TypeAlias = Literal["module", "path", "torchvision", "timm"]

_FORMS = "module:callable, path/to/file.py:callable, torchvision:NAME or timm:NAME"
_REGISTERED_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Target:
    """A build target: `attribute`, dotted where it is nested, of the module, file or registry that `source` names."""

    text: str
    kind: TargetKind
    source: str
    attribute: str

    def __str__(self) -> str:
        return self.text


def parse_target(text: str) -> Target:
    """Parse `module:callable`, `path/to/file.py:callable`, `torchvision:NAME` or `timm:NAME`.

    Raises:
        BuildError: it is none of these; says what was expected.
    """
    source, colon, attribute = text.strip().rpartition(":")
    if not colon or not source or not attribute or not text.isprintable():
        raise BuildError(f"expected {_FORMS}, found {quoted(text)}")
    if source in ("torchvision", "timm"):
        return _registered(text, "torchvision" if source == "torchvision" else "timm", attribute)
    if not _is_dotted_name(attribute):
        raise BuildError(f"{quoted(text)}: expected the name of a callable after the colon, found {quoted(attribute)}")
    if source.endswith(".py"):
        return Target(text.strip(), "path", source, attribute)
    if not _is_dotted_name(source):
        expected = "a .py file" if "/" in source or "\\" in source else "a module or a .py file"
        raise BuildError(f"{quoted(text)}: expected {expected} before the colon, found {quoted(source)}")
    return Target(text.strip(), "module", source, attribute)


def _registered(text: str, kind: TargetKind, name: str) -> Target:
    # Nothing but a plain name: timm would take `hf-hub:` and folders too, and download.
    if not _REGISTERED_NAME.fullmatch(name):
        raise BuildError(f"{quoted(text)}: expected the name of a {kind} model after the colon, found {quoted(name)}")
    return Target(text.strip(), kind, kind, name)


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
