"""What a forward's own source takes an argument apart into: the names of a tuple, the keys of a map."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Names: TypeAlias = "Sequence[str | Names]"  # of a tuple, in order, with those of tuples within it


def unpacked_tuples(forward: Callable[..., Any]) -> dict[str, Names]:
    """Return the arguments that are unpacked before anything else is made of them: `text, lengths = inputs`."""
    found: dict[str, Names] = {}
    written: set[str] = set()
    for statement in _body(forward):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name):
            name, target = statement.value.id, statement.targets[0]
            if isinstance(target, ast.Tuple) and name not in written:
                found.setdefault(name, _names(target))
        written |= {one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and _is_stored(one)}
    return {name: names for name, names in found.items() if names}


def keys_looked_up(forward: Callable[..., Any]) -> Mapping[str, Sequence[str]]:
    """Return the keys that each argument is asked for, in order, but for those that are set or asked about first."""
    found: dict[str, list[str]] = {}
    optional: set[tuple[str, str]] = set()
    for statement in _body(forward):
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript) and (key := _key(node.slice)) and isinstance(node.value, ast.Name):
                (
                    optional.add((node.value.id, key))
                    if _is_stored(node)
                    else found.setdefault(node.value.id, []).append(key)
                )
            elif (
                isinstance(node, ast.Compare)
                and (key := _key(node.left))
                and isinstance(node.ops[0], ast.In | ast.NotIn)
            ):
                optional |= {(one.id, key) for one in node.comparators if isinstance(one, ast.Name)}
    kept = {name: [key for key in dict.fromkeys(keys) if (name, key) not in optional] for name, keys in found.items()}
    return {name: keys for name, keys in kept.items() if keys}


def _body(forward: Callable[..., Any]) -> Iterator[ast.stmt]:
    try:
        module = ast.parse(textwrap.dedent(inspect.getsource(forward)))
    except (OSError, TypeError, SyntaxError):  # nobody has the source
        return
    function = module.body[0]
    if isinstance(function, ast.FunctionDef):
        yield from function.body


def _is_stored(node: ast.Name | ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Store)


def _key(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _names(target: ast.Tuple) -> Names:
    """Return the names of a tuple; none where one of its places is no name."""
    names = [_names(one) if isinstance(one, ast.Tuple) else getattr(one, "id", "") for one in target.elts]
    return names if all(names) else ()
