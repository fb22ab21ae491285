"""What a spec says of another build's weights, held against the parameters that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from archcheck.errors import UsageError
from archcheck.findings import Keys, Mismatch
from archcheck.function.fingerprint.derived_weights import evaluate, fits
from archcheck.function.fingerprint.given_weights import WEIGHT, GivenWeights, keys_by_group
from archcheck.function.records import FunctionRecord
from archcheck.spec.weight_expressions import (
    WILDCARD,
    WeightExpression,
    WeightName,
    fill_wildcards,
    functions_in,
    names_in,
    parse_weight_expression,
    wildcard_pattern,
    with_names,
)
from archcheck.text.words import did_you_mean

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class WeightMatching:
    """What the parameters of another build are made of, each by its name; the names in it are this network's.

    Buffers may be among them, renamed.
    """

    expressions: Mapping[str, WeightExpression] = field(default_factory=dict)

    @property
    def sources(self) -> set[str]:
        """The names of the weights that others are made of."""
        return {name for expression in self.expressions.values() for name in names_in(expression)}

    @property
    def parted(self) -> set[str]:
        """The names of weights of both networks that are parts of others, or made of several."""
        made = {name: one for name, one in self.expressions.items() if functions_in(one) & {"concat", "split"}}
        return made.keys() | {name for one in made.values() for name in names_in(one)}

    def partly_used(self, ours: FunctionRecord) -> list[str]:
        """Return the names of weights of which something is made, but not of all their numbers."""
        marks = {name: torch.zeros(ours.shapes[name], dtype=torch.bool) for name in self.sources & ours.shapes.keys()}
        places = {name: torch.arange(one.numel()).reshape(one.shape) for name, one in marks.items()}
        for expression in self.expressions.values():
            for name in set(names_in(expression)) & marks.keys():
                alone = {one: place if one == name else torch.full_like(place, -1) for one, place in places.items()}
                found = evaluate(expression, alone, torch.empty((), dtype=torch.int64)).flatten()
                marks[name].view(-1)[found[found >= 0]] = True
        return [name for name, mark in marks.items() if not bool(mark.all())]

    def given(self, ours: FunctionRecord) -> GivenWeights:
        """Return the weights of a record as those of the other build; what isn't matched by name keeps its order."""
        used = [name for expression in self.expressions.values() for name in names_in(expression)]
        once = {name for name in used if used.count(name) == 1} if len(used) > len(set(used)) else set(used)
        renamed = {
            name: expression.name
            for name, expression in self.expressions.items()
            if isinstance(expression, WeightName) and expression.name in once
        }
        derived = {name: one for name, one in self.expressions.items() if name not in renamed}
        sources = {name for expression in derived.values() for name in names_in(expression)}
        others = (key for name, key in ours.weights.items() if name not in set(used) and key.startswith(WEIGHT))
        return GivenWeights(
            {name: ours.filled[source] for name, source in renamed.items()},
            derived,
            {name: (ours.weights[name], ours.shapes[name]) for name in ours.weights if name in sources},
            keys_by_group(others),
        )


def match_weights(
    weights: Mapping[str, str], ours: FunctionRecord, theirs: Shapes, place: Keys
) -> tuple[WeightMatching, list[Mismatch]]:
    """Return what the other build's parameters are made of, and what is wrong in the map `weights` at `place`.

    `theirs` has the shapes of the other build's parameters.
    """
    found: dict[str, WeightExpression] = {}
    by: dict[str, str] = {}
    problems = []
    for left, text in weights.items():
        try:
            for name, expression in resolve_line(left, parse_weight_expression(text), ours, theirs):
                if name in by:
                    raise UsageError(f"{name} is given twice, by {by[name]} as well")
                found[name], by[name] = expression, left
        except UsageError as error:
            problems.append(Mismatch((*place, left), left, str(error)))
    return WeightMatching(found), problems


def resolve_line(
    left: str, expression: WeightExpression, ours: FunctionRecord, theirs: Shapes
) -> Iterator[tuple[str, WeightExpression]]:
    """Yield the parameters that a line speaks of, with what they're made of.

    Raises:
        UsageError: there is no such parameter, or the shapes don't fit.
    """
    targets = list(_matches(left, theirs))
    if not targets:
        close = "" if WILDCARD.search(left) else did_you_mean(left, theirs)
        raise UsageError(f"the other build has no such parameter{close}")
    for name, parts in targets:
        filled = with_names(expression, partial(_known_name, parts=parts, ours=ours))
        _check_shape(name, filled, ours, theirs[name])
        yield name, filled


def _matches(left: str, names: Shapes) -> Iterator[tuple[str, tuple[str, ...]]]:
    if left in names:
        yield left, ()
        return
    pattern: re.Pattern[str] = wildcard_pattern(left)
    for name in names:
        match = pattern.fullmatch(name)
        if match is not None:
            yield name, match.groups()


def _known_name(pattern: str, parts: Sequence[str], ours: FunctionRecord) -> str:
    """Return the name of a weight in the record, with what the wildcards of the left stand for.

    Raises:
        UsageError: there's none, or it has no numbers of its own.
    """
    name = fill_wildcards(pattern, parts)
    known = ours.tied.get(name, name)
    if known not in ours.weights:
        if WILDCARD.search(name):
            raise UsageError(f"{name} has more wildcards than stand on the left")
        raise UsageError(f"this network has no parameter {name}{did_you_mean(name, [*ours.weights, *ours.tied])}")
    if not ours.weights[known].startswith(WEIGHT):
        raise UsageError(f"{name} is a constant that keeps its value: nothing can be made of it")
    return known


def _check_shape(name: str, expression: WeightExpression, ours: FunctionRecord, shape: tuple[int, ...]) -> None:
    made = _shape_of(expression, ours)
    if not fits(made, shape):
        raise UsageError(f"{name} has the shape {list(shape)}, and {expression} has {list(made)}")


def _shape_of(expression: WeightExpression, ours: FunctionRecord) -> tuple[int, ...]:
    with torch.device("meta"):
        weights = {one: torch.empty(ours.shapes[one]) for one in names_in(expression)}
        return tuple(evaluate(expression, weights, torch.empty(())).shape)


def fits_shape(expression: WeightExpression, ours: FunctionRecord, shape: tuple[int, ...]) -> bool:
    """Return whether an expression can be computed and has a shape, but for sizes of 1."""
    try:
        return fits(_shape_of(expression, ours), shape)
    except UsageError:
        return False
