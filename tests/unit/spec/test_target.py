"""Build targets as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archcheck.errors import BuildError
from archcheck.spec.target import parse_target


@pytest.mark.parametrize(
    ("text", "kind", "source", "attribute"),
    [
        ("archcheck.zoo.lenet:lenet5", "module", "archcheck.zoo.lenet", "lenet5"),
        ("nets:Net.small", "module", "nets", "Net.small"),
        ("torchvision.models:resnet50", "module", "torchvision.models", "resnet50"),
        ("transformers:BertModel", "module", "transformers", "BertModel"),
        ("diffusers:UNet2DModel", "module", "diffusers", "UNet2DModel"),
        ("model.py:Net", "path", "model.py", "Net"),
        ("../src/my-nets.py:Net", "path", "../src/my-nets.py", "Net"),
        ("a:b.py:Net", "path", "a:b.py", "Net"),
        ("torchvision:resnet50", "registry", "torchvision", "resnet50"),
        ("timm:vit_tiny_patch16_224.augreg_in21k", "registry", "timm", "vit_tiny_patch16_224.augreg_in21k"),
        ("transformers:bert.json", "config", "bert.json", ""),
        ("transformers:../my models/config.json:BertModel", "config", "../my models/config.json", "BertModel"),
        ("diffusers:/models/unet/config.json", "config", "/models/unet/config.json", ""),
    ],
)
def test_the_forms_of_a_target(text: str, kind: str, source: str, attribute: str) -> None:
    target = parse_target(text)
    assert (target.kind, target.source, target.attribute) == (kind, source, attribute)
    assert str(target) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nets:Net.small", "Net.small"),
        ("timm:vit_tiny_patch16_224.augreg_in21k", "vit_tiny_patch16_224.augreg_in21k"),
        ("transformers:models/bert.json:BertModel", "bert"),
        ("transformers:models/bert-base/config.json", "bert-base"),
        ("diffusers:config.json", "config"),
    ],
)
def test_what_a_spec_of_a_target_is_called(text: str, name: str) -> None:
    assert parse_target(text).short_name == name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("nets.py:Net", "../nets.py:Net"),
        ("specs/nets.py:Net", "nets.py:Net"),
        ("transformers:bert.json", "transformers:../bert.json"),
        ("diffusers:unet/config.json:UNet2DModel", "diffusers:../unet/config.json:UNet2DModel"),
        ("nets:Net", "nets:Net"),
        ("timm:resnet18", "timm:resnet18"),
    ],
)
def test_files_count_from_the_folder_of_the_spec(text: str, seen: str) -> None:
    assert parse_target(text).seen_from(Path("/a/specs"), Path("/a")) == seen


FORMS = (
    "expected module:callable, path/to/file.py:callable, torchvision:NAME, timm:NAME, transformers:CONFIG.json or "
    "diffusers:CONFIG.json"
)
SCHEMES = "(there are diffusers, timm, torchvision, transformers)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{FORMS}, found ''"),
        ("lenet5", f"{FORMS}, found 'lenet5'"),
        (":Net", f"{FORMS}, found ':Net'"),
        ("model.py:", f"{FORMS}, found 'model.py:'"),
        ("transformers:", f"{FORMS}, found 'transformers:'"),
        ("a\0b:Net", f"{FORMS}, found 'a\\x00b:Net'"),
        ("nets/model:Net", "'nets/model:Net': expected a .py file before the colon, found 'nets/model'"),
        (".nets:Net", "'.nets:Net': expected a module or a .py file before the colon, found '.nets'"),
        ("nets.py:Net()", "'nets.py:Net()': expected the name of a callable after the colon, found 'Net()'"),
        ("nets:a-b", "'nets:a-b': expected the name of a callable after the colon, found 'a-b'; there is no scheme "
         f"'nets' {SCHEMES}"),
        ("tmm:a/b", "'tmm:a/b': expected the name of a callable after the colon, found 'a/b'; there is no scheme 'tmm':"
         f" did you mean 'timm'? {SCHEMES}"),
        ("tmm:a:b", "'tmm:a:b': expected a module or a .py file before the colon, found 'tmm:a'; there is no scheme"
         f" 'tmm': did you mean 'timm'? {SCHEMES}"),
        ("timm:hf/x", "'timm:hf/x': expected the name of a timm model after the colon, found 'hf/x'"),
        ("timm:hf-hub:x", "'timm:hf-hub:x': expected the name of a timm model after the colon, found 'hf-hub:x'"),
        ("transformers:bert/config", "'transformers:bert/config': expected the path of a configuration file, as in "
         "transformers:CONFIG.json, found 'bert/config'"),
        ("transformers:bert.json:a-b", "'transformers:bert.json:a-b': expected the name of a class after the file, "
         "found 'a-b'"),
        ("transformers:bert.json:", f"{FORMS}, found 'transformers:bert.json:'"),
    ],
)  # fmt: skip
def test_what_is_no_target_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(BuildError, match=f"^{re.escape(message)}$"):
        parse_target(text)
