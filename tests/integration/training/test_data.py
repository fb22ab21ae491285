"""Where the data of a training run comes from."""

from __future__ import annotations

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import CLOUDS, SETS, accuracy


def test_data_that_is_not_there_is_no_verdict(toys: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHCHECK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(toys.path / "cache"))
    text = CLOUDS.replace("sets:clouds", "cifar10").replace("[B, 2]", "[B, 3, 32, 32]")
    result = accuracy(toys, text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] specs/toy.arch.yaml:3: *cifar*--archcheck-download*"])


@pytest.mark.parametrize("how", ["option", "environment"])
def test_data_is_found_where_it_is_said_to_be(toys: Project, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    for split, label in [(split, label) for split in ("train", "test") for label in ("dark", "light")]:
        folder = toys.path / "lake" / "shades" / split / label
        folder.mkdir(parents=True)
        for number in range(4):
            pillow.new("L", (4, 4), 40 if label == "dark" else 200).save(folder / f"{number}.png")
    toys.write(
        "flat.py",
        "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * 16, 2))\n".replace(
            "CHANNELS", "3"
        ),
    )
    text = """\
build: flat:net
input: [B, 3, 4, 4]
training:
  dataset: {name: image-folder, path: shades}
  optimizer: {name: SGD, lr: 0.5}
  batch_size: 8
  epochs: 20
  accuracy: 1.0
"""
    arguments = ["--archcheck-data", "lake"] if how == "option" else []
    if how == "environment":
        monkeypatch.setenv("ARCHCHECK_DATA", "lake")
    accuracy(toys, text, *arguments).assert_outcomes(passed=1)


def test_data_in_a_file_beside_the_spec_whatever_its_letters(toys: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.write("specs/modèles/données.py", SETS)
    toys.spec("modèles/réseau", CLOUDS.replace("sets:clouds", "données.py:clouds"))
    elsewhere = toys.path / "deep"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = toys.run("--rootdir", str(toys.path), "-c", str(toys.path / "pytest.ini"), "-m", "archcheck_accuracy")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["../specs/modèles/réseau.arch.yaml  quick *"])
