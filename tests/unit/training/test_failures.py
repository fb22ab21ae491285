"""What user code, torch and the machine raise, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archcheck.training.failures import RunFailed, errors_attributed_to, is_out_of_memory


def failure(error: BaseException) -> RunFailed:
    root = Path(__file__).parents[3]
    with pytest.raises(RunFailed, match=r"\w") as failed, errors_attributed_to("build", "the forward pass", root):
        raise error
    return failed.value


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError(),
     RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to")],
)  # fmt: skip
def test_out_of_memory_says_what_needs_less(error: Exception) -> None:
    failed = failure(error)
    assert is_out_of_memory(error)
    assert str(failed) == "the forward pass: out of memory; a smaller batch_size or resize needs less"
    assert failed.fault.key == "batch_size"


def test_the_cpus_own_allocator_runs_out_in_these_words() -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory") as raised:
        torch.empty(1 << 50)
    assert is_out_of_memory(raised.value)


def test_an_error_is_its_type_and_its_first_line() -> None:
    failed = failure(ValueError("no such width\nand a long story"))
    assert str(failed).startswith("the forward pass raised ValueError: no such width")
    assert "\n" not in str(failed)
    assert failed.fault.key == "build"


def test_a_batch_that_is_too_small_for_batch_norm_is_about_its_size() -> None:
    with pytest.raises(ValueError, match="more than 1 value") as raised:
        torch.nn.BatchNorm1d(4)(torch.zeros(1, 4))
    failed = failure(raised.value)
    assert str(failed).endswith(": batch norm takes a batch_size of 2 or more")
    assert failed.fault.key == "batch_size"


def test_findings_go_through_as_they_are() -> None:
    inner = RunFailed("the loss is nan", "optimizer")
    assert failure(inner) is inner


def test_an_interrupt_is_the_users() -> None:
    with pytest.raises(KeyboardInterrupt, match="by hand"), errors_attributed_to("build", "the forward pass"):
        raise KeyboardInterrupt("by hand")
