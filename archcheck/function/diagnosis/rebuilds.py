"""What may have been built otherwise in a layer: a weight that was computed from others, or shared with another layer.

The rules undo an operation; here the network is built anew, as other weights are filled, and in another order, then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, cast

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from archcheck.function.diagnosis.substitutions import article
from archcheck.structure.meta.module_tree import named_network

_WEIGHT: Final = "weight"
_SHARED_AT_MOST: Final = 8  # parameters of one shape that are tried in the place of another
_COMPUTED: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "weight_norm": parametrizations.weight_norm,
        "spectral_norm": parametrizations.spectral_norm,
        "orthogonal": parametrizations.orthogonal,
    }
)

Modules = Mapping[str, nn.Module]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A change to a network that was just built; `text` is what is wrong if that gives the recorded numbers."""

    text: str
    change: Callable[[Modules], object]

    def apply(self, network: nn.Module) -> nn.Module:
        """Change a network, and return it."""
        self.change(named_network(network).modules)
        return network


def given_up(modules: Modules, name: str) -> Iterator[Rebuild]:
    """Yield what a module may have too many, or of another kind: what computes its weight, and what it shares."""
    for key, param in modules[name]._parameters.items():
        for other, its in _alike(modules, name, key):
            if modules[other]._parameters[its] is param:
                text = f"{key} is {other}.{its} now, one of its own was recorded"
                yield Rebuild(text, partial(_separate, name, key))
                break
    for names in _groups(modules, name):
        if all(parametrize.is_parametrized(modules[one], _WEIGHT) for one in names):
            now, times = _computed_by(modules[name]), _times(names)
            yield Rebuild(f"{article(now)} too many on the weight{times}", partial(_each, names, _take_as_it_is))
            for kind, compute in _COMPUTED.items():
                if kind != now:
                    text = f"{now} on the weight now, {kind} was recorded{times}"
                    yield Rebuild(text, partial(_each, names, partial(_compute_otherwise, compute)))


def missing(modules: Modules, name: str) -> Iterator[Rebuild]:
    """Yield what a module may lack: what computes its weight from others, and what it shares."""
    for key in modules[name]._parameters:
        for other, its in islice(_alike(modules, name, key), _SHARED_AT_MOST):
            text = f"{key} is one of its own now, {other}.{its} was recorded"
            yield Rebuild(text, partial(_share, name, key, other, its))
    for names in _groups(modules, name):
        if all(_is_plain(modules[one]) for one in names):
            for kind, compute in _COMPUTED.items():
                yield Rebuild(
                    f"{article(kind)} is missing on the weight{_times(names)}", partial(_each, names, compute)
                )


def _groups(modules: Modules, name: str) -> Iterator[list[str]]:
    """Yield a module alone, and all of its kind where there are several."""
    kind = parametrize.type_before_parametrizations(modules[name])
    yield [name]
    alike = [one for one, module in modules.items() if parametrize.type_before_parametrizations(module) is kind]
    if len(alike) > 1:
        yield alike


def _times(names: list[str]) -> str:
    return f" ({len(names)} times)" if len(names) > 1 else ""


def _each(names: list[str], change: Callable[[nn.Module], object], modules: Modules) -> None:
    for name in names:
        change(modules[name])


# ------------------------------------------------------------------------------------------- a weight that is computed


def _is_plain(module: nn.Module) -> bool:
    weight = module._parameters.get(_WEIGHT)
    return weight is not None and weight.ndim > 1


def _computed_by(module: nn.Module) -> str:
    """Return the function of torch's that makes a weight's parametrization, such as `weight_norm` for `_WeightNorm`."""
    name = type(cast(Mapping[str, Any], module.parametrizations)[_WEIGHT][0]).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.strip("_")).lower()


def _compute_otherwise(compute: Callable[..., Any], module: nn.Module) -> None:
    compute(_take_as_it_is(module), _WEIGHT)


def _take_as_it_is(module: nn.Module) -> nn.Module:
    weight = nn.Parameter(cast(Tensor, module.weight).detach().clone())
    parametrize.remove_parametrizations(module, _WEIGHT)
    delattr(module, _WEIGHT)  # where gradients are off, torch leaves a tensor that is no parameter
    module.register_parameter(_WEIGHT, weight)
    return module


# ------------------------------------------------------------------------------------------- a parameter that is shared


def _alike(modules: Modules, name: str, key: str) -> Iterator[tuple[str, str]]:
    """Yield the other parameters of a shape: where they are, and what they are called there."""
    param = modules[name]._parameters[key]
    for other, module in modules.items():
        for its_key, one in module._parameters.items():
            if param is not None and one is not None and one.shape == param.shape and (other, its_key) != (name, key):
                yield other, its_key


def _share(name: str, key: str, other: str, its_key: str, modules: Modules) -> None:
    modules[name]._parameters[key] = modules[other]._parameters[its_key]


def _separate(name: str, key: str, modules: Modules) -> None:
    shared = modules[name]._parameters[key]
    assert shared is not None
    modules[name]._parameters[key] = nn.Parameter(shared.detach().clone())
