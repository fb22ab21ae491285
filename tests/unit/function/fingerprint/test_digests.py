"""Tensors to a few numbers: what they are of, and that they differ where the tensors do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from archcheck.function.fingerprint import digests
from archcheck.function.fingerprint.digests import Digest, combine, combine_initial_values, digest, tensors_in


def found(value: Any) -> Digest:
    result = digest(value)
    assert result is not None
    return result


def test_mean_and_rms_are_of_all_elements() -> None:
    one = found((torch.tensor([1.0, 2.0]), {"k": torch.tensor([[-3.0]])}))
    assert one.mean == 0
    assert one.rms == pytest.approx(math.sqrt(14 / 3))


def test_the_check_grows_with_the_values() -> None:
    x = torch.arange(1.0, 9.0)
    assert found(3 * x).check == pytest.approx(3 * found(x).check)


def test_the_order_of_elements_counts() -> None:
    x = torch.arange(1.0, 9.0)
    assert found(x.flip(0)).check != pytest.approx(found(x).check, rel=1e-6)
    assert found(x.flip(0)).mean == found(x).mean


def test_which_of_two_tensors_it_is_counts() -> None:
    x, y = torch.arange(1.0, 4.0), torch.arange(4.0, 7.0)
    assert found((x, y)).check != pytest.approx(found((y, x)).check, rel=1e-6)


def test_one_element_in_a_million_counts() -> None:
    x = torch.ones(1_200_000)
    changed = x.clone()
    changed[1_100_000] = 3
    assert abs(found(changed).check - found(x).check) > 3e-7 * found(x).check


def test_the_layout_does_not_count() -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert found(x.transpose(0, 2).contiguous().transpose(0, 2)) == found(x)
    assert found(x.to_sparse()) == found(x)
    assert found(x.double()) == found(x)


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(1.0, 1001.0),
        torch.arange(1.0, 1001.0).reshape(1, 1, 1000),
        torch.arange(1.0, 1001.0).reshape(20, 50).T,
        torch.arange(1.0, 1001.0).reshape(2, 500),
        torch.complex(torch.arange(500.0), torch.ones(500)),
        torch.arange(1.0, 1001.0).index_fill(0, torch.tensor([7, 600]), math.inf),
        torch.tensor([math.nan]).repeat(1000),
        torch.arange(1.0, 1001.0).bfloat16(),
    ],
    ids=["row", "of one", "transposed", "long rows", "complex", "infinities", "nan", "bfloat16"],
)
def test_a_large_tensor_is_read_in_parts_as_it_is_at_once(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = found(x)
    monkeypatch.setattr(digests, "_MAX_COPIED", 64)
    in_parts = found(x)
    for ours, theirs in zip(astuple(in_parts), astuple(at_once), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


def test_complex_numbers_are_told_by_both_parts() -> None:
    x = torch.complex(torch.ones(3), 2 * torch.ones(3))
    assert found(x).mean == 1.5
    assert found(x.conj()).mean == -0.5


def test_whole_numbers_and_truth_values_are_numbers() -> None:
    assert found(torch.tensor([1, 2, 3])).mean == 2
    assert found(torch.tensor([True, False])).mean == 0.5


@pytest.mark.parametrize("value", [None, True, "text", [], torch.empty(0, 3), {"k": ()}, object()])
def test_where_there_is_no_element_there_is_no_digest(value: Any) -> None:
    assert digest(value) is None


def test_the_order_of_a_maps_entries_is_no_difference() -> None:
    a, b = torch.tensor([1.0]), torch.tensor([2.0])
    assert digest({"logits": a, "aux": b}) == digest({"aux": b, "logits": a}) != digest({"aux": a, "logits": b})


def test_a_number_counts() -> None:
    assert found(3.5).mean == 3.5


def test_a_nan_shows() -> None:
    assert not found(torch.tensor([1.0, math.nan])).is_finite


def test_infinities_are_counted_and_left_out() -> None:
    one, other = torch.tensor([1.0, math.inf, 2.0]), torch.tensor([math.inf, 1.0, 2.0])
    assert found(one).is_finite
    assert found(one).check != pytest.approx(found(other).check, rel=1e-6)


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


def test_tensors_are_found_in_containers_and_data_classes() -> None:
    a, b, c, d = (torch.full((1,), float(i)) for i in range(4))
    assert list(tensors_in({"x": [a, (b, None)], "y": Output(c), "z": "text", "w": {"v": d}})) == [d, a, b, c]


def test_a_list_that_contains_itself_ends() -> None:
    endless: list[Any] = [torch.ones(1)]
    endless.append(endless)
    assert len(list(tensors_in(endless))) == 16


def test_digests_of_all_sizes_weigh_the_same() -> None:
    small, large = Digest(0, 1e-3, 4e-3), Digest(0, 1e3, 4e3)
    before = combine({"a": small, "b": large}, 0.0)
    assert abs(combine({"a": Digest(0, 1e-3, 4.4e-3), "b": large}, 0.0) - before) > 0.1
    assert abs(combine({"a": small, "b": Digest(0, 1e3, 4.4e3)}, 0.0) - before) > 0.1


def test_what_is_below_the_floor_has_no_say() -> None:
    large = Digest(0, 1, 4)
    noise, other = Digest(0, 1e-17, 4e-17), Digest(0, 3e-17, -2e-17)
    a, b = combine({"a": noise, "b": large}, 1e-7), combine({"a": other, "b": large}, 1e-7)
    assert a == pytest.approx(b, rel=1e-8)


def test_one_digest_less_shows() -> None:
    one = Digest(0, 1, 4)
    assert abs(combine({"a": one, "b": one}, 0.0) - combine({"a": one}, 0.0)) > 10


@pytest.mark.parametrize("other", [1.0, 1e-6, -1.0, 2.0, None])
def test_another_constant_shows(other: float | None) -> None:
    assert combine_initial_values({"k": 0.0}) != pytest.approx(combine_initial_values({"k": other}), rel=1e-6)


def test_which_parameter_starts_from_a_constant_shows() -> None:
    one, other = {"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}
    assert combine_initial_values(one) != pytest.approx(combine_initial_values(other), rel=1e-6)


class Rows(dict[str, Tensor]):
    """Gives its rows where it is iterated over, as a TensorDict does."""

    def __iter__(self) -> Iterator[Any]:
        return iter([torch.zeros(1), torch.zeros(1)])


def test_a_map_is_read_by_its_keys_whatever_it_gives_when_iterated_over() -> None:
    value = Rows(b=torch.ones(2), a=torch.zeros(3))
    assert [len(one) for one in tensors_in(value)] == [3, 2]
