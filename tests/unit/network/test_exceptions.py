"""Exceptions in one line, and the line of code that is named for them."""

from __future__ import annotations

from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import pytest
import torch

from archcheck.errors import BuildError
from archcheck.network.build import build_network
from archcheck.network.exceptions import (
    first_line,
    line_of_dump,
    one_line,
    raised_at,
    raised_outside_torch,
    type_and_first_line,
)
from tests.unit.network.user_files import NET, failure, write


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def raised(function: Any, *args: Any) -> BaseException:
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError("\x1b[31mred"), "ValueError: \\x1b[31mred"),
        (ValueError("x" * 301), f"ValueError: {'x' * 299}…"),
        (UnprintableError(), "UnprintableError"),
    ],
)
def test_one_line_has_the_whole_message(error: Exception, text: str) -> None:
    assert one_line(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("\nshapes differ:\n[2] and [3]\n"), "RuntimeError: shapes differ:"),
        (RuntimeError("x" * 400), f"RuntimeError: {'x' * 400}"),
        (
            RuntimeError(
                "The following operation failed in the TorchScript interpreter.\n"
                "Traceback of TorchScript (most recent call last):\n  hidden = cat([state, action])\n"
                "RuntimeError: Tensors must have same number of dimensions: got 2 and 1\n"
            ),
            "RuntimeError: Tensors must have same number of dimensions: got 2 and 1 (in the TorchScript interpreter)",
        ),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_the_first_line_is_kept_as_it_is(error: Exception, text: str) -> None:
    assert type_and_first_line(error) == text
    assert first_line(error) == text.partition(": ")[2]


def test_an_error_of_torch_is_at_the_line_that_called_it() -> None:
    error = raised(lambda: torch.ones(2) @ torch.ones(3))
    here = str(Path(__file__).relative_to(Path.cwd()))
    assert (raised_at(error) or "").startswith(f"{here}:")
    assert raised_outside_torch(error) == raised_outside_torch(error, own_only=True) == raised_at(error)


def test_an_error_without_a_line_of_the_users_has_none() -> None:
    namespace: dict[str, Any] = {}
    exec("def fails(): return 1 / 0", namespace)
    error = raised(namespace["fails"])
    error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None  # of the call here
    assert raised_at(error) is None
    assert raised_outside_torch(error) is None


def test_an_error_inside_torch_is_placed_at_the_users_line(folder: Path) -> None:
    write(folder, model_deep=NET)
    error = failure("model_deep.py:deep", folder, rootdir=folder)
    assert str(error).startswith("building model_deep.py:deep raised TypeError: empty()")
    assert error.where == "model_deep.py:23"
    assert isinstance(error.__cause__, TypeError)


def test_a_long_message_is_one_line_and_shortened(folder: Path) -> None:
    write(folder, model_long=NET)
    message = str(failure("model_long.py:long_story", folder))
    assert message.startswith("building model_long.py:long_story raised RuntimeError: first second xxx")
    assert message.endswith("x…")
    assert len(message) < 400


def test_an_exception_that_can_not_be_printed(folder: Path) -> None:
    write(folder, model_u="class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd\n")
    assert str(failure("model_u.py:Net", folder)) == "importing model_u.py raised Odd"


def test_error_raised_within_archcheck_is_at_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(
        "from archcheck.spec.target import parse_target\n\ndef net():\n    parse_target('')\n"
    )

    with pytest.raises(BuildError, match=r"building asks\.py:net raised") as caught:
        build_network("asks.py:net", {}, tmp_path, tmp_path)

    assert caught.value.where == "asks.py:4"


def test_networks_that_come_with_archcheck_are_user_code() -> None:
    import archcheck.network.build
    import archcheck.structure.meta.forward_modes
    import archcheck.zoo

    assert not archcheck.network.exceptions.is_ours(archcheck.zoo.__file__)
    assert archcheck.network.exceptions.is_ours(archcheck.structure.meta.forward_modes.__file__)


def test_the_users_line_of_the_thread_that_ran_is_found_in_a_dump() -> None:
    torch_file = Path(torch.__file__)
    dump = f"""it prints
Fatal Python error: Segmentation fault

Thread 0x00007f176496a6c0 (most recent call first):
  File "/project/other.py", line 3 in serve

Current thread 0x00007f1767287b80 (most recent call first):
  File "{torch_file}", line 519 in relu
  File "/project/my nets.py", line 11 in forward
  File "/project/run.py", line 8 in main

Extension modules: numpy, torch (total: 20)
"""
    assert line_of_dump(dump, Path("/project")) == "my nets.py:11, in forward"
    assert (
        line_of_dump(dump.replace("/project", str(torch_file.parent)), Path("/project")) == f"{torch_file}:519, in relu"
    )
    assert line_of_dump("it prints\n", Path("/project")) is None


class BadImage(Exception):  # noqa: N818 - as users call theirs
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}\n{reason}")


def reraised(what: BaseException) -> BaseException:
    """Return what torch raises in the main process for an exception of a worker."""
    from torch._utils import ExceptionWrapper

    try:
        raise what
    except BaseException:
        carried = ExceptionWrapper(where="in DataLoader worker process 0")  # type: ignore[no-untyped-call]
        return raised(carried.reraise)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError("images/77.jpg is gone"), "FileNotFoundError: images/77.jpg is gone"),
        (KeyError("x"), "KeyError: 'x'"),
        (BadImage("77.jpg", "is cut off"), "BadImage: 77.jpg is cut off"),  # torch can't make one, and raises another
        (ValueError(), "ValueError"),
    ],
)
def test_an_error_of_a_worker_is_told_as_it_was_raised_there(error: Exception, text: str) -> None:
    copy = reraised(error)
    assert one_line(copy) == f"{text}, in DataLoader worker process 0"
    assert "Original Traceback" not in type_and_first_line(copy)


def test_the_line_of_an_error_of_a_worker_is_the_one_that_raised_there() -> None:
    found = raised_at(reraised(ValueError("wrong")), Path(__file__).parent, own_only=True)
    lines = Path(__file__).read_text().splitlines()
    assert found == f"{Path(__file__).name}:{lines.index('        raise what') + 1}"


def test_the_line_of_an_error_of_a_pool_is_the_one_that_raised_in_its_process() -> None:
    error = ValueError("wrong")
    error.__cause__ = RemoteTraceback('\n"""\nTraceback (most recent call last):\n  File "a.py", line 3, in f\n"""')
    assert raised_at(error) == "a.py:3"
