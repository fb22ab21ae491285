"""What specs of one factory are called."""

from __future__ import annotations

import re
from typing import Any

import pytest

from archcheck.cli.spec_names import distinct_names, spec_name_for
from archcheck.spec.target import parse_target

FACTORY = parse_target("zoo:make")


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({}, "make"),
        ({"name": "resnet26", "width": 4}, "make-resnet26-width_4"),
        ({"cfg": {"width": 32, "depths": [2, 2]}}, "make-width_32-depths_2x2"),
        ({"cfg": {"stem": {"width": 8}, "head": {"width": 4, "bias": False}}},
         "make-cfg.stem.width_8-cfg.head.width_4-bias_false"),
        ({"cfg": {"model_type": "gpt", "name": "tiny"}}, "make-model_type_gpt-tiny"),
        ({"scales": [0.5, 1.0]}, "make-scales_0.5x1.0"),
        ({"blocks": ["conv", "mlp"]}, "make-blocks_conv_mlp"),
        ({"stages": [[1, 2], [3, 4]]}, "make-stages_1x2_3x4"),
        ({"act": "class:torch.nn.GELU", "dtype": "torch.bfloat16"}, "make-act_GELU-dtype_torch.bfloat16"),
        ({"norm": {"class:torch.nn.LayerNorm": {"eps": 1e-6}}}, "make-norm_LayerNorm-eps_1e-06"),
        ({"norm": {"class:torch.nn.Identity": {}}}, "make-norm_Identity"),
        ({"drop": None, "cfg": {}, "sizes": []}, "make-drop_null-cfg_empty-sizes_empty"),
        # What a file's name can't say ends in a digest.
        ({"name": "a/b"}, "make-a_b-HASH"),
        ({"name": "n" * 99}, f"make-{'n' * 75}-HASH"),
    ],
)  # fmt: skip
def test_a_name_says_the_arguments(args: dict[str, Any], name: str) -> None:
    assert re.sub("-[0-9a-f]{6}$", "-HASH", spec_name_for(FACTORY, args)) == name


def test_names_are_other_ones_whatever_the_file_system_thinks() -> None:
    args: list[dict[str, Any]] = [{"width": 32}, {"cfg": {"width": 32}}, {"name": "a"}, {"name": "A"}]
    names = distinct_names([spec_name_for(FACTORY, one) for one in args], [FACTORY] * 4, args)
    assert len({name.casefold() for name in names}) == 4
    assert names == distinct_names([spec_name_for(FACTORY, one) for one in args], [FACTORY] * 4, args)
