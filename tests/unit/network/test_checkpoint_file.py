from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from archcheck.errors import NotMeasured
from archcheck.network.checkpoint_file import read_checkpoint


@pytest.fixture
def layer() -> nn.Module:
    return nn.Linear(2, 3)


def test_a_file_of_torch_save_is_read(tmp_path: Path, layer: nn.Module) -> None:
    torch.save(layer.state_dict(), tmp_path / "net.pt")
    assert list(read_checkpoint(tmp_path / "net.pt")) == ["weight", "bias"]


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_beside_other_things_is_found(tmp_path: Path, layer: nn.Module, name: str) -> None:
    torch.save({"epoch": 3, name: layer.state_dict()}, tmp_path / "net.pt")
    assert list(read_checkpoint(tmp_path / "net.pt")) == ["weight", "bias"]


def test_a_key_says_where_it_is(tmp_path: Path, layer: nn.Module) -> None:
    torch.save({"ema": layer.state_dict(), "model": {"other": torch.zeros(1)}}, tmp_path / "net.pt")
    assert list(read_checkpoint(tmp_path / "net.pt", "ema")) == ["weight", "bias"]
    with pytest.raises(ValueError, match=r"^has no 'emma'; it has ema, model$"):
        read_checkpoint(tmp_path / "net.pt", "emma")


def test_a_key_may_be_the_way_to_a_nested_place(tmp_path: Path, layer: nn.Module) -> None:
    torch.save({"net": {"ema": layer.state_dict(), "epoch": 3}}, tmp_path / "net.pt")
    assert list(read_checkpoint(tmp_path / "net.pt", "net.ema")) == ["weight", "bias"]
    with pytest.raises(ValueError, match=r"^has no 'emma'; it has ema, epoch$"):
        read_checkpoint(tmp_path / "net.pt", "net.emma")


def test_a_key_must_lead_to_tensors(tmp_path: Path, layer: nn.Module) -> None:
    torch.save({"ema": layer.state_dict(), "config": {"depth": 3}}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"^'config' is a dict, expected a state_dict: names and tensors$"):
        read_checkpoint(tmp_path / "net.pt", "config")


def test_what_holds_no_tensors_is_not_taken_for_the_state_dict(tmp_path: Path, layer: nn.Module) -> None:
    torch.save({"model": {"name": "net"}, **layer.state_dict()}, tmp_path / "net.pt")
    assert "weight" in read_checkpoint(tmp_path / "net.pt")


def test_a_pointer_of_git_lfs_says_what_to_do(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / "net.safetensors").write_text(pointer)
    with pytest.raises(ValueError, match=r"^is a pointer of Git LFS; fetch the file itself: git lfs pull$"):
        read_checkpoint(tmp_path / "net.safetensors")


def test_nothing_in_a_file_is_run(tmp_path: Path, layer: nn.Module) -> None:
    torch.save(layer, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"^holds more than tensors, which is not loaded; save model\.state_dict\(\)$"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut short", pickle.dumps(3)[:-1]])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"^is not a file of torch\.save, or broken$"):
        read_checkpoint(tmp_path / "net.pt")


def test_a_file_without_tensors_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"^holds no state_dict; it has epoch$"):
        read_checkpoint(tmp_path / "net.pt")
    torch.save([1, 2], tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"^holds no state_dict; it has a list$"):
        read_checkpoint(tmp_path / "net.pt")


def test_safetensors_are_read_where_installed(tmp_path: Path, layer: nn.Module) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(layer.state_dict(), tmp_path / "net.safetensors")
    assert sorted(read_checkpoint(tmp_path / "net.safetensors")) == ["bias", "weight"]


def test_without_safetensors_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "net.safetensors").write_bytes(b"")
    with pytest.raises(NotMeasured, match=r"^net\.safetensors: safetensors is not installed; pip install safetensors$"):
        read_checkpoint(tmp_path / "net.safetensors")
