"""The rows of a layer table that reads at a glance: layers that repeat stand in one, under a glob.

A network of few layers is listed in full. Of any other the table starts with the modules that the network itself has;
then level by level what is inside of them is added, as long as the table stays short: the parts of a stage, the blocks
of which there are many in one row, the parts of such a block in a row for all. Layers that change nothing but values
are left out; so are norms, where there is no room for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from archcheck.spec.layer_keys import format_inner_key, format_layer_key, parse_layer_key
from archcheck.spec.tree import iter_leaves
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.patterns import dimension_names, format_pattern, infer_value
from archcheck.structure.records import CallRecord, StructureTrace, ValueRecord

ROWS_AT_MOST: Final = 25  # of a table that reads at a glance
OUTPUT_CHARS_AT_MOST: Final = 120  # of a row; what an output of more says can't be seen
PARTS_AT_MOST: Final = 2  # of each of several modules of one type: more would say the same again and again
CALLS_AT_MOST: Final = 8  # of a module whose calls differ: more of them would bury the table
_NUMBERED: Final = re.compile(r"(.*?)\d+")
_GENERIC: Final = ("Sequential", "ModuleList", "ModuleDict")  # their type says nothing of what is in them
_CHANGES_NOTHING, _NORMALIZES, _KEEPS_SHAPE, _CHANGES_SHAPE = range(4)  # what may be left out, in this order


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A row of a layer table: a key, the modules that it speaks of, and what they have in common; None where nothing.

    `output` is a pattern as `infer_value` returns it.
    """

    key: str
    names: tuple[str, ...]
    type_name: str | None
    output: Any
    num_params: int | None


@dataclass(slots=True, eq=False)
class _Group:
    """Modules that one row stands for, and the groups of their parts, as far as these are in the table."""

    key: str
    names: tuple[str, ...]
    level: int
    parts: list[_Group] = field(default_factory=list)
    is_hidden: bool = False


_Parts: TypeAlias = list[_Group]


def layer_rows(trace: StructureTrace) -> list[LayerRow]:
    """Return the rows of a table of about 25, in the order of execution."""
    table = _Table(trace)
    return table.rows(table.is_small)


def rows_of_level(trace: StructureTrace, depth: int) -> list[LayerRow]:
    """Return a row for every module that is called, down to `depth` levels, in the order of execution."""
    names = dict.fromkeys(call.name for call in trace.forwards[0].calls)
    return rows_of(trace, {format_layer_key(name): [name] for name in names if name and name.count(".") < depth})


def rows_of(trace: StructureTrace, names: Mapping[str, Sequence[str]]) -> list[LayerRow]:
    """Return the rows of modules that are called, by keys that speak of them, in the order of execution.

    A key of one module has a row for each call where these differ.
    """
    return _Table(trace).in_order([_Group(key, tuple(own), 1) for key, own in names.items()]) if names else []


class _Table:
    """The table while it grows."""

    def __init__(self, trace: StructureTrace) -> None:
        self._trace = trace
        self._dimensions = dimension_names(trace)
        self.calls: dict[str, list[CallRecord]] = {}
        self._entered: dict[tuple[str, int], int] = {}
        for position, call in enumerate(trace.forwards[0].calls):
            self.calls.setdefault(call.name, []).append(call)
            self._entered[(call.name, call.index)] = position
        self._seen = self._observations()
        self._kinds = self._kinds_by_module()
        self._inside = self._parts_by_module()
        self._known: dict[tuple[str, ...], LayerRow] = {}
        self._known_options: dict[tuple[str, ...], list[_Parts]] = {}
        self._least = _CHANGES_NOTHING

    @property
    def is_small(self) -> bool:
        """Return whether a row for every call makes no long table."""
        return len(self._trace.forwards[0].calls) - 1 <= ROWS_AT_MOST

    def rows(self, in_full: bool) -> list[LayerRow]:
        """Grow the table level by level, and return its rows; `in_full` with layers that change nothing."""
        self._least = _CHANGES_NOTHING if in_full else _NORMALIZES
        root = _Group("", ("",), 0)
        waiting = [root]
        while waiting:
            waiting.sort(key=lambda group: (group.level, self._is_called(group), self._least_rows(group)))
            batch = [one for one in waiting if self._is_of_one_kind(one, waiting[0])]
            waiting = [one for one in waiting if one not in batch]
            self._add_parts(root, batch)
            waiting += [part for one in batch for part in one.parts if self._has_parts(part)]
            self._hide_wrapped(batch)
        return self.in_order([one for one in _walk(root) if self._is_row(one)])

    def in_order(self, groups: Sequence[_Group]) -> list[LayerRow]:
        """Return the rows of groups in the order in which their first modules are entered."""
        found = [(self._entered[(one.names[0], call or 0)], self._row(one, call)) for one in groups
                 for call in self._calls_apart(one)]  # fmt: skip
        return [row for _, row in sorted(found, key=lambda pair: pair[0])]

    # ------------------------------------------------------------------------------------------ what was seen

    def _observations(self) -> dict[str, list[list[tuple[int, ValueRecord]]]]:
        """Return, by module and forward, the number of each call and what came out of it."""
        seen: dict[str, list[list[tuple[int, ValueRecord]]]] = {}
        for i, forward in enumerate(self._trace.forwards):
            for call in forward.calls:
                if call.output is not None:
                    seen.setdefault(call.name, [[] for _ in self._trace.forwards])[i].append((call.index, call.output))
        return seen

    def _parts_by_module(self) -> dict[str, list[str]]:
        """Return what is right inside each module and called, or around what is, in the order of execution."""
        inside: dict[str, dict[str, None]] = {}
        for name in self.calls:
            while name:
                parent = name.rpartition(".")[0]
                inside.setdefault(parent, {})[name] = None
                name = parent
        return {name: list(parts) for name, parts in inside.items()}

    def _kinds_by_module(self) -> dict[str, int]:
        """Return of each module whether its calls change the shape of what came out before them."""
        kinds: dict[str, int] = {}
        calls = [call for call in self._trace.forwards[0].calls if call.finished is not None]
        returned = sorted(calls, key=lambda call: call.finished or 0)
        position = {id(call): i for i, call in enumerate(returned)}
        for entered, call in enumerate(calls):
            end = position[id(call)]
            inside = next((i for i, one in enumerate(calls[entered + 1 :]) if position[id(one)] > end), None)
            first = end - (len(calls) - entered - 1 if inside is None else inside)
            kind = self._kind(call, returned[first - 1].output if first else None)
            kinds[call.name] = max(kind, kinds.get(call.name, kind))
        return kinds

    def _kind(self, call: CallRecord, before: ValueRecord | None) -> int:
        module = self._trace.modules[call.name]
        if module.type_name == "Identity" or module.type_name.startswith("Drop"):
            return _CHANGES_NOTHING  # whatever is done to a tensor between what came out before and them
        if call.output != before:
            return _CHANGES_SHAPE
        if not module.num_params:
            return _CHANGES_NOTHING
        return _NORMALIZES if "Norm" in module.type_name else _KEEPS_SHAPE

    # ------------------------------------------------------------------------------------------ rows

    def _row(self, group: _Group, call: int | None = None) -> LayerRow:
        if call is not None:
            key, output = format_layer_key(group.names[0], call), self._output(group.names, call)
            known = self._row(group)
            return LayerRow(key, group.names, known.type_name, output, known.num_params)
        if group.names not in self._known:
            modules = [self._trace.modules[name] for name in group.names]
            types, counts = {one.type_name for one in modules}, {one.num_params for one in modules}
            self._known[group.names] = LayerRow(
                group.key, group.names, types.pop() if len(types) == 1 else None, self._output(group.names),
                counts.pop() if len(counts) == 1 else None,
            )  # fmt: skip
        return self._known[group.names]

    def _output(self, names: Sequence[str], call: int | None = None) -> Any:
        """Return what all calls of some modules put out at all sizes, or one call of them; None where they differ."""
        seen: list[tuple[ValueRecord, int]] = []
        for name in names:
            for i, values in enumerate(self._seen.get(name, [])):
                new = [(value, i) for index, value in values if call in (None, index)]
                seen += [one for one in new if one not in seen]
                if not new:
                    return None
        sizes = [self._trace.forwards[i].sizes for _, i in seen]
        try:
            output = infer_value([value for value, _ in seen], sizes, self._dimensions) if seen else None
        except ValueError:
            return None
        if any(leaf is None for _, leaf in iter_leaves(output)):
            return None  # whether attention's weights come out is up to its implementation, for one
        return output if len(format_pattern(output)) <= OUTPUT_CHARS_AT_MOST else None

    def _calls_apart(self, group: _Group) -> list[int] | list[None]:
        """Return the calls of a module that have rows of their own, as their outputs differ; else [None]."""
        if len(group.names) > 1 or self._row(group).output is not None:
            return [None]
        calls = self.calls[group.names[0]]
        outputs = [self._output(group.names, call.index) for call in calls]
        is_apart = 1 < len(calls) <= CALLS_AT_MOST and any(output != outputs[0] for output in outputs)
        return [call.index for call in calls] if is_apart else [None]

    def _is_called(self, group: _Group) -> bool:
        return group.key != "" and all(name in self.calls for name in group.names)

    def _is_row(self, group: _Group) -> bool:
        return self._is_called(group) and not group.is_hidden and _says_something(self._row(group))

    def _num_rows(self, groups: Sequence[_Group]) -> int:
        """Count the rows of groups and of what is below them; of a container that's not called, what it'll take."""
        return sum(self._num_own_rows(one) for group in groups for one in _walk(group))

    def _num_own_rows(self, group: _Group) -> int:
        if self._is_row(group):
            return len(self._calls_apart(group))
        return 0 if group.parts or self._is_called(group) or not group.key else self._least_rows(group)

    def _least_rows(self, group: _Group) -> int:
        return min((self._num_rows(parts) for parts in self._options(group)), default=0)

    # ------------------------------------------------------------------------------------------ growing

    def _has_parts(self, group: _Group) -> bool:
        return any(self._inside.get(name) for name in group.names)

    def _is_of_one_kind(self, a: _Group, b: _Group) -> bool:
        return self._kind_of_group(a) == self._kind_of_group(b)

    def _kind_of_group(self, group: _Group) -> tuple[Any, ...]:
        return group.level, self._is_called(group), self._row(group).type_name

    def _add_parts(self, root: _Group, batch: Sequence[_Group]) -> None:
        """Add the parts of modules of one type, to all or to none of them; of mere containers to as many as can be."""
        replaced = sum(self._num_own_rows(one) for one in batch if not self._is_row(one))
        room = ROWS_AT_MOST - self._num_rows([root]) + replaced
        options = [self._options(group) for group in batch]
        for i in range(max(map(len, options))):
            chosen = [some[min(i, len(some) - 1)] if some else [] for some in options]
            counts = [self._num_rows(parts) for parts in chosen]
            if sum(counts) <= room and (self._may_differ(batch) or max(counts) <= PARTS_AT_MOST):
                for group, parts in zip(batch, chosen, strict=True):
                    group.parts = parts
                return
        if len(batch) > 1 and self._may_differ(batch):
            for group in sorted(batch, key=self._least_rows):
                self._add_parts(root, [group])
        elif batch[0] is root:
            root.parts = self._largest(options[0][-1])

    def _may_differ(self, batch: Sequence[_Group]) -> bool:
        """Return whether the modules of a batch have nothing in common but that they contain others."""
        return len(batch) == 1 or all(
            self._row(one).type_name in _GENERIC and not parse_layer_key(one.key).is_glob for one in batch
        )

    def _hide_wrapped(self, batch: Sequence[_Group]) -> None:
        """Hide what is all there is in a module, where it says nothing that the module itself doesn't."""
        for group in batch:
            if len(group.parts) == 1 and self._is_row(group):
                outer, inner = self._row(group), self._row(group.parts[0])
                is_same = outer.num_params == inner.num_params and outer.type_name not in _GENERIC
                says_less = inner.type_name in _GENERIC or is_same
                group.parts[0].is_hidden = says_less and inner.output == outer.output

    def _largest(self, parts: Sequence[_Group]) -> _Parts:
        """Return the parts with the most parameters: of a network that has too many parts for any table."""
        largest = sorted(parts, key=lambda one: -(self._row(one).num_params or 0))[:ROWS_AT_MOST]
        return [one for one in parts if one in largest]

    def _options(self, group: _Group) -> list[_Parts]:
        """Return how the parts of modules may be listed, from what says the most to what is shortest."""
        if group.names not in self._known_options:
            self._known_options[group.names] = list(self._find_options(group))
        return self._known_options[group.names]

    def _find_options(self, group: _Group) -> Iterator[_Parts]:
        named = self._parts_by_name(group)
        glob = self._in_one(group, named)
        row = None if glob is None else self._row(glob)
        if glob is not None and row is not None and row.type_name is not None and row.output is not None:
            yield [glob]
            return
        if self._least > _CHANGES_NOTHING and self._is_called(group):
            essential = self._without(named, _KEEPS_SHAPE)
            if len(essential) <= 1 and not any(map(self._has_parts, essential)):
                return  # a layer with its norm and activation: its own row says all
        is_flat = self._row(group).type_name in _GENERIC and len(group.names) == 1
        for level in range(self._least, _CHANGES_SHAPE + 1 if is_flat or not group.key else _CHANGES_SHAPE):
            yield self._without(named, level)
        if glob is not None:
            yield [glob]

    def _without(self, parts: Sequence[_Group], level: int) -> _Parts:
        """Return the parts without those that are of less weight than a level."""
        return [
            one
            for one in parts
            if min(level, _KEEPS_SHAPE if self._has_parts(one) else level)
            <= max(self._kinds.get(name, _CHANGES_SHAPE) for name in one.names)
        ]

    def _parts_by_name(self, group: _Group) -> _Parts:
        found: dict[str, list[str]] = {}
        for name in group.names:
            for part in self._inside.get(name, ()):
                found.setdefault(part.rpartition(".")[2], []).append(part)
        keys = {format_inner_key(group.key, part): names for part, names in found.items()}
        groups = [_Group(key, tuple(names), group.level + 1) for key, names in keys.items()]
        return [one for one in groups if self._is_exact(one)]

    def _in_one(self, group: _Group, named: Sequence[_Group]) -> _Group | None:
        """Return parts that are only numbered as one group under a glob; None where they're anything else."""
        if not _are_numbered([one.key.rpartition(".")[2] for one in named]):
            return None
        names = tuple(name for one in named for name in one.names)
        glob = _Group(f"{group.key}.*" if group.key else "*", names, group.level + 1)
        is_container = not any(name in self.calls for name in names)
        return glob if self._is_exact(glob) and (is_container or self._is_row(glob)) else None

    def _is_exact(self, group: _Group) -> bool:
        """Return whether a key speaks of the modules that it stands for and of no other."""
        return set(matching_modules(parse_layer_key(group.key), self._trace)) == set(group.names)


def _are_numbered(names: Sequence[str]) -> bool:
    """Return whether names are numbers, or a word with numbers behind it: 0, 1 or layer1, layer2, layer3."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    stems = {match[1] if match is not None else None for match in matches}
    return len(stems) == 1 and None not in stems and len(names) >= (2 if stems == {""} else 3)


def _walk(group: _Group) -> Iterator[_Group]:
    yield group
    for part in group.parts:
        yield from _walk(part)


def _says_something(row: LayerRow) -> bool:
    return row.output is not None or bool(row.num_params) or row.type_name not in (None, *_GENERIC)
