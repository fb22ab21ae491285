"""The search for what goes into a network: what is likely is tried, until the network takes it."""

from __future__ import annotations

import heapq
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any, Final, NamedTuple

from torch import nn

from archcheck.discovery.arguments import Argument, kind_of_name, optional_arguments, required_arguments
from archcheck.discovery.assumption import Assumption
from archcheck.discovery.configurations import assumptions_from_configuration
from archcheck.discovery.doubts import degenerate_shapes, doubts_about
from archcheck.discovery.hints import Hints, collect_hints
from archcheck.discovery.last_words import how_to_say
from archcheck.discovery.layers import Intake, intake_of, intakes
from archcheck.discovery.mends import alike_too, mended, num_named, without_image
from archcheck.discovery.proposals import Proposal, Surroundings, is_named_alike, proposals_for
from archcheck.discovery.refusal import describe_refusal
from archcheck.discovery.refused_sizes import is_asked_by_name, misses_argument, refused_sizes
from archcheck.discovery.trial import MAX_TRIALS, Attempt, Trials
from archcheck.discovery.value_tree import tensors_in, with_tensor
from archcheck.spec.input_option import format_input_options
from archcheck.spec.inputs import CONTAINERS
from archcheck.structure.crashes import describe_crash, find_size_mismatch
from archcheck.structure.records import Crash
from archcheck.text.words import listed

WIDE_ENOUGH: Final = 4  # pixels of the smallest image inside a network; narrower ones hide what a layer does
MIXES: Final = 10  # cost of an input whose examples aren't kept apart
_MAX_RANK: Final = 60
_RANK_OF_IMAGES: Final = 4
_RANK_OF_SEQUENCES: Final = 3
_SEQUENCES: Final = {"data": 99, "tokens": 99, "features": 99, "time": 99, "state": 2}  # choices that may have steps
_MAX_OF_NAME: Final = 12
_MAX_DEPTH: Final = 8  # of changes, one after the other
_MENDS_PER_PROPOSAL: Final = 3
_WITHOUT_LAYERS: Final = ("mask", "lengths", "whole", "number", "switch", "text", "object")  # kinds that none needs


@dataclass(order=True, slots=True)
class _Mend:
    """A changed input to try: first those of the input that got furthest, then those changed least."""

    num_calls_missing: int
    depth: int
    order: int
    assumption: Assumption = field(compare=False)


@dataclass(slots=True)
class Search:
    """The best input found so far, the attempt that failed furthest inside the network, and changes to try.

    mixes_steps: whether one got through whose examples were taken for steps. around: what changes are made from; None
    where refused inputs aren't to be changed. depths: how often those that are yielded were changed.
    """

    trials: Trials
    hints: Hints
    best: tuple[int, Assumption, Attempt] | None = None
    furthest: tuple[int, Assumption, Attempt] | None = None
    mixes_steps: bool = False
    around: Surroundings | None = None
    mends: list[_Mend] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    depths: dict[str, int] = field(default_factory=dict)
    order: Iterator[int] = field(default_factory=count)

    def offer(self, assumption: Assumption, is_likely: bool = False) -> Attempt | None:
        """Try an input, and keep it where it is the best so far. Returns how it went; None if it was tried before."""
        said = repr((assumption.value, assumption.sizes))
        if said in self.tried:
            return None
        self.tried.add(said)
        attempt = self.trials.attempt(assumption.value, assumption.sizes, is_likely=is_likely)
        if attempt.crash is None:
            self.mixes_steps |= self._takes_examples_for_steps(attempt)
            cost = MIXES * attempt.faults + (attempt.narrowest is not None and attempt.narrowest < WIDE_ENOUGH)
            cost += len(degenerate_shapes(assumption.value, self.trials.modules)) + attempt.goes_through_batch
            if self.best is None or cost < self.best[0]:
                doubts = dict.fromkeys(doubts_about(assumption.value, attempt, self.trials.modules))
                self.best = cost, replace(assumption, doubts=(*assumption.doubts, *doubts)), attempt
                self.trials.shorten()
        elif self.furthest is None or len(attempt.calls) > self.furthest[0]:
            self.furthest = len(attempt.calls), assumption, attempt
        depth = self.depths.get(said, 0)
        if self.around is not None and depth < _MAX_DEPTH:
            self._plan_mends(assumption, attempt, self.around, depth + 1)
        return attempt

    def _takes_examples_for_steps(self, attempt: Attempt) -> bool:
        """Return whether a layer of sequences got the batch first, or a cell one example after the other."""
        is_recurrent = any(isinstance(one, nn.RNNBase | nn.RNNCellBase) for one in self.trials.modules.values())
        return attempt.takes_length_first or (attempt.goes_through_batch and is_recurrent)

    def likeliest_mends(self, most: int = MAX_TRIALS) -> Iterator[Assumption]:
        """Yield the likeliest changes of inputs that were refused, those of such changes among them."""
        for _ in range(most):
            if not self.mends:
                return
            mend = heapq.heappop(self.mends)
            self.depths[repr((mend.assumption.value, mend.assumption.sizes))] = mend.depth
            yield mend.assumption

    def _plan_mends(self, refused: Assumption, attempt: Attempt, around: Surroundings, depth: int) -> None:
        if attempt.crash is None:
            values = [_with_length_first(refused.value)] if self._takes_examples_for_steps(attempt) else []
            changed = "the length before the batch"
        else:
            module = self.trials.modules.get(attempt.crash.module)
            intake = intake_of(attempt.crash.module, module) if module is not None else None
            values = [
                *(
                    each
                    for wanted in _features_in(attempt.crash.module, around)
                    for each in without_image(refused.value, wanted)
                ),
                *mended(refused.value, attempt.crash, intake, self.hints, lambda name: _values_of(name, around)),
            ]
            changed = "changed where it was refused"
        source = refused.source if changed in refused.source else f"{refused.source}, {changed}"
        values = [each for value in values for each in (alike_too(refused.value, value), value)]
        changes = [replace(refused, value=value) for value in values]
        if attempt.crash is not None:
            changes += _with_sizes_fixed(refused, attempt.crash)
            changes += _with_missing_part(refused, attempt.crash, around)
            changes += _with_part_for(intake, refused, attempt.crash, around)
            if misses_argument(attempt.crash.error):
                changes += (each for one in around.optional for each in _with_optional(refused, one, around))
        for change in changes:
            if repr((change.value, change.sizes)) not in self.tried:
                found = change if change.source != refused.source else replace(change, source=source)
                progress = len(attempt.calls) + num_named(refused.value)
                heapq.heappush(self.mends, _Mend(-progress, depth, next(self.order), found))

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

    nearest: the one that got furthest of those that got through nowhere. advice: what to write where none was found.
    """

    assumption: Assumption | None
    nearest: Assumption | None
    closest: str | None
    modules: Mapping[str, nn.Module]
    advice: str


def find_input(make: Callable[[], nn.Module], arguments: Mapping[str, Any]) -> Found:
    """Find out what goes into a network, by what it says of itself, and by what its layers take.

    `arguments` are those that it is built with, defaults included.

    Raises:
        BuildError: or whatever else `make()` raises.
    """
    with warnings.catch_warnings(action="ignore"):  # of tries, and of attributes that are read to see what is there
        return _found_in(Trials(make), arguments)


def _found_in(trials: Trials, arguments: Mapping[str, Any]) -> Found:
    search = Search(trials, collect_hints(trials.model, arguments))
    for steps in (_by_configuration, _by_layers):
        for assumption in steps(search):
            if search.is_settled or (trials.is_over and search.tried):
                break
            search.offer(assumption, is_likely=steps is _by_configuration)
        if search.best is not None and search.best[0] < MIXES:
            break
    nearest = None if search.furthest is None else search.furthest[1]
    best = None if search.best is None else _completed(search, *search.best)
    closest = search.describe_furthest()
    return Found(best, nearest, closest, trials.modules, _advice(search, closest))


# ---------------------------------------------------------------------------------------------- what may be left out


def _completed(search: Search, cost: int, found: Assumption, attempt: Attempt) -> Assumption:
    """Return an input that was found, with what may be left out and layers need that don't run without it."""
    if search.around is None:  # a library's configuration knows what it leaves out
        return found
    trials = search.trials
    left = _layers_left_out(trials, attempt)
    optional = [one for one in optional_arguments(trials.model) if one.kind not in _WITHOUT_LAYERS]
    if not left or not optional:
        return found
    trials.extend()
    for argument in _likeliest_for(optional, left):
        around = replace(_surroundings(search), layers=left)
        inner = Search(trials, search.hints, around=around)
        for further in _tried_in_turn(inner, _with_optional(found, argument, around)):
            tried = None if trials.is_over else inner.offer(further)
            if inner.best is not None and tried is inner.best[2] and inner.best[0] <= cost:
                now = _layers_left_out(trials, tried)
                if len(now) < len(left):
                    found, left = replace(further, doubts=inner.best[1].doubts), now
                    break
        if not left:
            break
    named = found.value if isinstance(found.value, dict) else {}
    missing = [one for one in optional if one.name not in named]
    if not left or not missing:
        return found
    return replace(found, doubts=(*found.doubts, _doubt_of_layers(left, missing, _surroundings(search))))


def _doubt_of_layers(left: Sequence[Intake], missing: Sequence[Argument], around: Surroundings) -> str:
    """Return which layers nothing goes through, which arguments may be for them, and an example of one."""
    [argument, *_] = _likeliest_for(missing, left)
    around = replace(around, layers=left, arguments=[*around.arguments, argument])
    example = format_input_options(
        {argument.name: next(one.value for one in proposals_for(argument, around) if one.value is not None)}
    )
    names = listed([one.name for one in left], 3)
    verb = "is" if len(left) == 1 else "are"
    return (
        f"{names} {verb} not called, and so not verified; an argument that may be left out may be for that "
        f"({listed([one.name for one in missing], 4)}): give all inputs by name, with one more such as {example}"
    )


def _layers_left_out(trials: Trials, attempt: Attempt) -> list[Intake]:
    """Return the layers that weren't called, except those whose weights are all of layers that were."""
    called, modules = {*attempt.calls}, trials.modules
    used = {id(param) for name, module in modules.items() if name in called for param in module._parameters.values()}
    left = ((one, {id(param) for param in modules[one.name].parameters()}) for one in intakes(modules))
    return [one for one, own in left if one.name not in called and not (own and own <= used)]


def _likeliest_for(optional: Sequence[Argument], layers: Sequence[Intake]) -> list[Argument]:
    """Return arguments in order, those first after which one of some layers is called."""
    return sorted(optional, key=lambda argument: not any(is_named_alike(argument, one.name) for one in layers))


def _tried_in_turn(search: Search, assumptions: Iterable[Assumption]) -> Iterator[Assumption]:
    """Yield inputs, and after each some of the likeliest changes of those that were refused."""
    for assumption in assumptions:
        yield assumption
        yield from search.likeliest_mends(_MENDS_PER_PROPOSAL)


def _features_in(module: str, around: Surroundings) -> Iterator[int]:
    """Yield how many features the first layer takes that takes features, a module's own or within it."""
    found = (one for one in around.layers if one.name == module or one.name.startswith(f"{module}."))
    yield from [one.size for one in found if one.what == "feature"][:1]


def _advice(search: Search, closest: str | None) -> str:
    """Return how to say what goes in, with the likeliest value of each argument as an example."""
    around = _surroundings(search) if search.around is None else search.around
    arguments = [replace(argument, by_name=len(around.arguments) > 1) for argument in around.arguments]
    values = [proposals_for(argument, around)[0] for argument in around.arguments]
    likeliest = _assumption(arguments, values)
    if len(arguments) > 1 and search.furthest is not None:
        likeliest = replace(search.furthest[1], value=_by_name(search.furthest[1].value, around))
    return how_to_say(arguments, likeliest.options, closest, is_refused=bool(search.tried))


def _surroundings(search: Search) -> Surroundings:
    trials = search.trials
    arguments, optional = required_arguments(trials.model), optional_arguments(trials.model)
    return Surroundings(arguments, intakes(trials.modules), trials.modules, search.hints, optional)


def _with_sizes_fixed(refused: Assumption, crash: Crash) -> Iterator[Assumption]:
    """Yield an input with the only size that a free dimension can have, where another was refused."""
    told = {int(number) for number in re.findall(r"\d+", crash.error)}
    wanted = [
        (name, expected)
        for actual, expected in refused_sizes(crash.error, None)
        for name, sizes in refused.sizes.items()
        if actual in sizes
    ]
    wanted += [(name, size) for name, sizes in refused.sizes.items() if told & {*sizes} for size in sizes]
    for name, size in wanted:
        others = {other: each for other, each in refused.sizes.items() if other != name}
        yield replace(refused, value=_with_number(refused.value, name, size), sizes=others)


def _with_missing_part(refused: Assumption, crash: Crash, around: Surroundings) -> Iterator[Assumption]:
    """Yield an input with what may be left out, where as many features are missing as that has: of edges, say."""
    told = find_size_mismatch(crash.error)
    leaves = [leaf for leaf in tensors_in(refused.value) if not leaf.is_whole and len(leaf.shape) > 1]
    if told is None or not leaves:
        return
    outer, missing = list(leaves[0].shape[:-1]), told.expected - told.actual
    for argument in around.optional if missing > 0 else ():
        if missing in around.hints.of(argument.name):
            values = _by_name(refused.value, around)
            for shape in ([*outer, missing], [*outer, outer[-1], missing]):
                yield replace(refused, value={**values, argument.name: shape})


def _with_part_for(
    intake: Intake | None, refused: Assumption, crash: Crash, around: Surroundings
) -> Iterator[Assumption]:
    """Yield an input with what may be left out, where a layer that is for it got something else: the image, say."""
    if intake is None or find_size_mismatch(crash.error) is None:
        return
    for argument in around.optional:
        if argument.kind not in _WITHOUT_LAYERS:
            changes = _with_optional(refused, argument, replace(around, layers=[intake]))
            yield from (each for each in changes if _has_size(each.value[argument.name], intake.size))


def _has_size(value: Any, size: int) -> bool:
    return any(size in leaf.shape for leaf in tensors_in(value))


def _with_number(value: Any, name: str, size: int) -> Any:
    """Return an input with a number for a free dimension, in shapes and bounds."""
    if isinstance(value, dict):
        return {key: _with_number(item, name, size) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_number(item, name, size) for item in value]
    return size if value == name else value


def _values_of(name: str, around: Surroundings) -> list[Any]:
    """Return what an input of a name may be, the likeliest first; nothing where a network has no place for it."""
    if around.hints.lacks(name):
        return [None]
    argument = Argument(name, kind_of_name(name))
    found = proposals_for(argument, replace(around, arguments=[argument]))
    return [proposal.value for proposal in found if not proposal.sizes][:_MAX_OF_NAME]


def _with_optional(found: Assumption, argument: Argument, around: Surroundings) -> Iterator[Assumption]:
    """Yield an input with one more of the arguments that may be left out, by name."""
    value = _by_name(found.value, around)
    if argument.name in value:
        return
    proposals = proposals_for(argument, replace(around, arguments=[*around.arguments, argument]))
    first = next(tensors_in(value), None)
    if argument.kind == "context" and first is not None and len(first.shape) == 2 and not first.is_whole:
        proposals.sort(key=lambda proposal: not _is_vector(proposal))  # beside a vector, no sequence
    for proposal in proposals[:_MAX_OF_NAME]:
        other = next(iter(value.values())) if proposal.value is None else proposal.value
        source = ", ".join(dict.fromkeys([found.source, *filter(None, [proposal.source])]))
        yield replace(
            found, value={**value, argument.name: other}, source=source, sizes={**found.sizes, **proposal.sizes}
        )


def _by_name(value: Any, around: Surroundings) -> dict[str, Any]:
    """Return an input as a map of the arguments."""
    if isinstance(value, dict) and "shape" not in value and not {*value} & {*CONTAINERS}:
        return value
    names = [one.name for one in around.arguments]
    values = value if len(names) > 1 or _is_list_of_arguments(value) else [value]
    return dict(zip(names, values, strict=False))


def _is_vector(proposal: Proposal) -> bool:
    return [len(leaf.shape) for leaf in tensors_in(proposal.value)] == [2]


def _is_list_of_arguments(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value)


def _with_length_first(value: Any) -> Any:
    """Return an input with the first two sizes of every sequence the other way round."""
    for leaf in tensors_in(value):
        first, *others = leaf.shape or (None,)
        if first == "B" and others and (len(others) == 2 or leaf.is_whole):
            value = with_tensor(value, replace(leaf, shape=(others[0], "B", *others[1:])))
    return value


def _by_configuration(search: Search) -> Iterator[Assumption]:
    for assumption in assumptions_from_configuration(search.trials.model):
        yield assumption
        if search.best is not None and search.best[1] is assumption:
            return  # what a network says of itself needs no second opinion


def _by_layers(search: Search) -> Iterator[Assumption]:
    around = _surroundings(search)
    arguments = around.arguments
    around = replace(around, layers=_first_called_first(search, around))
    search.around = around
    choices = [proposals_for(argument, around) for argument in arguments]
    combined = _combined(arguments, choices)
    yield from islice(combined, 1)
    yield from _all_sequences(arguments, choices, around)
    if len(arguments) > 1:
        yield from _at_places(search)
    for assumption in combined:
        yield assumption
        if len(arguments) > 1 or arguments[0].kind in ("map", "parts") or search.mixes_steps or _seems_a_map(search):
            yield from search.likeliest_mends(_MENDS_PER_PROPOSAL)
    yield from _between(search)
    yield from search.likeliest_mends()
    yield from _at_every_size(search)


def _all_sequences(
    arguments: Sequence[Argument], choices: Sequence[Sequence[Proposal]], around: Surroundings
) -> Iterator[Assumption]:
    """Yield an input of which all is a sequence that may be one, where a layer takes such; the length first, too."""
    if not around.is_sequential or len(arguments) == 1:
        return
    numbers = [_SEQUENCES.get(argument.kind, 0) for argument in arguments]
    found = [next(filter(_is_sequence, each[:number]), each[0]) for each, number in zip(choices, numbers, strict=True)]
    assumption = _assumption(arguments, found)
    yield assumption
    yield replace(assumption, value=_with_length_first(assumption.value), source=f"{assumption.source}, length first")


def _is_sequence(proposal: Proposal) -> bool:
    leaves = list(tensors_in(proposal.value))
    return (
        len(leaves) == 1 and leaves[0].shape[:1] == ("B",) and len(leaves[0].shape) == (2 if leaves[0].is_whole else 3)
    )


def _seems_a_map(search: Search) -> bool:
    """Return whether the input that got furthest was used as a map of tensors."""
    attempt = search.furthest[2] if search.furthest is not None else None
    return attempt is not None and attempt.crash is not None and is_asked_by_name(attempt.crash.error)


def _first_called_first(search: Search, around: Surroundings) -> Sequence[Intake]:
    """Put the layer first that the forward calls first, as far as a first attempt shows it."""
    names = {layer.name: layer for layer in around.layers}
    likeliest = _assumption(around.arguments, [proposals_for(one, around)[0] for one in around.arguments])
    calls = search.trials.attempt(likeliest.value, likeliest.sizes).calls
    first = next((names[call] for call in calls if call in names), None)
    return around.layers if first is None else [first, *(layer for layer in around.layers if layer is not first)]


# ---------------------------------------------------------------------------------------------- sizes between the usual


def _between(search: Search) -> Iterator[Assumption]:
    """Yield other sizes of the input that got furthest, as the layer that refused it says."""
    resized = _resizing(search)
    if resized is not None and search.furthest is not None:
        yield from _by_bisection(search, resized, search.furthest[2])


def _at_every_size(search: Search) -> Iterator[Assumption]:
    """Yield one size after the other of the input that got furthest."""
    resized = _resizing(search)
    if resized is not None:
        yield from (resized(side) for side in [*range(8, 260, 4), *range(2, 128), 1])


def _at_places(search: Search) -> Iterator[Assumption]:
    """Yield the input that got furthest with one step for each place of a table, or two behind a layer that strides."""
    resized = _resizing(search)
    if resized is not None:
        yield from (resized(stride * number) for number in search.hints.places for stride in (1, 2))


def _resizing(search: Search) -> Callable[[int], Assumption] | None:
    """Return what gives the input that got furthest another size: its sides, its length; None where it has none.

    Of several tensors it is the only image that is resized, or else the only sequence of features.
    """
    if search.furthest is None:
        return None
    furthest = search.furthest[1]
    leaves = list(tensors_in(furthest.value))
    ranks = [len(leaf.shape) for leaf in leaves]
    rank = _RANK_OF_IMAGES if _RANK_OF_IMAGES in ranks else _RANK_OF_SEQUENCES
    leaves = leaves if len(leaves) == 1 else [leaf for leaf in leaves if len(leaf.shape) == rank]
    if len(leaves) != 1 or len(leaves[0].shape) < 2 or leaves[0].rest:
        return None
    [leaf], shape = leaves, leaves[0].shape
    if not all(isinstance(size, int) for size in shape[1:]):
        return None
    places = [i for i in range(2, len(shape)) if len(shape) > 3 or i == len(shape) - 1] or [1]

    def resized(side: int) -> Assumption:
        other = tuple(side if i in places else size for i, size in enumerate(shape))
        return replace(furthest, value=with_tensor(furthest.value, replace(leaf, shape=other)))

    return resized


def _round_sides_near(side: int) -> list[int]:
    """Return the sides near one that an author would have chosen rather: layers that stride don't tell them apart."""
    near = range(max(side - 8, 1), side + 9)
    return [one for factor in (50, 32, 20, 16, 10, 8, 4, 2) for one in near if one % factor == 0]


def _by_bisection(search: Search, resized: Callable[[int], Assumption], attempt: Attempt) -> Iterator[Assumption]:
    """Yield sizes that approach the one at which a layer gets as many features as it was made for."""
    assert attempt.crash is not None
    layer, low, high = attempt.crash.module, 0, 20_000
    while high - low > 1 and not search.trials.is_over:
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
    by_name = any(argument.by_name for argument in arguments)
    if by_name or any(not isinstance(value, (list, dict)) for value in values):
        named = {argument.name: value for argument, value in zip(arguments, values, strict=True)}
        return Assumption(named, source, sizes)
    is_tensor = [leaf.keys for leaf in tensors_in(values[0])] == [()]
    return Assumption(values[0] if len(values) == 1 and is_tensor else values, source, sizes)
