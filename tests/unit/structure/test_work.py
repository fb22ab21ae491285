"""The work of a forward pass, counted by hand, and the threads that it is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from archcheck.spec.inputs import make_forward_input, parse_input
from archcheck.structure import work
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure
from archcheck.structure.work import (
    WorkCounter,
    allowed_threads,
    count_made_elements,
    paying_threads,
    threads_fitted_from_here,
    threads_fitted_to_trace,
)
from archcheck.structure.work import _is_faster as is_faster_on_this_machine

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.fixture(autouse=True)
def eight_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of eight processors, all of which torch may use, whose threads don't spin."""
    before = torch.get_num_threads()
    monkeypatch.setattr(work, "cpu_share", lambda: 8)
    monkeypatch.setenv("GOMP_SPINCOUNT", "5000")
    monkeypatch.setattr(work, "_is_faster", lambda *_: False)
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def small() -> nn.Module:
    return nn.Linear(8, 8)


def large() -> nn.Module:
    return nn.Linear(1024, 1024)


def traced(make: Callable[[], nn.Module], width: int) -> StructureTrace:
    return trace_structure(make, [make_forward_input(parse_input(["B", width]), {"B": 64})])


# ------------------------------------------------------------------------------------------- counting


def test_work_is_multiply_adds_and_some_for_each_element() -> None:
    with torch.no_grad(), WorkCounter() as counter:
        nn.Linear(4, 5)(torch.ones(3, 4))
    assert (counter.work, counter.num_operations) == (3 * 4 * 5 + 60 * 3 * 5, 1)


def test_what_torch_leaves_to_one_thread_and_views_count_as_nothing() -> None:
    few, many = torch.ones(1000), torch.ones(2**15)
    with WorkCounter() as counter:
        few.relu()
        many.view(2, -1).transpose(0, 1)
        many.relu()
    assert (counter.work, counter.num_operations) == (60 * 2**15, 1)


def test_attention_is_counted_by_its_products() -> None:
    query = torch.ones(1, 2, 16, 8)
    with torch.no_grad(), WorkCounter() as counter:
        nn.functional.scaled_dot_product_attention(query, query, query)
    assert counter.work >= 2 * (2 * 16 * 16 * 8)


def test_elements_are_counted_between_layers_as_well() -> None:
    class Similarities(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            x = super().forward(x)
            return (x @ x.mT).softmax(-1)

    item = make_forward_input(parse_input(["B", 6, 8]), {"B": 2})
    assert count_made_elements(lambda: Similarities(8, 5), item) == 2 * (6 * 5 + 6 * 6 + 6 * 6)


def test_elements_are_counted_as_far_as_a_forward_runs_without_values() -> None:
    class Deciding(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            x = super().forward(x)
            return x.relu() if x.sum() > 0 else x

    item = make_forward_input(parse_input(["B", 8]), {"B": 2})
    assert count_made_elements(lambda: Deciding(8, 5), item) >= 2 * 5


def test_nested_tensors_do_not_stop_it() -> None:
    nested = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged)
    with torch.no_grad(), WorkCounter():
        out = nn.Linear(4, 4)(nested)
    assert [one.shape[0] for one in out.unbind()] == [2, 3]


def test_what_is_computed_is_the_same() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.LSTM(8, 4)), torch.randn(5, 3, 8)
    with torch.no_grad():
        expected = network(inputs)[0]
        with WorkCounter():
            assert torch.equal(network(inputs)[0], expected)


# ------------------------------------------------------------------------------------------- threads


def run_watched(network: nn.Module, width: int, device: torch.device = CPU) -> None:
    batch = torch.ones(64, width)
    with torch.no_grad(), threads_fitted_from_here(device):
        network(batch)


def test_a_small_network_goes_on_with_one_thread() -> None:
    run_watched(small(), 8)
    assert torch.get_num_threads() == 1


def test_a_large_one_gets_a_thread_for_so_much_work() -> None:
    run_watched(large(), 1024)
    assert torch.get_num_threads() == (64 * 1024 * 1024 + 60 * 64 * 1024) // 2**24


@pytest.mark.parametrize(("is_faster", "expected"), [(True, 2), (False, 1)])
def test_where_the_work_leaves_it_open_a_trial_tells(
    is_faster: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def trial(many: int, few: int, side: int, period: int) -> bool:
        tried.append((many, few, side))
        return is_faster

    monkeypatch.setattr(work, "_is_faster", trial)
    assert [paying_threads(one, 8) for one in (100, 10**7, 10**9)] == [1, expected, 8]
    assert tried == [(2, 1, 215)]  # 215 to the third is 10 million


def test_a_trial_multiplies_matrices_by_both_numbers_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each product by the clock of a machine where two threads take 0.7, or 0.9, of the time of one."""
    clock = [0.0]
    for share, expected in ((0.7, True), (0.9, False)):

        def multiply(a: torch.Tensor, b: torch.Tensor, share: float = share) -> None:
            clock[0] += {1: 1.0, 2: share}[torch.get_num_threads()]

        monkeypatch.setattr("archcheck.structure.work.torch.mm", multiply)
        monkeypatch.setattr("archcheck.structure.work.time.perf_counter", lambda: clock[0])
        assert is_faster_on_this_machine.__wrapped__(2, 1, 215, 0) is expected


def test_no_more_threads_than_the_user_has_set() -> None:
    torch.set_num_threads(2)
    run_watched(large(), 1024)
    assert torch.get_num_threads() == 2


def test_no_more_threads_than_this_processs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "cpu_share", lambda: 3)
    run_watched(large(), 1024)
    assert torch.get_num_threads() == 3 == allowed_threads()


def test_another_device_leaves_the_threads_of_the_cpu_alone() -> None:
    run_watched(small(), 8, META)
    assert torch.get_num_threads() == 8


def test_a_forward_that_stops_leaves_the_threads_alone() -> None:
    with pytest.raises(RuntimeError):
        run_watched(small(), 9)
    assert torch.get_num_threads() == 8


def test_a_traced_network_is_run_by_as_many_threads_as_it_is_worth() -> None:
    found = {}
    for name, trace, times in (
        ("small", traced(small, 8), 1.0),
        ("large", traced(large, 1024), 1.0),
        ("half of it", traced(large, 1024), 0.5),
        ("much", traced(large, 1024), 100.0),
    ):
        with threads_fitted_to_trace(trace, times):
            found[name] = torch.get_num_threads()
    assert found == {"small": 1, "large": 4, "half of it": 2, "much": 8}
    assert torch.get_num_threads() == 8


def test_threads_are_as_before_where_the_run_stops() -> None:
    with pytest.raises(ValueError, match="stopped"), threads_fitted_to_trace(traced(small, 8)):
        raise ValueError("stopped")
    assert torch.get_num_threads() == 8
