"""The runs of one session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import NotMeasured
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.training import trainer
from archcheck.training.options import RunOptions
from archcheck.training.session import TrainingRefused, TrainingSession

HEAD = "build: archcheck.zoo.lenet:lenet5\ninput: [B, 1, 28, 28]\n"


def spec(training: str, path: str = "specs/net.arch.yaml") -> SpecFile:
    return parse_spec(f"{HEAD}training: {training}\n", path, Path(path))


def test_a_recipe_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(name: str) -> None:
        function = getattr(trainer, name)

        def call(*args: object) -> object:
            asked.append(name)
            return function(*args)

        monkeypatch.setattr(trainer, name, call)

    counted("choose_recipe")
    counted("check_recipe")
    session = TrainingSession(RunOptions(device="cpu"), Path.cwd())
    net = spec("{dataset: fashion-mnist-mini, epochs: 7}")
    assert not session.recipe_problems(net)
    assert session.recipe_of(net) is session.recipe_of(net)
    assert session.recipe_of(net).epochs == 7
    assert sorted(asked) == ["check_recipe", "choose_recipe"]


def test_two_specs_have_a_recipe_each() -> None:
    session = TrainingSession(RunOptions(device="cpu"), Path.cwd())
    recipes = [
        session.recipe_of(spec(f"{{dataset: digits, epochs: {epochs}}}", f"{epochs}.arch.yaml")) for epochs in (3, 4)
    ]
    assert [recipe.epochs for recipe in recipes] == [3, 4]


def test_a_recipe_that_torch_lacks_a_part_of_is_refused_at_its_line() -> None:
    session = TrainingSession(RunOptions(device="cpu"), Path.cwd())
    with pytest.raises(TrainingRefused, match=r"^specs/net\.arch\.yaml:3: .*SDG") as refused:
        session.recipe_of(spec("{dataset: digits, optimizer: SDG}"))
    assert refused.value.mismatch.keys == ("training", "optimizer", "name")


def test_training_that_is_off_is_not_measured() -> None:
    session = TrainingSession(RunOptions(kind="off"), Path.cwd())
    with pytest.raises(NotMeasured, match=r"^training is off"):
        session.recipe_of(spec("{dataset: digits}"))


@pytest.mark.parametrize(("other", "checkpoints", "runs"), [
    ("specs/other.arch.yaml", None, 1), ("elsewhere/net.arch.yaml", None, 2), ("specs/other.arch.yaml", "saved", 2),
])  # fmt: skip
def test_the_same_recipe_of_the_same_network_is_trained_once_in_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: str, checkpoints: str | None, runs: int
) -> None:
    trained: list[Path] = []
    train = trainer.Trainer.train

    def counted(self: trainer.Trainer, *args: Any, **kwargs: Any) -> Any:
        trained.append(self.spec_file.path)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(trainer.Trainer, "train", counted)
    options = RunOptions(device="cpu", checkpoints=tmp_path / checkpoints if checkpoints else None)
    session = TrainingSession(options, Path.cwd())
    specs = [
        spec("{dataset: fashion-mnist-mini, batch_size: 20, epochs: 1, steps_per_epoch: 1}", path)
        for path in ("specs/net.arch.yaml", other)
    ]
    first, second = (session.train(one, session.recipe_of(one)) for one in specs)
    assert first.final_accuracy == second.final_accuracy
    assert len(trained) == runs
