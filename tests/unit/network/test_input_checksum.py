"""Whether a callable makes the same inputs in every process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from archcheck.errors import BuildError
from archcheck.network.input_checksum import checksum, differs_elsewhere
from archcheck.spec.inputs import InputSource
from tests.unit.network.test_input_source import source


@pytest.mark.parametrize(
    ("body", "differs"),
    [("torch.rand(2), 'a'", False), ("float(hash('a'))", True), ("torch.tensor(__import__('os').getpid())", True)],
)
def test_another_process_tells(tmp_path: Path, body: str, differs: bool) -> None:
    assert differs_elsewhere(source(tmp_path, f"def make(): return {body}\n"), {}) is differs


def test_a_generator_that_it_goes_on_with_is_told(tmp_path: Path) -> None:
    made = source(tmp_path, "random = numpy.random.RandomState(0)\ndef make(): return random.rand()\n")
    assert differs_elsewhere(made, {})


def test_what_fails_there_only_is_told(tmp_path: Path) -> None:
    made = source(tmp_path, "import os\ndef make():\n    if os.environ.get('PYTHONHASHSEED'): raise ValueError('no')\n")
    with pytest.raises(BuildError, match=re.escape("calling made.py:make in another process: ")):
        differs_elsewhere(made, {})


@pytest.mark.parametrize(
    "other",
    [torch.zeros(3), torch.tensor([0.0, 1.0]), torch.zeros(2, dtype=torch.float64), {"x": torch.zeros(2), "y": 1}],
)
def test_other_tensors_have_another_checksum(other: object) -> None:
    assert checksum({"x": torch.zeros(2)}) == checksum({"x": torch.zeros(2)})
    assert checksum(other) != checksum({"x": torch.zeros(2)})


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=re.escape("no file nowhere.py in")):
        differs_elsewhere(InputSource("nowhere.py:make", tmp_path), {})
