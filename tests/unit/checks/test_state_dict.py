from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from archcheck.checks.state_dict import compare_states, guess_renames, read_checkpoint
from archcheck.errors import NotMeasured
from archcheck.findings import Edit
from archcheck.spec.values import StateEntry

KEYS = ("state_dict", "keys")


def entries(**shapes: tuple[int, ...]) -> dict[str, StateEntry]:
    return {name.replace("__", "."): StateEntry(shape, "float32") for name, shape in shapes.items()}


def test_equal_states_have_no_mismatch() -> None:
    assert not list(compare_states(entries(a=(2,)), entries(a=(2,)), KEYS))


def test_a_renamed_module_is_guessed_by_its_shapes() -> None:
    old = entries(conv1__weight=(6, 1, 5, 5), conv1__bias=(6,), fc__weight=(10, 6))
    new = entries(stem__weight=(6, 1, 5, 5), stem__bias=(6,), fc__weight=(10, 6))
    (found,) = compare_states(old, new, KEYS)
    assert found.keys == (*KEYS, "conv1.weight")
    assert found.problem == "2 keys are missing, 2 keys are not expected"
    assert found.notes == (
        ("missing", "conv1.weight, conv1.bias"),
        ("unexpected", "stem.weight, stem.bias"),
        ("renamed?", "conv1.* -> stem.* (2 keys): the same shapes in the same order"),
    )


def test_a_wrapped_network_is_one_rename() -> None:
    names = entries(a__weight=(3,), b__weight=(4,))
    wrapped = {f"module.{name}": entry for name, entry in names.items()}
    assert guess_renames(names, wrapped) == ["* -> module.* (2 keys)"]


def test_names_of_other_shapes_are_no_renames() -> None:
    assert not guess_renames(entries(a=(3,)), entries(b=(4,)))


def test_only_missing_names_are_told() -> None:
    (found,) = compare_states(entries(a=(1,), b=(2,)), entries(a=(1,)), KEYS)
    assert (found.problem, found.notes) == ("1 key is missing", (("missing", "b"),))


def test_names_do_not_matter_where_they_need_not_agree() -> None:
    assert not list(compare_states(entries(a=(1,), b=(2,)), entries(a=(1,), c=(2,)), KEYS, strict=False))


def test_another_shape_is_told_of_its_key_and_can_be_accepted() -> None:
    (found,) = compare_states(entries(a=(64, 3)), entries(a=(64, 1)), KEYS)
    assert (found.subject, found.problem) == ("a", "shape differs")
    assert (found.expected, found.actual) == ("[64, 3]", "[64, 1]")
    assert found.edits == (Edit((*KEYS, "a"), [64, 1]),)


def test_another_dtype_is_a_difference() -> None:
    (found,) = compare_states({"n": StateEntry((), "int64")}, {"n": StateEntry((), "int32")}, KEYS)
    assert (found.problem, found.expected, found.actual) == ("dtype differs", "[] int64", "[] int32")
    assert found.edits[0].value == {"shape": [], "dtype": "int32"}


def test_a_name_without_a_shape_holds_for_any() -> None:
    assert not list(compare_states({"a": None}, entries(a=(7,)), KEYS))


def test_what_is_no_tensor_is_told_from_a_tensor() -> None:
    (found,) = compare_states({"x": StateEntry(None)}, entries(x=(1,)), KEYS)
    assert (found.expected, found.actual) == ("no tensor", "[1]")


# ------------------------------------------------------------------------------------------- files


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


def test_names_in_alphabetical_order_are_matched_by_their_shapes() -> None:
    missing = entries(b__weight=(3, 2), b__bias=(3,), a__weight=(5, 4), a__bias=(5,))
    unexpected = entries(m__a__bias=(5,), m__a__weight=(5, 4), m__b__bias=(3,), m__b__weight=(3, 2))
    assert guess_renames(missing, unexpected) == ["* -> m.* (4 keys)"]


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
