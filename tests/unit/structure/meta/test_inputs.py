"""The arguments of a forward pass."""

from __future__ import annotations

import torch

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.meta.inputs import make_inputs

ITEM = ForwardInput(
    (TensorInput((2, 3)), (TensorInput((4,), "int64", Domain(below=5)), {"mask": TensorInput((4,), "bool")})),
    {"scale": TensorInput((), "float64"), "phase": TensorInput((2,), "complex64")},
)


def test_on_meta_they_have_no_values() -> None:
    args, kwargs = make_inputs(ITEM, "meta")
    assert (type(args), type(args[1]), type(kwargs)) == (list, tuple, dict)
    x, (ids, inner) = args
    tensors = (x, ids, inner["mask"], kwargs["scale"], kwargs["phase"])
    assert all(tensor.is_meta for tensor in tensors)
    assert [tuple(tensor.shape) for tensor in tensors] == [(2, 3), (4,), (4,), (), (2,)]
    dtypes = [torch.float32, torch.int64, torch.bool, torch.float64, torch.complex64]
    assert [tensor.dtype for tensor in tensors] == dtypes


def test_on_the_cpu_they_are_the_same_every_time_and_in_bounds() -> None:
    first, again = make_inputs(ITEM, "cpu"), make_inputs(ITEM, "cpu")
    assert torch.equal(first[0][0], again[0][0])
    assert torch.equal(first[1]["phase"], again[1]["phase"])
    ids = make_inputs(ForwardInput((TensorInput((1000,), "int64", Domain(below=5)),)), "cpu")[0][0]
    assert ids.unique().tolist() == [0, 1, 2, 3, 4]
    assert not make_inputs(ForwardInput((TensorInput((9,), "int64"),)), "cpu")[0][0].any()
