"""The kinds of components that a recipe names: where torch has them, and whether it takes their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.loss import _Loss

from archcheck.errors import BuildError
from archcheck.findings import Keys, Mismatch
from archcheck.network.annotations import annotations_of
from archcheck.network.call_arguments import check_arguments
from archcheck.spec.models import Named
from archcheck.text.words import clip, did_you_mean
from archcheck.text.yaml_flow import format_flow


@dataclass(frozen=True, slots=True)
class ComponentKind:
    """A kind of component, and where torch has those of that kind.

    module: torch's module of them. base: their base class; None for functions.
    suffix: ends the name in torch (`xavier_uniform_`); a spec need not write it.
    num_given: how many first arguments archcheck gives rather than the spec: the parameters, the optimizer, the weight.
    """

    module: Any
    base: type | None = None
    suffix: str = ""
    num_given: int = 1

    def find(self, name: str) -> Callable[..., Any] | None:
        """Return the class or function of this name; None where torch has none of this kind."""
        found = getattr(self.module, self.name_in_torch(name), None) if not name.startswith("_") else None
        if self.base is None:
            return found if callable(found) else None
        return found if isinstance(found, type) and issubclass(found, self.base) and found is not self.base else None

    def name_in_torch(self, name: str) -> str:
        """Return a name with the suffix, which a spec may leave out or write."""
        return name.removesuffix(self.suffix) + self.suffix

    def names(self) -> list[str]:
        """List the names of this kind, as a spec writes them."""
        known = (name.removesuffix(self.suffix) for name in vars(self.module) if name.endswith(self.suffix))
        return [name for name in known if self.find(name) is not None]


COMPONENT_KINDS = {
    "optimizer": ComponentKind(torch.optim, torch.optim.Optimizer),
    "scheduler": ComponentKind(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
    "loss": ComponentKind(nn, _Loss, num_given=0),
    "init": ComponentKind(nn.init, suffix="_"),
}


def component_arguments(named: Named) -> dict[str, Any]:
    """Return the arguments that a spec gives a component."""
    return dict(named.model_extra or {})


def check_component(key: str, keys: Keys, named: Named) -> Iterator[Mismatch]:
    """Check that torch has a component of the kind `key` and that it takes its arguments.

    keys: its place in the spec.
    """
    kind = COMPONENT_KINDS[key]
    make = kind.find(named.name)
    if make is None:
        hint = did_you_mean(named.name, kind.names())
        yield Mismatch((*keys, "name"), key, f"{kind.module.__name__} has no {kind.name_in_torch(named.name)!r}{hint}")
        return
    try:
        accepts = functools.partial(make, *[None] * kind.num_given)
        check_arguments(accepts, component_arguments(named), f"{kind.module.__name__}.{make.__name__}")
    except BuildError as error:
        yield Mismatch((*keys, error.arg) if error.arg else keys, key, str(error))
        return
    given = component_arguments(named)
    for arg in tensor_arguments(make, given):
        if not is_numbers(given[arg]):
            found = clip(format_flow(given[arg]))
            yield Mismatch((*keys, arg), key, f"{arg}: expected a list of numbers, found {found}")


def is_numbers(value: Any) -> bool:
    """Whether a value is a number, or a list of numbers or of lists of one length of them."""
    if isinstance(value, list):
        lengths = {len(one) if isinstance(one, list) else -1 for one in value}
        return len(lengths) == 1 and all(map(is_numbers, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def tensor_arguments(make: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """Return which of the given arguments a loss takes as tensors, by its annotations: class weights and the like."""
    if not (isinstance(make, type) and issubclass(make, nn.Module)):
        return []
    hints = annotations_of(make)
    return [arg for arg in given if Tensor in (hints.get(arg), *get_args(hints.get(arg)))]
