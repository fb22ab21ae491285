"""What code reads of an argument: the attributes of `args`, the keys of `cfg`, also where it's passed on."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from archcheck.network.exceptions import LIBRARIES
from archcheck.network.signatures import signature_of

_MAX_DEPTH: Final = 6  # of calls, one inside the other
_OF_MAPS: Final = frozenset(vars(dict))

Path = Sequence[tuple[str, bool]]  # of fields, one inside the other, and whether each is an attribute


@dataclass(slots=True)
class Fields:
    """What is read of a value: fields by name, with what is read of each of them in turn.

    is_object: whether fields are read as attributes, not as keys.
    """

    inside: dict[str, Fields] = field(default_factory=dict)
    is_object: bool = False


def fields_read(call: Callable[..., Any], argument: str) -> Fields:
    """Return what a function, or a class and its constructor, reads of an argument, as far as its source tells.

    Calls that get the argument, or a part of it, are looked into as well, but those of libraries.
    """
    found = Fields()
    _collect(call, argument, found, depth=0)
    return found


def _collect(call: Any, argument: str, found: Fields, depth: int) -> None:
    for source, names in _scopes(call, argument) if depth < _MAX_DEPTH else ():
        nodes = sorted(ast.walk(source), key=_place)  # `a.b.c` before the `a.b` in it
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        inner: set[int] = set()  # `a.b` of `a.b.c`
        for node in nodes:
            if not isinstance(node, ast.Attribute | ast.Subscript) or not (path := _path(node, names)):
                continue
            is_method = id(node) in called and (len(path) > 1 or path[-1][0] in _OF_MAPS)
            if id(node) not in inner and isinstance(node.ctx, ast.Load):
                _at(found, path[:-1] if is_method else path)
            inner.add(id(node.value))
        for node in nodes:
            for one, name, path in _passed_on(node, names, call) if isinstance(node, ast.Call) else ():
                _collect(one, name, _at(found, path), depth + 1)


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _at(found: Fields, path: Path) -> Fields:
    """Return the field at the end of a path, noted with those on the way."""
    for name, is_object in path:
        found.is_object |= is_object
        found = found.inside.setdefault(name, Fields())
    return found


def _scopes(call: Any, argument: str) -> Iterator[tuple[ast.AST, set[str]]]:
    """Yield the code of a call, each part with what an argument is called in it, as after `self.args = args`."""
    call = inspect.unwrap(call.func if isinstance(call, functools.partial) else call)
    try:
        if inspect.getfile(call).startswith(LIBRARIES):
            return
        source = ast.parse(textwrap.dedent(inspect.getsource(call))).body[0]
    except (OSError, TypeError, SyntaxError):  # nobody has the source
        return
    inside = [one for one in getattr(source, "body", ()) if getattr(one, "name", "") == "__init__"]
    function = inside[0] if isinstance(call, type) and inside else source
    names = {
        ast.unparse(target)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == argument
        for target in node.targets
    }
    yield function, {argument, *names}
    yield from ((one, names) for one in getattr(source, "body", ()) if function is not source and one is not function)


def _path(node: ast.expr, names: set[str]) -> Path | None:
    """Return the way from an argument to a part of it; None for anything else."""
    if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in names:
        return []
    if isinstance(node, ast.Attribute):
        step = node.attr, True
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is str:
        step = node.slice.value, False
    else:
        return None
    before = _path(node.value, names)
    return None if before is None else [*before, step]


def _passed_on(node: ast.Call, names: set[str], call: Any) -> Iterator[tuple[Any, str, Path]]:
    """Yield what a call hands the argument or a part of it to, the name that it has there, and the way to the part."""
    called = _named(node.func, call)
    try:
        parameters = list(signature_of(called).parameters.values())
    except (ValueError, TypeError):
        return
    positional = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    given = [*zip(positional, node.args, strict=False), *((one.arg, one.value) for one in node.keywords)]
    for name, value in given:
        if name is not None and (path := _path(value, names)) is not None:
            yield called, name, path


def _named(node: ast.expr, call: Any) -> Any:
    """Return what a name, or that of a module's attribute, means in the code of a call; None for anything else."""
    first, *others = ast.unparse(node).split(".")
    found = vars(inspect.getmodule(call) or types).get(first)
    for name in others:
        found = vars(found).get(name) if isinstance(found, types.ModuleType) else None
    return found
