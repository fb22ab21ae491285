"""Which values an input takes, where a network fails for those of the input that was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from torch import nn
from torch.nn.parameter import is_lazy

from archcheck.discovery.assumption import Assumption
from archcheck.discovery.trial import MAX_REAL_ELEMENTS
from archcheck.discovery.value_tree import tensors_in, with_part
from archcheck.function.domain_search import likely_domain
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import input_names, make_forward_input, parse_input
from archcheck.structure.meta.module_tree import parameters_of

_MAX_BYTES: Final = 2**28  # of parameters in double precision: a larger network runs only when it's recorded
_BATCH_SIZE: Final = 4
_BATCH_SIZE_OF_IDS: Final = 16  # of which one that is too large for a table is not in every example


def with_values_that_run(
    make: Callable[[], nn.Module], model: nn.Module, found: Assumption, error: str | None = None
) -> Assumption | None:
    """Return an input with values for which the network runs; None where it runs anyway, or none are found.

    model: the network, of which nothing but its size is asked. error: why it stopped, if it's known to have.
    """
    sized = (one for one in parameters_of(model) if one.is_meta and not is_lazy(one))
    if sum(8 * one.numel() for one in sized) > _MAX_BYTES:
        return None
    tree = parse_input(found.value)
    is_of_ids = any(leaf.is_whole for leaf in tensors_in(found.value))
    batch_size = _BATCH_SIZE_OF_IDS if is_of_ids else _BATCH_SIZE
    sizes = {name: found.sizes.get(name, [batch_size if name == BATCH else 2])[0] for name in input_names(tree)}
    inputs = make_forward_input(tree, sizes)
    if error is not None and inputs.num_elements > MAX_REAL_ELEMENTS:
        return None
    domain = likely_domain(make, FingerprintConfig(inputs), tree, error)
    if domain is None:
        return None
    leaf = list(tensors_in(found.value))[domain.number - 1]  # a spec's value has words for tuples and lists on the way
    value = with_part(found.value, leaf.keys, domain.value)
    return replace(found, value=value, source=f"{found.source}, and values with which it runs")
