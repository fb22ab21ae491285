"""What a network has and doesn't use any more: modules that nothing calls, parameters and constants that nothing takes.

Where one is put back, weights are used in another order: the network is built anew with it, by a hook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, Final

from torch import Tensor, nn

from archcheck.function.diagnosis.pass_notes import PassNotes, own_tensors
from archcheck.function.diagnosis.rebuilds import Modules, Rebuild
from archcheck.function.diagnosis.roles import seen_from

_NUMBER: Final = re.compile(r"\d+")
_AT_MOST: Final = 3  # modules, and tensors, that are put back, the nearest to where something differs first
_CONTAINERS: Final = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict, nn.Identity)

_Join = Callable[[Any, Any, Any], Any]  # of what is put back, what a module took and what goes into it or comes
_Unused = tuple[str, str]  # a module, and its tensor; or a module and nothing


def put_back(modules: Modules, notes: PassNotes, name: str) -> Iterator[Rebuild]:
    """Yield what isn't used in a pass of the whole network, put back where module `name` takes or gives something.

    It is put back at all places at once that lie to something unused as this one does.
    """
    makers = _makers_of_input(notes, name)
    for found, joins in (
        (list(_uncalled(modules, notes)), ((_applied, "applied to"), (_added, "applied around"))),
        (list(_unused_tensors(modules, notes)), ((_sum, "added to"), (_product, "times"))),
    ):
        for one in sorted(found, key=lambda it: _distance(name, it[0]))[:_AT_MOST]:
            for (join, word), place, is_before in product(joins, [name, *makers], (True, False)):
                if (join is not _added or not is_before) and (place == name or not is_before):
                    yield _rebuild(modules, found, one, place, (join, word), is_before=is_before)


def _rebuild(
    modules: Modules, found: Sequence[_Unused], one: _Unused, place: str, how: tuple[_Join, str], *, is_before: bool
) -> Rebuild:
    join, word = how
    role = (_NUMBER.sub("#", place), seen_from(place, one[0]), one[1])
    pairs = {one: place}  # each is put back once
    for name, other in product(modules, found):
        if (_NUMBER.sub("#", name), seen_from(name, other[0]), other[1]) == role:
            pairs.setdefault(other, name)
    what = f"{word} what {'goes into' if is_before else 'comes out of'} {place or 'the network'}"
    times = f" ({len(pairs)} times)" if len(pairs) > 1 else ""
    text = f"{'.'.join(filter(None, one))} is not used now, {what} when it was recorded{times}"
    return Rebuild(text, partial(_hook_all, pairs, join, is_before=is_before))


def _makers_of_input(notes: PassNotes, name: str) -> list[str]:
    """Return the modules that gave the very tensor that a module takes: others may take it, too."""
    taken = next((one.tensor for _, one in notes.sources if one.is_input and one.key[1] == name), None)
    return [str(one.key[1]) for _, one in notes.sources if one.key[0] == "out" and one.tensor is taken]


def _distance(name: str, other: str) -> int:
    seen = seen_from(name, other)
    return seen.count(".") + seen.count("^")


def _uncalled(modules: Modules, notes: PassNotes) -> Iterator[_Unused]:
    """Yield the modules that nothing calls, in one that is called or in a list of these."""
    for name, module in modules.items():
        parent = name.rpartition(".")[0]
        while parent not in notes.called and isinstance(modules.get(parent), _CONTAINERS):
            parent = parent.rpartition(".")[0]
        if name not in notes.called and parent in notes.called and not isinstance(module, _CONTAINERS):
            yield name, ""


def _unused_tensors(modules: Modules, notes: PassNotes) -> Iterator[_Unused]:
    """Yield the own tensors of modules that run, of real numbers, which no operation takes."""
    for name in (one for one in modules if one in notes.called):
        for key, value in own_tensors(modules[name]).items():
            if value.is_floating_point() and id(value) not in notes.taken:
                yield name, key


def _hook_all(pairs: Mapping[_Unused, str], join: _Join, modules: Modules, *, is_before: bool) -> None:
    for (owner, key), name in pairs.items():
        # An attribute is looked up when it's needed: the network is prepared, and its numbers are others then.
        get = partial(getattr, modules[owner], key) if key else partial(modules.__getitem__, owner)
        if is_before:
            modules[name].register_forward_pre_hook(partial(_change_input, join, get))
        else:
            modules[name].register_forward_hook(partial(_change_output, join, get))


def _change_input(join: _Join, get: Callable[[], Any], _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (join(get(), args[0], args[0]), *args[1:])


def _change_output(join: _Join, get: Callable[[], Any], _: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
    return join(get(), args[0], out)


def _applied(module: nn.Module, _: Any, value: Any) -> Any:
    return module(value)


def _added(module: nn.Module, taken: Any, value: Any) -> Any:
    return value + module(taken)


def _sum(tensor: Tensor, _: Any, value: Tensor) -> Tensor:
    return value + _fitted(tensor, value)


def _product(tensor: Tensor, _: Any, value: Tensor) -> Tensor:
    return value * _fitted(tensor, value)


def _fitted(tensor: Tensor, value: Tensor) -> Tensor:
    """Return a tensor such that it goes with a value: as it is, or cut to its sizes, or by channel."""
    if tensor.ndim == 1 and value.ndim > 2 and tensor.shape[0] == value.shape[1] != value.shape[-1]:
        return tensor.reshape(-1, *(1 for _ in value.shape[2:]))
    sizes = value.shape[max(0, value.ndim - tensor.ndim) :]
    return tensor[tuple(slice(size) for size in sizes)]
