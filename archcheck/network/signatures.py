"""Parameters and annotations of functions, also where an annotation names what isn't there.

Since Python 3.14 annotations are evaluated when somebody asks for them. What they name may be imported for type
checkers only, or not at all: then it's a reference that can't be looked up, rather than an error.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

if sys.version_info >= (3, 14):
    from annotationlib import Format


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return what a function or class takes.

    Raises:
        TypeError: it can't be called.
        ValueError: nothing tells its parameters, as of some builtins.
    """
    if sys.version_info >= (3, 14):
        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def written_annotations(annotated: Any) -> dict[str, Any]:
    """Return a function's or class's own annotations by name, as they're written: types, texts or references.

    Raises:
        TypeError: it has none, as builtins.
    """
    if sys.version_info >= (3, 14):
        return inspect.get_annotations(annotated, format=Format.FORWARDREF)
    return inspect.get_annotations(annotated)
