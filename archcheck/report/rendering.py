"""The templates of pages, and what they are filled with: all text is escaped, and made harmless to look at."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from archcheck.report.markdown import MARKS, commit_text
from archcheck.text.units import (
    format_bytes,
    format_count,
    format_known,
    format_macs,
    format_macs_rate,
    format_rate,
    format_seconds,
)
from archcheck.text.visible import visible
from archcheck.text.words import clip, counted

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"
_TEXT_CHARS: Final = 20_000  # of one text; a line of a page is no place for a megabyte


@functools.cache
def template_environment() -> Environment:
    """Return the environment of the templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": format_bytes, "count": format_count, "known": format_known, "macs": format_macs,
        "macs_rate": format_macs_rate, "rate": format_rate, "seconds": format_seconds, "clip": clip,
        "commit": commit_text, "counted": lambda number, noun: counted(number, noun),
    }  # fmt: skip
    environment.globals |= {"marks": MARKS}
    return environment


def _finalize(value: Any) -> Any:
    """Make text from outside harmless to look at; the templates escape it afterwards."""
    if type(value) is str:
        return visible(value if len(value) <= _TEXT_CHARS else clip(value, _TEXT_CHARS))
    return "" if value is None else value


def style_and_script(*names: str) -> dict[str, Any]:
    """Return what the page's style and script are, of the files of these names, and the script's hash."""
    style, script = (_joined(names, suffix) for suffix in (".css", ".js"))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return {"style": Markup(style), "script": Markup(script), "script_hash": digest}


def _joined(names: tuple[str, ...], suffix: str) -> str:
    files = [_TEMPLATES / f"{name}{suffix}" for name in names]
    return "\n".join(file.read_text("utf-8") for file in files if file.exists())
