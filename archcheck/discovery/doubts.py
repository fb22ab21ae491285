"""Reasons to doubt an input with which a network runs: it may be meant otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from archcheck.discovery.layers import intakes
from archcheck.discovery.trial import Attempt
from archcheck.discovery.value_tree import tensors_in
from archcheck.spec.dims import BATCH
from archcheck.text.yaml_flow import format_flow


def doubts_about(value: Any, attempt: Attempt, modules: Mapping[str, nn.Module]) -> Iterator[str]:
    """Yield why an input may not be what is meant, though the network runs with it, and what to do then."""
    if attempt.takes_length_first:
        yield (
            "a layer of sequences gets the examples as steps, as it wants the length first: "
            "put B second if it is so, [T, B, ...]"
        )
    if attempt.goes_through_batch:
        yield (
            "a layer is called once for every example, so the forward may take a list of tensors (of views, of "
            "images): then write [[B, ...], [B, ...]]"
        )
    if attempt.faults == 2:
        yield "nothing that comes out has a size that depends on the batch: the network may not take batches like this"
    for shape in degenerate_shapes(value, modules):
        yield f"a size of 1 in {shape} may hide what the network does along it: give a larger one"
    tables = {one.num_embeddings for one in modules.values() if isinstance(one, nn.Embedding | nn.EmbeddingBag)}
    leaves = list(tensors_in(value))
    is_one_of_several = bool(tables - {leaf.rest.get("below") for leaf in leaves})  # others have no input of their own
    for leaf in leaves:
        is_of_smallest = is_one_of_several and leaf.rest.get("below") == min(tables) and len(leaf.shape) == 2
        if is_of_smallest or (not leaf.is_whole and "one_of" in leaf.rest):
            shape = format_flow(list(leaf.shape))
            yield f"every column of {shape} is drawn as if it held ids: --inputs-from can give each its own values"


def degenerate_shapes(value: Any, modules: Mapping[str, nn.Module]) -> list[str]:
    """Return the shapes of sequences and tables that have one step or column, where no layer takes one."""
    found = [leaf for leaf in tensors_in(value) if leaf.rest.get("dtype") != "bool"]  # masks are spread over the rest
    leaves = [leaf for leaf in found if BATCH in leaf.shape and 1 in leaf.shape[1:] and len(leaf.shape) < 4]
    sizes = {intake.size for intake in intakes(modules)} if leaves else set()
    columns = [leaf.shape[1] for leaf in found if len(leaf.shape) == 2 and not leaf.is_whole]
    if len(columns) > 1 and sum(size for size in columns if type(size) is int) in sizes:  # a place and a time, as one
        leaves = [leaf for leaf in leaves if len(leaf.shape) > 2]
    return [format_flow(list(leaf.shape)) for leaf in leaves if 1 not in sizes]
