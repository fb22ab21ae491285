"""Build targets as text: which callable a spec's `build` names. Nothing is imported here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from archcheck.errors import BuildError
from archcheck.spec.schemes import CONFIG_FILES, REGISTRIES, installed_schemes, no_such_scheme
from archcheck.text.words import quoted

TargetKind: TypeAlias = Literal["module", "path", "registry", "config", "scheme"]

TARGET_FORMS = (
    "module:callable, path/to/file.py:callable, torchvision:NAME, timm:NAME, transformers:CONFIG.json or "
    "diffusers:CONFIG.json"
)
_REGISTERED_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_CONFIG_FILE = re.compile(r"(?P<file>.+\.json)(?::(?P<cls>[^:]*))?")
_WORD = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A build target: `attribute`, dotted where it is nested, of the module, file or scheme that `source` names.

    Of a configuration file, `source` is the file, `scheme` the library, and `attribute` the class, or empty where the
    file says it. Of an installed scheme, `attribute` is whatever stands behind the colon.
    """

    text: str
    kind: TargetKind
    source: str
    attribute: str
    scheme: str = ""

    def __str__(self) -> str:
        return self.text

    @property
    def short_name(self) -> str:
        """Return what to call a spec of it: the callable's or model's name, or the configuration file's.

        A file that is called `config.json`, as most are, goes by its folder.
        """
        if self.kind != "config":
            return self.attribute
        path = PurePosixPath(self.source)
        return path.parent.name or path.stem if path.stem == "config" else path.stem

    def seen_from(self, folder: Path, start: Path) -> str:
        """Return the text of the same target in a spec in `folder`, where it was written for one in `start`."""
        if self.kind not in ("path", "config"):
            return self.text
        file = Path(os.path.relpath(start / self.source, folder)).as_posix()
        return ":".join(part for part in (self.scheme, file, self.attribute) if part)


def parse_target(text: str) -> Target:
    """Parse a build target, in one of the `TARGET_FORMS` or of an installed scheme.

    Raises:
        BuildError: it is none of these; says what was expected.
    """
    text = text.strip()
    head, _, rest = text.partition(":")
    source, _, attribute = text.rpartition(":")
    if not head or not rest or not source or not attribute or not text.isprintable():
        raise BuildError(f"expected {TARGET_FORMS}, found {quoted(text)}")
    if head in REGISTRIES:
        return _registered(text, head, rest)
    if head in CONFIG_FILES and (_CONFIG_FILE.fullmatch(rest) or not _is_dotted_name(rest)):
        return _config_file(text, head, rest)
    if _WORD.fullmatch(head) and head in installed_schemes():
        return Target(text, "scheme", head, rest, head)
    if not _is_dotted_name(attribute):
        found = f"expected the name of a callable after the colon, found {quoted(attribute)}"
        raise BuildError(f"{quoted(text)}: {found}{_about_scheme(head)}")
    if source.endswith(".py"):
        return Target(text, "path", source, attribute)
    if not _is_dotted_name(source):
        expected = "a .py file" if "/" in source or "\\" in source else "a module or a .py file"
        found = f"expected {expected} before the colon, found {quoted(source)}"
        raise BuildError(f"{quoted(text)}: {found}{_about_scheme(head) if head != source else ''}")
    return Target(text, "module", source, attribute)


def _registered(text: str, scheme: str, name: str) -> Target:
    # Nothing but a plain name: timm would take `hf-hub:` and folders too, and download.
    if not _REGISTERED_NAME.fullmatch(name):
        raise BuildError(f"{quoted(text)}: expected the name of a {scheme} model after the colon, found {quoted(name)}")
    return Target(text, "registry", scheme, name, scheme)


def _config_file(text: str, scheme: str, rest: str) -> Target:
    match = _CONFIG_FILE.fullmatch(rest)
    if match is None:
        expected = f"expected the path of a configuration file, as in {scheme}:CONFIG.json"
        raise BuildError(f"{quoted(text)}: {expected}, found {quoted(rest)}")
    if match["cls"] is not None and not match["cls"].isidentifier():
        raise BuildError(f"{quoted(text)}: expected the name of a class after the file, found {quoted(match['cls'])}")
    return Target(text, "config", match["file"], match["cls"] or "", scheme)


def _about_scheme(head: str) -> str:
    """Return a note for a text that may have been meant as a scheme's."""
    return f"; {no_such_scheme(head)}" if _WORD.fullmatch(head) else ""


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
