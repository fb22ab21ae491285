"""Layers that a spec lists under names that they no longer have.

Where a key matches nothing, the outermost part of it that is no longer there is looked for under another name: among
the modules that no other key speaks of, one in which everything fits that the spec says of the old name and of what
was inside. Where the function is recorded, and is still the same, the digests must be those of the old name, too; else
it has to run in the old one's place. Where something inside is another as well, so that not even its own row fits, most
of what the spec says has to. What remains ambiguous is told, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

from archcheck.checks.shifted_layers import OTHER_LAYER, Misfit, find_shifts
from archcheck.findings import Change, Rename
from archcheck.spec.layer_keys import (
    format_inner_key,
    format_layer_key,
    format_prefixes,
    parse_layer_key,
)
from archcheck.spec.lock import LOCK
from archcheck.spec.models import Spec
from archcheck.structure.layer_pairing import call_label
from archcheck.structure.layer_selection import ROOT, matching_modules
from archcheck.structure.records import StructureTrace

AreSame = Callable[[str, str], bool]  # whether a recorded layer and one of now, by their labels, compute the same


@dataclass(frozen=True, slots=True)
class NewName:
    """The key by which a listed layer is found now, the changes that write it, and whether its function told so."""

    key: str
    changes: tuple[Change, ...]
    by_function: bool


@dataclass(slots=True)
class RenamedLayers:
    """The listed layers that have other names now, and those that may have one of several, by the keys of the spec.

    names: those that other names have now, which stand elsewhere in the spec. lost: the keys of those that nothing was
    found for, with the new names of what is around them.
    """

    found: dict[str, NewName] = field(default_factory=dict)
    ambiguous: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Another name for a part that is gone: its key, and what stands in the place of the old name's parts."""

    key: str
    module: str  # the first that has it
    kept: int  # how many of the old name's parts stay in front
    parts: tuple[str, ...]

    def new_name(self, old: str, num_parts: int) -> str:
        """Return a module's new name; `num_parts` is how many parts of the old one are replaced."""
        words = old.split(".")
        return ".".join([*words[: self.kept], *self.parts, *words[num_parts:]])


class RenameSearch:
    """The search for listed layers that match nothing under the names that they have now, the outermost parts first."""

    def __init__(
        self,
        spec: Spec,
        keys: Mapping[str, str],
        labels: Sequence[str],
        names: Sequence[str],
        trace: StructureTrace,
        misfit: Misfit,
        are_same: AreSame | None,
    ) -> None:
        """Take what is known.

        `keys` has the keys of the spec, with those that are known to have their place. `labels` are of the recorded
        layers, and `are_same` compares with them; None where there is no function, or another. `names` stand elsewhere
        in the spec.
        """
        self._spec, self._trace, self._misfit, self._are_same = spec, trace, misfit, are_same
        self._before = keys
        self._now = {text: self._as_read(text, key) for text, key in keys.items()}  # with what was found so far
        self._labels = labels
        self._label_now = {label: label for label in self._labels}
        self._name_now = dict(zip(names, names, strict=True))
        self._by_function: dict[str, bool] = {}
        self._recorded = {parse_layer_key(label).name for label in self._labels}  # names that are none of these are new
        self._taken_apart: set[str] = set()  # parts of names that are gone, and that nothing has the place of
        self._spoken_of: set[str] = set()  # modules that the spec lists by names that they still have
        self._entered: dict[str, int] = {}
        for position, call in enumerate(trace.forwards[0].calls):
            self._entered.setdefault(call.name, position)

    def run(self) -> RenamedLayers:
        """Return what was found."""
        result = RenamedLayers()
        tried: set[str] = set()
        while groups := {gone: keys for gone, keys in self._gone().items() if gone not in tried}:
            tried |= groups.keys()
            named = [key for key in map(parse_layer_key, self._now.values()) if not key.is_glob]
            self._spoken_of = {name for key in named for name in matching_modules(key, self._trace)}
            candidates = {gone: self._candidates(gone, keys) for gone, keys in groups.items()}
            self._taken_apart |= {gone for gone, several in candidates.items() if not several}
            for gone, chosen in self._chosen(candidates).items():
                self._rename(gone, groups[gone], chosen)
            for gone, several in candidates.items():
                if len(several) > 1 and gone in self._gone():
                    result.ambiguous |= {text: [one.key for one in several] for text in groups[gone]}
        labels = self._renamed_labels()
        for text, now in self._now.items():
            if now != self._before[text] and matching_modules(parse_layer_key(now), self._trace):
                changes = (Rename(("layers", text), now), *labels)
                result.found[text] = NewName(now, changes, self._by_function.get(text, False))
                result.ambiguous.pop(text, None)
            elif text not in result.ambiguous:
                result.lost[text] = now
        result.names = self._name_now
        return result

    def _as_read(self, text: str, key: str) -> str:
        """Return a key such that it speaks of the module of that name, where it was read as a call or a glob."""
        exact = format_layer_key(key)
        is_misread = key in self._trace.modules and not matching_modules(parse_layer_key(key), self._trace)
        return exact if is_misread and not self._misfit(exact, self._spec.layers[text]) else key

    def _gone(self) -> dict[str, list[str]]:
        """Return the outermost parts of names that are gone, with the keys of the spec that have them.

        Where nothing has the place of such a part, what was inside of it is looked for by itself.
        """
        gone: dict[str, list[str]] = {}
        for text, now in self._now.items():
            key = parse_layer_key(now)
            if not matching_modules(key, self._trace):
                prefixes = format_prefixes(key)
                missing = [one for one in prefixes if not matching_modules(parse_layer_key(one), self._trace)]
                first = next((one for one in missing if one not in self._taken_apart), missing[-1])
                gone.setdefault(first, []).append(text)
        return gone

    # ------------------------------------------------------------------------------------------ candidates

    def _candidates(self, gone: str, keys: Sequence[str]) -> list[_Candidate]:
        """Return the other names that fit, in the order of execution."""
        names = list(self._other_names(gone))
        scores = [self._score(gone, keys, one) for one in names]
        if not any(scores) and not self._labels_of(gone):
            names = [one for one in names if _is_beside(one, gone) and not self._is_taken(gone, one)]
            scores = [self._score_of_most(gone, keys, one) for one in names]
        best = max(scores, default=0)
        fitting = [one for score, one in zip(scores, names, strict=True) if score == best and best > 0]
        if not self._labels_of(gone):
            in_place = [one for one in fitting if self._is_in_place(keys, one)]
            beside = [one for one in in_place if _is_beside(one, gone)]
            fitting = beside or (in_place if best == len(keys) and self._tells_parameters(keys) else [])
        level = gone.count(".")
        near = [one for one in fitting if one.key.count(".") == level] or fitting
        return sorted(near, key=lambda one: self._position(one.module))

    def _other_names(self, gone: str) -> Iterator[_Candidate]:
        if "**" in gone or parse_layer_key(gone.rpartition(".")[2]).is_glob:
            return
        around = format_prefixes(parse_layer_key(gone))[:-1]
        parents = (one for one in reversed(around) if matching_modules(parse_layer_key(one), self._trace))
        parent = next(parents, "")
        if parse_layer_key(parent).is_glob:
            for path, first in self._paths_inside(matching_modules(parse_layer_key(parent), self._trace)).items():
                parts = tuple(path.split("."))
                yield _Candidate(reduce(format_inner_key, parts, parent), first, parent.count(".") + 1, parts)
        else:
            for name in self._trace.modules:
                if name != ROOT:
                    yield _Candidate(format_layer_key(name), name, 0, tuple(name.split(".")))

    def _paths_inside(self, around: Sequence[str]) -> dict[str, str]:
        """Return what lies inside of some modules, by the path from there, each with the first that has it."""
        found: dict[str, str] = {}
        for name in self._trace.modules:
            for outer in (one for one in around if name.startswith(f"{one}.")):
                found.setdefault(name.removeprefix(f"{outer}."), name)
        return found

    def _score(self, gone: str, keys: Sequence[str], one: _Candidate) -> int:
        """Return how much of what the spec says fits another name; 0 where it can't be meant."""
        if self._is_taken(gone, one):
            return 0
        moved = {text: self._moved(self._now[text], gone, one) for text in keys}
        fitting = [text for text, now in moved.items() if not self._misfit(now, self._spec.layers[text])]
        if not fitting or not set(self._own(gone, keys)) <= set(fitting):
            return 0
        labels = self._labels_of(gone)
        same = [label for label in labels if self._computes_the_same(label, gone, one)]
        needed = [label for label in labels if parse_layer_key(label).name.count(".") == gone.count(".")]
        if not set(needed) <= set(same) or (labels and not same):
            return 0
        return len(fitting) + len(same)

    def _score_of_most(self, gone: str, keys: Sequence[str], one: _Candidate) -> int:
        """Return how much fits another name of a part in which something is another; 0 where that isn't most of it."""
        layers = {text: self._spec.layers[text] for text in keys}
        now = {text: self._moved(self._now[text], gone, one) for text in keys}
        own = self._own(gone, keys)
        if any(self._misfit(now[text], layers[text]) >= OTHER_LAYER for text in own):
            return 0
        for shift in find_shifts(layers, now, (), self._trace, self._misfit):
            now |= shift.moved
        misfits = {text: self._misfit(now[text], layers[text]) for text in keys}
        if all(misfits[text] for text in keys if text not in own):
            return 0
        most = OTHER_LAYER * len(misfits)
        score = most - sum(misfits.values())
        return score if 2 * score > most else 0

    def _tells_parameters(self, keys: Sequence[str]) -> bool:
        """Return whether the spec says how many parameters something has: few others have as many."""
        return any(self._spec.layers[text].parameters for text in keys)

    def _is_taken(self, gone: str, one: _Candidate) -> bool:
        if one.module in self._spoken_of or one.key in self._now.values():
            return True
        return one.module in self._recorded and self._is_recorded(gone)

    def _own(self, gone: str, keys: Sequence[str]) -> list[str]:
        """Return the rows of what's gone itself, and not of what is inside."""
        return [text for text in keys if parse_layer_key(self._now[text]).pattern == parse_layer_key(gone).pattern]

    def _labels_of(self, gone: str) -> list[str]:
        """Return the recorded layers of what's gone, where the function tells which they are."""
        if self._are_same is None:
            return []
        return [label for label in self._labels if _is_below(self._label_now[label], gone)]

    def _is_recorded(self, gone: str) -> bool:
        """Return whether what's gone was recorded; else the lock may be ahead of the spec, and has its new name."""
        return any(_is_below(self._label_now[label], gone) for label in self._labels)

    def _computes_the_same(self, label: str, gone: str, one: _Candidate) -> bool:
        assert self._are_same is not None
        return self._are_same(label, self._moved(self._label_now[label], gone, one))

    def _moved(self, text: str, gone: str, one: _Candidate) -> str:
        """Return a key with the new name in the place of the one that's gone."""
        key = parse_layer_key(text)
        num_parts = gone.count(".") + 1
        rest = key.pattern.split(".")[num_parts:]
        if one.kept and not key.is_glob:
            return format_layer_key(one.new_name(key.name, num_parts), key.call)
        call = "" if key.call is None else f"[{key.call}]"
        return ".".join([one.key, *rest]) + call

    def _is_in_place(self, keys: Sequence[str], one: _Candidate) -> bool:
        """Return whether a module runs between those that the spec lists around the old name, where it has an order."""
        texts = list(self._now)
        places = [(i, self._place(self._now[text])) for i, text in enumerate(texts) if text not in keys]
        known = [(i, place) for i, place in places if place is not None]
        if any(a[1] > b[1] for a, b in pairwise(known)):
            return True
        here, position = texts.index(keys[0]), self._position(one.module)
        return all(place <= position if i < here else place >= position for i, place in known)

    def _place(self, text: str) -> int | None:
        names = matching_modules(parse_layer_key(text), self._trace)
        entered = [self._position(name) for name in names]
        return min(entered, default=None)

    def _position(self, name: str) -> int:
        """Return when a module is entered; one that isn't, when the first inside of it is."""
        inside = [position for other, position in self._entered.items() if other.startswith(f"{name}.")]
        return self._entered.get(name, min(inside, default=len(self._entered)))

    # ------------------------------------------------------------------------------------------ choosing

    def _chosen(self, candidates: Mapping[str, list[_Candidate]]) -> dict[str, _Candidate]:
        """Choose where there is one candidate, or one each for as many names as are gone, in their order."""
        chosen: dict[str, _Candidate] = {}
        for gone, several in candidates.items():
            rivals = [other for other, theirs in candidates.items() if _keys(theirs) & _keys(several)]
            if (
                several
                and len(rivals) == len(several)
                and all(_keys(candidates[one]) == _keys(several) for one in rivals)
            ):
                chosen[gone] = several[rivals.index(gone)]
        return chosen

    def _rename(self, gone: str, keys: Sequence[str], one: _Candidate) -> None:
        by_function = bool(self._labels_of(gone))
        for text in keys:
            self._now[text] = self._moved(self._now[text], gone, one)
            self._by_function[text] = self._by_function.get(text, True) and by_function
        for now_by_old in (self._label_now, self._name_now):
            below = {old: now for old, now in now_by_old.items() if _is_below(now, gone)}
            now_by_old |= {old: self._moved(now, gone, one) for old, now in below.items()}

    def _renamed_labels(self) -> list[Change]:
        """Return the renames of recorded layers: of those below what has another name, and of those told by digest."""
        lost = [label for label, new in self._label_now.items() if not self._is_there(new)]
        found = {label: new for label, new in self._label_now.items() if label not in lost} | self._by_digest(lost)
        return [Rename((LOCK, "function", "layers", label), new) for label, new in found.items() if label != new]

    def _is_there(self, label: str) -> bool:
        return bool(matching_modules(parse_layer_key(label), self._trace))

    def _by_digest(self, lost: Sequence[str]) -> dict[str, str]:
        """Pair recorded layers that are in no row with those that compute the same at the same depth, in order."""
        if self._are_same is None or not lost:
            return {}
        times = self._trace.forwards[0].num_calls()
        calls = self._trace.forwards[0].calls
        free = dict.fromkeys(call_label(call.name, call.index, times[call.name]) for call in calls if call.name)
        found: dict[str, str] = {}
        for label in lost:
            level = self._label_now[label].count(".")
            known = {*self._label_now.values(), *found.values()}
            same = (one for one in free if one not in known and one.count(".") == level and self._are_same(label, one))
            new = next(same, None)
            found |= {label: new} if new is not None else {}
        return found


def _is_beside(one: _Candidate, gone: str) -> bool:
    """Return whether another name has the same place or the same last part."""
    old, new = gone.rpartition("."), one.key.rpartition(".")
    return old[0] == new[0] or old[2] == new[2]


def _is_below(label: str, gone: str) -> bool:
    """Return whether a layer is one that a key speaks of, or inside of it."""
    words = parse_layer_key(label).name.split(".")
    return parse_layer_key(gone).matches(".".join(words[: gone.count(".") + 1]))


def _keys(candidates: Sequence[_Candidate]) -> set[str]:
    return {one.key for one in candidates}
