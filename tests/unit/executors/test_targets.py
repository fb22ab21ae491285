from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.errors import UsageError
from archcheck.executors.targets import choose_executor

FACTORIES = """
class Executor:
    def submit(self, function, *args): ...

def good(): return Executor()
def raises(): raise ConnectionError("no cluster at 10.0.0.1")
def nothing(): return None
number = 3
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "factories_of_executors.py").write_text(FACTORIES)
    return tmp_path


def test_a_function_of_the_users_makes_it(root: Path) -> None:
    choice = choose_executor("factories_of_executors.py:good", root, "auto")
    assert type(choice.make()).__name__ == "Executor"
    assert choice.share == 1


def test_processes_share_this_machine(root: Path) -> None:
    assert choose_executor("processes:3", root, "auto").share == 3
    assert choose_executor("processes", root, "auto").share >= 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("processes:0", "--archcheck-executor processes:0: expected at least one process"),
        (
            "nosuch",
            "--archcheck-executor: expected processes[:N], ray, slurm, or module:function, found 'nosuch'",
        ),
        (
            "torchvision:resnet18",
            "expected processes[:N], ray, slurm, or module:function, found 'torchvision:resnet18'",
        ),
        ("no_such_module_at_all:make", "--archcheck-executor no_such_module_at_all:make: "),
        ("factories_of_executors.py:absent", "has no 'absent'"),
        ("factories_of_executors.py:number", "expected a function that returns an executor, found "),
        ("factories_of_executors.py:nothing", "expected something with a method submit, found 'NoneType'"),
        ("factories_of_executors.py:raises", "the function raised ConnectionError: no cluster at 10.0.0.1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(root: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        choose_executor(name, root, "auto").make()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
