"""Build targets as text."""

from __future__ import annotations

import re

import pytest

from archcheck.errors import BuildError
from archcheck.spec.target import parse_target


@pytest.mark.parametrize(
    ("text", "kind", "source", "attribute"),
    [
        ("archcheck.zoo.lenet:lenet5", "module", "archcheck.zoo.lenet", "lenet5"),
        ("nets:Net.small", "module", "nets", "Net.small"),
        ("torchvision.models:resnet50", "module", "torchvision.models", "resnet50"),
        ("model.py:Net", "path", "model.py", "Net"),
        ("../src/my-nets.py:Net", "path", "../src/my-nets.py", "Net"),
        ("a:b.py:Net", "path", "a:b.py", "Net"),
        ("torchvision:resnet50", "torchvision", "torchvision", "resnet50"),
        ("timm:vit_tiny_patch16_224.augreg_in21k", "timm", "timm", "vit_tiny_patch16_224.augreg_in21k"),
    ],
)
def test_the_forms_of_a_target(text: str, kind: str, source: str, attribute: str) -> None:
    target = parse_target(text)
    assert (target.kind, target.source, target.attribute) == (kind, source, attribute)
    assert str(target) == text


FORMS = "expected module:callable, path/to/file.py:callable, torchvision:NAME or timm:NAME"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{FORMS}, found ''"),
        ("lenet5", f"{FORMS}, found 'lenet5'"),
        (":Net", f"{FORMS}, found ':Net'"),
        ("model.py:", f"{FORMS}, found 'model.py:'"),
        ("a\0b:Net", f"{FORMS}, found 'a\\x00b:Net'"),
        ("nets/model:Net", "'nets/model:Net': expected a .py file before the colon, found 'nets/model'"),
        (".nets:Net", "'.nets:Net': expected a module or a .py file before the colon, found '.nets'"),
        ("nets:Net()", "'nets:Net()': expected the name of a callable after the colon, found 'Net()'"),
        ("nets:a-b", "'nets:a-b': expected the name of a callable after the colon, found 'a-b'"),
        ("timm:hf/x", "'timm:hf/x': expected the name of a timm model after the colon, found 'hf/x'"),
        ("timm:hf-hub:x", "'timm:hf-hub:x': expected a module or a .py file before the colon, found 'timm:hf-hub'"),
    ],
)
def test_what_is_no_target_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(BuildError, match=f"^{re.escape(message)}$"):
        parse_target(text)
