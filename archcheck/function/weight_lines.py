"""The lines of a spec that say how weights match, with `*` for what is the same in every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from archcheck.errors import UsageError
from archcheck.function.records import FunctionRecord
from archcheck.function.weight_matching import WeightMatching, resolve_line
from archcheck.spec.weight_expressions import WeightExpression, with_names


def as_lines(matching: WeightMatching, ours: FunctionRecord, theirs: FunctionRecord) -> dict[str, str]:
    """Return the lines that say a matching, with `*` for what is the same in every layer."""
    lines: dict[str, str] = {}
    covered: set[str] = set()
    for name, expression in matching.expressions.items():
        if name in covered:
            continue
        general = _general_lines(name, expression, matching, ours, theirs)
        new = ((left, right, names) for left, right, names in general if not names & covered)
        left, right, names = next(new, (name, str(expression), {name}))
        lines[left], covered = right, covered | names
    return lines


def _general_lines(
    name: str, expression: WeightExpression, matching: WeightMatching, ours: FunctionRecord, theirs: FunctionRecord
) -> Iterator[tuple[str, str, set[str]]]:
    """Yield lines that say of several weights what is true of them, this one among them; with their names."""
    numbers = [i for i, part in enumerate(name.split(".")) if part.isdecimal()]
    choices = [chosen for length in range(1, len(numbers) + 1) for chosen in combinations(numbers, length)]
    for chosen in choices:
        parts = name.split(".")
        stands_for = [parts[i] for i in chosen]
        left = ".".join("*" if i in chosen else part for i, part in enumerate(parts))
        right = with_names(expression, partial(_with_wildcards, stands_for=stands_for))
        try:
            found = dict(resolve_line(left, right, ours, theirs.shapes))
        except UsageError:
            continue
        if len(found) > 1 and all(matching.expressions.get(one) == made for one, made in found.items()):
            yield left, str(right), set(found)


def _with_wildcards(name: str, stands_for: Sequence[str]) -> str:
    """Return a name with a `*` for each of some parts, in order."""
    waiting, parts = list(stands_for), name.split(".")
    for i, part in enumerate(parts):
        if waiting and part == waiting[0]:
            parts[i] = "*"
            waiting.pop(0)
    return ".".join(parts)
