"""`state_dict`: what a checkpoint holds, and that published ones load."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.integration.project import Project

RECORDED = """\
state_dict:
  keys:
    conv.weight: [1, 1, 3, 3]
    fc.weight: [9, 16]
    fc.bias: [9]
"""


def network(stem: str = "conv") -> nn.Module:
    """The project's network, made here."""
    made = nn.Sequential()
    made.add_module(stem, nn.Conv2d(1, 1, 3, padding=1, bias=False))
    made.add_module("flat", nn.Flatten())
    made.add_module("fc", nn.Linear(16, 9))
    return made


@pytest.fixture
def net(project: Project) -> Project:
    # By hand: 9 weights of the convolution, 16 * 9 + 9 of the linear layer: 162.
    project.write(
        "nets.py",
        """
        from torch import nn

        def net(stem="conv"):
            made = nn.Sequential()
            made.add_module(stem, nn.Conv2d(1, 1, 3, padding=1, bias=False))
            made.add_module("flat", nn.Flatten())
            made.add_module("fc", nn.Linear(16, 9))
            return made
        """,
    )
    return project


def spec(project: Project, text: str, head: str = "build: nets:net\ninput: [B, 1, 4, 4]\nhealth: off\n") -> Path:
    return project.spec("net", head + text)


def test_what_is_not_recorded_yet_is_skipped_with_the_command(net: Project) -> None:
    spec(net, "state_dict: recorded\n")
    net.run("-rs").stdout.fnmatch_lines(
        "SKIPPED [[]1[]] specs/net.arch.yaml:4: nothing is recorded yet; "
        "pytest --archcheck specs/net.arch.yaml -k state_dict --archcheck-update records it"
    )


def test_strict_fails_what_is_not_recorded(net: Project) -> None:
    spec(net, "state_dict: recorded\nfunction: off\n")
    result = net.run("--archcheck-strict")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("specs/net.arch.yaml:4: not measured: nothing is recorded yet; *")


@pytest.mark.parametrize("mode", ["", "=new", "=all"])
def test_an_update_records_names_and_shapes(net: Project, mode: str) -> None:
    path = spec(net, "state_dict: recorded  # of the first release\noutput: [B, 9]\n")
    net.run(f"--archcheck-update{mode}", "-k", "state_dict").assert_outcomes(passed=1)
    assert path.read_text() == (
        "build: nets:net\ninput: [B, 1, 4, 4]\nhealth: off\n"
        + RECORDED.replace("state_dict:", "state_dict:  # of the first release")
        + "output: [B, 9]\n"
    )
    net.run().assert_outcomes(passed=3, skipped=1)


def test_a_renamed_module_is_told_with_the_likely_rename(net: Project) -> None:
    spec(net, RECORDED, "build: nets:net\nargs: {stem: stem}\ninput: [B, 1, 4, 4]\nhealth: off\n")
    result = net.run()
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:7: state_dict: 1 key is missing, 1 key is not expected",
            "  missing   conv.weight",
            "  unexpected  stem.weight",
            "  renamed?  conv.* -> stem.*: the same shapes in the same order",
            "  accept    pytest --archcheck specs/net.arch.yaml -k state_dict --archcheck-update",
        ]
    )


def test_an_update_accepts_the_new_names(net: Project) -> None:
    recorded = RECORDED.replace("conv.weight:", "conv.weight:  ").replace("]\n", "]  # as published\n", 1)
    path = spec(net, recorded, "build: nets:net\nargs: {stem: stem}\ninput: [B, 1, 4, 4]\nhealth: off\n")
    net.run("--archcheck-update", "-k", "state_dict").assert_outcomes(passed=1)
    assert path.read_text().endswith(recorded.replace("conv.", "stem."))
    net.run().assert_outcomes(passed=2, skipped=1)


def test_another_shape_is_told_at_its_line(net: Project) -> None:
    path = spec(net, RECORDED.replace("[9, 16]", "[9, 25]"))
    net.run().stdout.fnmatch_lines(
        ["specs/net.arch.yaml:7: fc.weight: shape differs", "  expected  [[]9, 25[]]", "  actual    [[]9, 16[]]"]
    )
    net.run("--archcheck-update", "-k", "state_dict").assert_outcomes(passed=1)
    assert path.read_text().endswith(RECORDED)


def test_a_list_of_names_says_nothing_of_shapes(net: Project) -> None:
    spec(net, "state_dict: {keys: [conv.weight, fc.weight, fc.bias]}\n")
    net.run().assert_outcomes(passed=2, skipped=1)
    path = spec(net, "state_dict: {keys: [conv.weight, fc.bias]}\n")
    net.run().stdout.fnmatch_lines("specs/net.arch.yaml:4: state_dict: 1 key is not expected")
    net.run("--archcheck-update").assert_outcomes(passed=2, skipped=1)
    assert path.read_text().endswith("state_dict: {keys: [conv.weight, fc.weight, fc.bias]}\n")


def test_an_update_of_a_block_list_keeps_it_one(net: Project) -> None:
    path = spec(net, "state_dict:\n  keys:\n  - conv.weight\n  - fc.bias\n")
    net.run("--archcheck-update").assert_outcomes(passed=2, skipped=1)
    assert path.read_text().endswith("state_dict:\n  keys:\n  - conv.weight\n  - fc.weight\n  - fc.bias\n")


def test_lazy_layers_have_their_shapes_after_a_forward_pass(net: Project) -> None:
    net.write(
        "lazy.py",
        """
        from torch import nn

        def net():
            return nn.Sequential(nn.Flatten(), nn.LazyLinear(9))
        """,
    )
    spec(net, "state_dict: {keys: {1.weight: [9, 16], 1.bias: [9]}}\n", "build: lazy:net\ninput: [B, 1, 4, 4]\n")
    net.run("-k", "state_dict").assert_outcomes(passed=1)


def test_a_state_dict_that_can_not_be_read_is_told_at_its_line(net: Project) -> None:
    net.write(
        "broken.py",
        """
        from torch import nn

        class Net(nn.Flatten):
            def state_dict(self, *args, **kwargs):
                raise RuntimeError("shards are elsewhere")
        """,
    )
    spec(net, "state_dict: recorded\n", "build: broken:Net\ninput: [B, 1, 4, 4]\n")
    result = net.run("-k", "state_dict")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "specs/net.arch.yaml:3: *the network's state_dict() can't be read: RuntimeError: shards are elsewhere*"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "state_dict: recorder",
            "state_dict: expected `recorded`, or a map with keys or checkpoints, found 'recorder'",
        ),
        ("state_dict: {}", "state_dict: expected `recorded`, or a map with keys or checkpoints, found an empty map"),
        ("state_dict: {keys: [a, b, a]}", "keys: a is there twice"),
        ("state_dict: {keys: 3}", "keys: expected `recorded`, a list of names, or a map of names and shapes, found 3"),
        ("state_dict: {keys: {a: [x]}}", "a: expected a shape of whole numbers such as [64, 3, 7, 7], found [x]"),
        (
            "state_dict: {checkpoints: [{path: a, sha256: 12}]}",
            "sha256: expected the SHA-256 of a file, 64 hexadecimal digits (in quotes), found 12",
        ),
        ("state_dict: {kees: recorded}", "unknown key 'kees'; did you mean keys?"),
        ("state_dict: {checkpoints: [{path: a, sha: b}]}", "unknown key 'sha'; did you mean sha256?"),
    ],
)
def test_a_section_that_can_not_be_understood_says_so(net: Project, text: str, message: str) -> None:
    spec(net, text + "\n")
    assert f"specs/net.arch.yaml:4: {message}" in net.run().stdout.str()


# ------------------------------------------------------------------------------------------- checkpoints


def save(project: Project, name: str = "net.pt", stem: str = "conv") -> Path:
    path = project.path / "specs" / "weights" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network(stem).state_dict(), path)
    return path


def test_a_checkpoint_that_loads_passes(net: Project) -> None:
    digest = hashlib.sha256(save(net).read_bytes()).hexdigest()
    spec(net, f"state_dict: {{checkpoints: [{{path: weights/net.pt, sha256: {digest}}}]}}\n")
    net.run().assert_outcomes(passed=2, skipped=1)


def test_a_checkpoint_that_is_not_there_is_skipped_with_its_path(net: Project) -> None:
    spec(net, "state_dict:\n  keys: [conv.weight, fc.weight, fc.bias]\n  checkpoints:\n    - path: weights/net.pt\n")
    result = net.run("-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines("SKIPPED [[]1[]] specs/net.arch.yaml:7: there is no file specs/weights/net.pt")


def test_another_file_under_the_name_is_told(net: Project) -> None:
    save(net)
    spec(net, f"state_dict: {{checkpoints: [{{path: weights/net.pt, sha256: {'f' * 64}}}]}}\n")
    net.run().stdout.fnmatch_lines("specs/net.arch.yaml:4: checkpoint: weights/net.pt is another file")


def test_a_checkpoint_of_other_names_is_told_with_the_likely_rename(net: Project) -> None:
    save(net, stem="stem")
    spec(net, "state_dict: {checkpoints: [{path: weights/net.pt}]}\n")
    net.run().stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:4: checkpoint: weights/net.pt: 1 key is missing, 1 key is not expected",
            "  missing   conv.weight",
            "  unexpected  stem.weight",
            "  renamed?  stem.* -> conv.*: the same shapes in the same order",
        ]
    )


def test_names_need_not_agree_where_that_is_said(net: Project) -> None:
    save(net, stem="stem")
    spec(net, "state_dict: {checkpoints: [{path: weights/net.pt, strict: false}]}\n")
    net.run().assert_outcomes(passed=2, skipped=1)


def test_a_file_of_which_nothing_fits_does_not_load(net: Project) -> None:
    path = save(net)
    torch.save({f"module.{name}": value for name, value in torch.load(path).items()}, path)
    spec(net, "state_dict: {checkpoints: [{path: weights/net.pt, strict: false}]}\n")
    net.run().stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:4: checkpoint: weights/net.pt: nothing in it fits: 3 keys are missing, "
            "3 keys are not expected",
            "  renamed?  module.* -> * (3 keys): the same shapes in the same order",
        ]
    )


def test_a_folder_is_no_checkpoint(net: Project) -> None:
    (net.path / "specs" / "weights").mkdir(parents=True)
    spec(net, "state_dict: {checkpoints: [{path: weights}]}\n")
    net.run().stdout.fnmatch_lines("specs/net.arch.yaml:4: checkpoint: weights is a folder, expected a file")


def test_one_checkpoint_does_not_hide_another(net: Project) -> None:
    save(net, "other.pt", stem="stem")
    spec(net, "state_dict:\n  keys: [fc.bias]\n  checkpoints:\n    - path: absent.pt\n    - path: weights/other.pt\n")
    net.run().stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:5: state_dict: 2 keys are not expected",
            "specs/net.arch.yaml:8: checkpoint: weights/other.pt: 1 key is missing, 1 key is not expected",
        ]
    )


def test_counters_that_torch_demands_are_demanded(net: Project) -> None:
    """A file of today's BatchNorm without its counter doesn't load into it; one from before it had any does."""
    net.write("norm.py", "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.BatchNorm2d(1))\n")
    path = net.path / "specs" / "net.pt"
    path.parent.mkdir(exist_ok=True)
    state = nn.Sequential(nn.BatchNorm2d(1)).state_dict()
    del state["0.num_batches_tracked"]
    torch.save(state, path)
    spec(net, "state_dict: {checkpoints: [{path: net.pt}]}\n", "build: norm:net\ninput: [B, 1, 4, 4]\n")
    net.run("-k", "state_dict").stdout.fnmatch_lines("*checkpoint: net.pt: 1 key is missing")
    torch.save(dict(state), path)
    net.run("-k", "state_dict").assert_outcomes(passed=1)


def test_an_instance_that_the_build_hands_out_keeps_its_weights(net: Project) -> None:
    net.write("shared.py", "import nets\n\nNET = nets.net()\n\ndef net():\n    return NET\n")
    save(net)
    spec(net, "state_dict: {checkpoints: [{path: weights/net.pt}]}\n", "build: shared:net\ninput: [B, 1, 4, 4]\n")
    net.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            import shared

            before = {name: value.clone() for name, value in shared.NET.state_dict().items()}
            result = yield
            assert all(value.equal(before[name]) for name, value in shared.NET.state_dict().items())
            return result
        """,
    )
    net.run("-k", "state_dict").assert_outcomes(passed=1)


def test_a_checkpoint_of_another_shape_is_told(net: Project) -> None:
    path = save(net)
    torch.save({**torch.load(path), "fc.bias": torch.zeros(8)}, path)
    spec(net, "state_dict: {checkpoints: [{path: weights/net.pt, strict: false}]}\n")
    net.run().stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:4: checkpoint: weights/net.pt: fc.bias has another shape",
            "  expected  [[]9[]]",
            "  actual    [[]8[]] in the file",
        ]
    )


def test_the_accuracy_of_a_checkpoint_is_measured(net: Project) -> None:
    """Data of one class, which a bias alone gets right, or wrong."""
    net.write(
        "data.py",
        """
        import torch

        def ones():
            inputs, targets = torch.zeros(20, 1, 4, 4), torch.full((20,), 3)
            return torch.utils.data.TensorDataset(inputs, targets), torch.utils.data.TensorDataset(inputs, targets)
        """,
    )
    path = save(net)
    weights = {**torch.load(path), "fc.bias": torch.eye(9)[3]}
    torch.save(weights, path)
    wanted = "accuracy: {dataset: 'data:ones', at_least: 0.9}"
    spec(net, f"state_dict:\n  checkpoints:\n    - path: weights/net.pt\n      {wanted}\n")
    net.run().assert_outcomes(passed=2, skipped=1)
    torch.save({**weights, "fc.bias": torch.eye(9)[4]}, path)
    net.run().stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:7: accuracy: 0 on the test set of data:ones",
            "  expected  at least 0.9",
            "  actual    0",
        ]
    )


def test_what_accuracy_needs_and_is_not_there_is_skipped(net: Project) -> None:
    save(net)
    text = (
        "state_dict:\n  checkpoints:\n    - path: weights/net.pt\n      accuracy: {dataset: cifar10, at_least: 0.9}\n"
    )
    spec(net, text)
    net.run().assert_outcomes(passed=1, skipped=2)
