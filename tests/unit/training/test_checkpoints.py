"""The best network of a run in a file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from archcheck.errors import UsageError
from archcheck.training.checkpoints import BestCheckpoint
from archcheck.training.records import EpochRecord


def epoch(accuracy: float) -> EpochRecord:
    return EpochRecord(1, 0.5, accuracy, accuracy, 100.0, 1.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_the_best_is_kept(tmp_path: Path) -> None:
    keeper, network = BestCheckpoint(tmp_path / "a" / "b"), nn.Linear(1, 1, bias=False)
    for number, accuracy in enumerate([0.5, 0.9, 0.7, 0.9]):
        nn.init.constant_(network.weight, float(number))
        keeper.save_if_best(epoch(accuracy), network)
    assert names(tmp_path / "a" / "b") == ["model_0.90.pt"]
    state = torch.load(tmp_path / "a" / "b" / "model_0.90.pt", weights_only=True)
    assert state["weight"].tolist() == [[1.0]]  # the first of equals


def test_a_better_one_of_the_same_name_takes_its_place(tmp_path: Path) -> None:
    keeper, network = BestCheckpoint(tmp_path), nn.Linear(1, 1, bias=False)
    for number, accuracy in enumerate([0.901, 0.902]):
        nn.init.constant_(network.weight, float(number))
        keeper.save_if_best(epoch(accuracy), network)
    assert names(tmp_path) == ["model_0.90.pt"]
    assert torch.load(tmp_path / "model_0.90.pt", weights_only=True)["weight"].tolist() == [[1.0]]


def test_a_disk_that_is_full_leaves_the_one_before_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, network = BestCheckpoint(tmp_path), nn.Linear(1, 1)
    keeper.save_if_best(epoch(0.5), network)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UsageError, match=r"model_0\.60\.pt: can't be written: No space left on device"):
        keeper.save_if_best(epoch(0.6), network)
    assert names(tmp_path) == ["model_0.50.pt"]
    torch.load(tmp_path / "model_0.50.pt", weights_only=True)


def test_an_interrupt_leaves_no_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(state: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt("by hand")

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt, match="by hand"):
        BestCheckpoint(tmp_path).save_if_best(epoch(0.5), nn.Linear(1, 1))
    assert names(tmp_path) == []


class Unsaveable(nn.Linear):
    def get_extra_state(self) -> object:
        return lambda: None


def test_a_network_that_cannot_be_saved_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model_0\.50\.pt: "):
        BestCheckpoint(tmp_path).save_if_best(epoch(0.5), Unsaveable(1, 1))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    BestCheckpoint(tmp_path / "kept").save_if_best(epoch(0.5), nn.Linear(1, 1))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "other", tmp_path / "kept" / "model_0.50.pt")]
    assert modes[0] == modes[1]


def test_a_file_that_somebody_took_away_is_no_trouble(tmp_path: Path) -> None:
    keeper = BestCheckpoint(tmp_path)
    keeper.save_if_best(epoch(0.5), nn.Linear(1, 1))
    (tmp_path / "model_0.50.pt").unlink()
    keeper.save_if_best(epoch(0.6), nn.Linear(1, 1))
    assert names(tmp_path) == ["model_0.60.pt"]
