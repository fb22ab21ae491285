"""The search for what goes into a network: what is likely is tried, until the network takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from torch import nn

from archcheck.discovery.arguments import Argument, required_arguments
from archcheck.discovery.assumption import Assumption
from archcheck.discovery.configurations import assumptions_from_configuration
from archcheck.discovery.hints import Hints, collect_hints
from archcheck.discovery.layers import Intake, intakes
from archcheck.discovery.proposals import Proposal, Surroundings, proposals_for
from archcheck.discovery.refusal import describe_refusal
from archcheck.discovery.trial import Attempt, Trials
from archcheck.structure.crashes import describe_crash, find_size_mismatch

WIDE_ENOUGH: Final = 4  # pixels of the smallest image inside a network; narrower ones hide what a layer does
MIXES: Final = 10  # cost of an input whose examples aren't kept apart
_MAX_RANK: Final = 60


@dataclass(slots=True)
class Search:
    """The best input found so far, and the attempt that failed furthest inside the network."""

    trials: Trials
    hints: Hints
    best: tuple[int, Assumption] | None = None
    furthest: tuple[int, Assumption, Attempt] | None = None

    def offer(self, assumption: Assumption, is_likely: bool) -> None:
        """Try an input, and keep it where it is the best so far."""
        attempt = self.trials.attempt(assumption.value, assumption.sizes, is_likely=is_likely)
        if attempt.crash is None:
            cost = MIXES * attempt.faults + (attempt.narrowest is not None and attempt.narrowest < WIDE_ENOUGH)
            if self.best is None or cost < self.best[0]:
                self.best = cost, assumption
                self.trials.shorten()
        elif self.furthest is None or len(attempt.calls) > self.furthest[0]:
            self.furthest = len(attempt.calls), assumption, attempt

    def describe_furthest(self) -> str | None:
        """Return how far the input got that got furthest, and why it stopped there."""
        if self.furthest is None:
            return None
        _, assumption, attempt = self.furthest
        assert attempt.crash is not None
        refusal = describe_refusal(attempt.crash, self.trials.modules.get(attempt.crash.module))
        return f"{assumption.options} stopped at {refusal or describe_crash(attempt.crash)}"

    @property
    def is_settled(self) -> bool:
        """Return whether nothing better can be found."""
        return self.best is not None and self.best[0] == 0


class Found(NamedTuple):
    """What a search has found: an input, or else how far the best of those tried got; and the network's modules.

    nearest: the one that got furthest of those that got through nowhere.
    """

    assumption: Assumption | None
    nearest: Assumption | None
    closest: str | None
    modules: Mapping[str, nn.Module]


def find_input(make: Callable[[], nn.Module], arguments: Mapping[str, Any]) -> Found:
    """Find out what goes into a network, by what it says of itself, and by what its layers take.

    `arguments` are those that it is built with, defaults included.

    Raises:
        BuildError: or whatever else `make()` raises.
    """
    trials = Trials(make)
    search = Search(trials, collect_hints(trials.model, arguments))
    for steps in (_by_configuration, _by_layers):
        for assumption in steps(search):
            if search.is_settled or trials.is_over:
                break
            search.offer(assumption, is_likely=steps is _by_configuration)
        if search.best is not None and search.best[0] < MIXES:
            break
    nearest = None if search.furthest is None else search.furthest[1]
    best = None if search.best is None else search.best[1]
    return Found(best, nearest, search.describe_furthest(), trials.modules)


def _by_configuration(search: Search) -> Iterator[Assumption]:
    for assumption in assumptions_from_configuration(search.trials.model):
        yield assumption
        if search.best is not None and search.best[1] is assumption:
            return  # what a network says of itself needs no second opinion


def _by_layers(search: Search) -> Iterator[Assumption]:
    trials = search.trials
    arguments = required_arguments(trials.model)
    around = Surroundings(arguments, intakes(trials.modules), trials.modules, search.hints)
    around = replace(around, layers=_first_called_first(search, around))
    yield from _combined(arguments, [proposals_for(argument, around) for argument in arguments])
    yield from _between(search)


def _first_called_first(search: Search, around: Surroundings) -> Sequence[Intake]:
    """Put the layer first that the forward calls first, as far as a first attempt shows it."""
    names = {layer.name: layer for layer in around.layers}
    likeliest = _assumption(around.arguments, [proposals_for(one, around)[0] for one in around.arguments])
    calls = search.trials.attempt(likeliest.value, likeliest.sizes).calls
    first = next((names[call] for call in calls if call in names), None)
    return around.layers if first is None else [first, *(layer for layer in around.layers if layer is not first)]


# ---------------------------------------------------------------------------------------------- sizes between the usual


def _between(search: Search) -> Iterator[Assumption]:
    """Yield other sizes of the input that got furthest, as the layer that refused it says, or one after another."""
    if search.furthest is None or not isinstance(search.furthest[1].value, list):
        return
    _, furthest, attempt = search.furthest
    shape = furthest.value
    if len(shape) < 2 or not all(isinstance(size, int) for size in shape[1:]):
        return
    places = [i for i in range(2, len(shape)) if len(shape) > 3 or i == len(shape) - 1] or [1]

    def resized(side: int) -> Assumption:
        return replace(furthest, value=[side if i in places else size for i, size in enumerate(shape)])

    yield from _by_bisection(search, resized, attempt)
    yield from (resized(side) for side in [*range(8, 260, 4), *range(2, 128), 1])


def _round_sides_near(side: int) -> list[int]:
    """Return the sides near one that an author would have chosen rather: layers that stride don't tell them apart."""
    near = range(max(side - 8, 1), side + 9)
    return [one for factor in (50, 32, 20, 16, 10, 8, 4, 2) for one in near if one % factor == 0]


def _by_bisection(search: Search, resized: Callable[[int], Assumption], attempt: Attempt) -> Iterator[Assumption]:
    """Yield sizes that approach the one at which a layer gets as many features as it was made for."""
    assert attempt.crash is not None
    layer, low, high = attempt.crash.module, 0, 20_000
    while high - low > 1:
        side = min((low + high) // 2, 4 * low + 64)
        tried = search.trials.attempt(resized(side).value)
        found = find_size_mismatch(tried.crash.error) if tried.crash is not None else None
        if tried.crash is None:
            yield from map(resized, _round_sides_near(side))
            yield resized(side)
            return
        if found is not None and tried.crash.module == layer and found.actual > found.expected:
            high = side
        else:
            low = side


def _combined(arguments: Sequence[Argument], choices: Sequence[Sequence[Proposal]]) -> Iterator[Assumption]:
    """Yield every combination of the arguments' values, those of the likeliest values first."""
    if len(choices) == 1:
        yield from (_assumption(arguments, [proposal]) for proposal in choices[0])
        return
    for rank in range(_MAX_RANK):
        for indices in _with_sum(rank, [len(each) for each in choices]):
            yield _assumption(arguments, [each[i] for each, i in zip(choices, indices, strict=True)])


def _with_sum(total: int, lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the indices, each below its length, that have a sum."""
    if len(lengths) == 1:
        if total < lengths[0]:
            yield (total,)
        return
    for first in range(min(total + 1, lengths[0])):
        for rest in _with_sum(total - first, lengths[1:]):
            yield first, *rest


def _assumption(arguments: Sequence[Argument], proposals: Sequence[Proposal]) -> Assumption:
    """Return an input of one value for each argument: by position, by name where one is no tensor."""
    filled = [proposals[0] if proposal.value is None else proposal for proposal in proposals]
    values = [proposal.value for proposal in filled]
    sizes = {name: each for proposal in filled for name, each in proposal.sizes.items()}
    source = ", ".join(dict.fromkeys(proposal.source for proposal in filled))
    if any(not isinstance(value, (list, dict)) for value in values):
        named = {argument.name: value for argument, value in zip(arguments, values, strict=True)}
        return Assumption(named, source, sizes)
    is_list = isinstance(values[0], list) and any(isinstance(item, list) for item in values[0])
    return Assumption(values[0] if len(values) == 1 and not is_list else values, source, sizes)
