"""`archcheck calibrate`: a minimum accuracy from several seeds, and the settings that pay, written into the spec."""

from __future__ import annotations

import re

import pytest

from archcheck.cli.command_line import main
from archcheck.spec.spec_file import read_spec
from tests.integration.project import Project

HEAD = "build: nets:small\ninput: [B, 1, 28, 28]\n"
NETS = """
from torch import nn

def small():
    print("hello")
    return nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 10))
"""
TRAINING = "training:\n  dataset: fashion-mnist-mini\n  epochs: 3\n  optimizer: {name: SGD, lr: 0.1}  # tame\n"


@pytest.fixture
def here(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def test_the_command_writes_what_it_shows(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = here.spec(text=HEAD + TRAINING)
    arguments = ["calibrate", "specs/small.arch.yaml", "--seeds", "3", "--device", "cpu", "--no-speed"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    text = path.read_text()
    assert text.startswith(HEAD + TRAINING)
    training = read_spec(path).spec.training
    assert training is not None
    assert training.calibration is not None
    assert training.accuracy is not None
    assert training.calibration.seeds == 3
    assert training.calibration.device == "cpu"
    assert 0.1 < training.accuracy < training.calibration.mean
    assert f"+  accuracy: {training.accuracy!r}" in out
    assert "hello" not in out
    assert re.search(r"^archcheck: seed 2 \(fp32\): accuracy 0\.\d{4}, [\d,]+ examples/s, [\d.]+ s$", err, re.MULTILINE)
    assert out.endswith(
        "specs/small.arch.yaml: written; verify it: pytest --archcheck specs/small.arch.yaml -k accuracy\n"
    )


def test_the_same_seeds_give_the_same_minimum(here: Project) -> None:
    path = here.spec(text=HEAD + TRAINING)
    arguments = ["calibrate", "specs/small.arch.yaml", "--seeds", "2", "--device", "cpu", "--no-speed"]
    texts = []
    for _ in range(2):
        path.write_text(HEAD + TRAINING)
        assert main(arguments) == 0
        texts.append(path.read_text())
    assert texts[0] == texts[1]


def test_a_dry_run_writes_nothing(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archcheck.training.calibration.TURN_SEC", 0.01)
    path = here.spec(text=HEAD + TRAINING)
    assert main(["calibrate", str(path), "--seeds", "3", "--device", "cpu", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert path.read_text() == HEAD + TRAINING
    assert "\n+  calibration: {mean: 0." in out
    assert "written" not in out
    speeds = [line.split()[:2] for line in out.splitlines()[2:6]]
    assert speeds == [
        ["fp32", "contiguous"], ["fp32", "channels_last"], ["bf16", "contiguous"], ["bf16", "channels_last"],
    ]  # fmt: skip


def test_an_interruption_is_one_line_and_writes_nothing(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = here.spec(text=HEAD + TRAINING)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archcheck.training.calibration._train_seeds", interrupt)
    assert main(["calibrate", str(path), "--device", "cpu", "--no-speed"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "archcheck: interrupted, nothing was written"
    assert path.read_text() == HEAD + TRAINING


@pytest.mark.parametrize(
    ("training", "arguments", "message"),
    [
        ("", [], r"small.arch.yaml: no `training` to calibrate; add one, such as training: {dataset: NAME}"),
        (TRAINING, ["--seeds", "1"], "a minimum is set from the spread of 2 runs at least"),
        (TRAINING.replace("lr: 0.1", "lr: 1e9"), [], r"small.arch.yaml:6: seed 0: the loss "),
        (TRAINING.replace("SGD", "SDG"), [], r"small.arch.yaml:6: .*SDG"),
        (
            TRAINING,
            ["--device", "tpu"],
            "expected auto or a device that torch knows, found 'tpu'; this machine has cpu",
        ),
    ],
)
def test_what_stands_in_the_way_is_one_line(
    here: Project, capsys: pytest.CaptureFixture[str], training: str, arguments: list[str], message: str
) -> None:
    path = here.spec(text=HEAD + training)
    assert main(["calibrate", "specs/small.arch.yaml", "--device", "cpu", "--no-speed", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("archcheck: error: ")
    assert re.search(message, last)
    assert path.read_text() == HEAD + training


def test_a_spec_that_can_not_be_edited_is_told_before_anything_is_trained(
    here: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = "training:\n  dataset: fashion-mnist-mini\n  accuracy: &least\n    0.5\n  clip_grad_norm: *least\n"
    path = here.spec(text=HEAD + shared)
    monkeypatch.setattr("archcheck.training.calibration._train_seeds", None)
    assert main(["calibrate", str(path), "--device", "cpu", "--no-speed"]) == 2
    first, last = capsys.readouterr().err.splitlines()
    assert first == "archcheck: the quick recipe with 5 seeds on cpu"
    assert last.endswith("shared by an alias); edit it by hand")
