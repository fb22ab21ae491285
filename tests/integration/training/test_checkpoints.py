"""`--archcheck-checkpoints`: the best network of each spec is kept."""

from __future__ import annotations

import os
import re

import pytest
import torch
from torch import nn

from tests.integration.project import Project
from tests.integration.training.toys import CLOUDS, accuracy, failing_text, scripted


def test_the_best_network_is_kept_and_nothing_else(toys: Project) -> None:
    accuracy(toys, scripted([0.25, 0.75, 0.5], 0.8), "--archcheck-checkpoints", "kept").assert_outcomes(failed=1)
    assert [str(path.relative_to(toys.path)) for path in (toys.path / "kept").rglob("*")] == [
        "kept/toy", "kept/toy/model_0.75.pt",
    ]  # fmt: skip


def test_a_kept_network_answers_as_it_was_said_to(toys: Project) -> None:
    accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept").assert_outcomes(passed=1)
    (path,) = (toys.path / "kept" / "toy").iterdir()
    network = nn.Linear(2, 2)
    network.load_state_dict(torch.load(path, weights_only=True))
    far_apart = torch.tensor([[-4.0, -4.0], [4.0, 4.0]])
    assert path.name == "model_1.00.pt"
    assert network(far_apart).argmax(1).tolist() == [0, 1]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_checkpoints_that_cannot_be_written_fail_in_one_line(toys: Project) -> None:
    (toys.path / "kept").mkdir(mode=0o500)
    message = failing_text(accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept"))
    assert re.fullmatch(
        r"specs/toy.arch.yaml:3: .*kept/toy/model_\d.\d\d.pt: can't be written: Permission denied", message
    )


def test_a_file_where_the_folder_of_checkpoints_goes_is_told(toys: Project) -> None:
    toys.write("kept/toy", "a file\n")
    message = failing_text(accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept"))
    assert re.search(r"kept/toy/model_\d.\d\d.pt: can't be written: (File exists|Not a directory)", message)


def test_a_spec_of_any_name_keeps_its_networks_in_the_folder(toys: Project) -> None:
    text = f"name: ../../elsewhere\n{CLOUDS}"
    accuracy(toys, text, "--archcheck-checkpoints", "a/b/kept")
    assert [path.relative_to(toys.path).parts[:3] for path in toys.path.rglob("*.pt")] == [("a", "b", "kept")]


def test_specs_of_one_name_in_two_folders_keep_a_network_each(toys: Project) -> None:
    toys.spec("a/net", scripted([0.5], 0.1))
    toys.spec("b/net", scripted([0.75], 0.1))
    toys.run("-m", "archcheck_accuracy", "--archcheck-checkpoints", "kept").assert_outcomes(passed=2)
    kept = sorted((toys.path / "kept").rglob("*.pt"), key=lambda path: path.name)
    assert [path.name for path in kept] == ["model_0.50.pt", "model_0.75.pt"]
    assert kept[0].parent != kept[1].parent
