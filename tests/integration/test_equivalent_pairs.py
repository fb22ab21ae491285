"""Networks of libraries that are one function, found so; `benchmarks/equivalent_pairs.py` has more of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project

HUGGING = """
import transformers
SMALL = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)

def build(attention, activation):
    config = transformers.BertConfig(**SMALL, hidden_act=activation)
    config._attn_implementation = attention
    return transformers.BertModel(config)

def eager(activation="gelu"):
    return build("eager", activation)

def sdpa():
    return build("sdpa", "gelu")

def relu():
    return build("eager", "relu")
"""
ATTENTION = """
from torch import nn

class Separate(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(16, 16) for _ in range(4))
        self.scale = scale * 8 ** -0.5

    def forward(self, x):
        q, k, v = (one(x).unflatten(-1, (2, 8)).transpose(1, 2) for one in (self.to_q, self.to_k, self.to_v))
        return self.to_out(((q @ k.transpose(-2, -1) * self.scale).softmax(-1) @ v).transpose(1, 2).flatten(2))

def scaled():
    return Separate(1.1)

class Torchs(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]
"""
IMAGE = ("--input", "B,3,64,64", "--function")
TOKENS = ("--input", "B,5,16", "--function")
IDS = ("--input", "input_ids=B,12:int64<99", "--input", "attention_mask=B,12:int64<2", "--function")


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_network_of_two_libraries_is_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["diff", f"torchvision:{name}", f"timm:{name}", *IMAGE]) == 0


@pytest.mark.parametrize("change", ["bn1.eps = 1e-3", "relu = nn.GELU()", "maxpool = nn.AvgPool2d(3, 2, 1)"])
def test_one_change_in_a_network_of_two_libraries_is_found(
    project: Project, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    project.write(
        "changed.py",
        "from torch import nn\nfrom torchvision.models import resnet18\n"
        f"def net():\n    made = resnet18()\n    made.{change}\n    return made\n",
    )
    assert main(["diff", "changed.py:net", "timm:resnet18", *IMAGE]) == 1
    out = capsys.readouterr().out
    assert "first difference in function: " in out
    assert "they would match" not in out


def test_two_implementations_of_attention_are_one(project: Project) -> None:
    pytest.importorskip("transformers")
    project.write("nets.py", HUGGING)
    assert main(["diff", "nets.py:eager", "nets.py:sdpa", *IDS]) == 0
    assert main(["diff", "nets.py:relu", "nets.py:sdpa", *IDS]) == 1


def test_attention_in_separate_layers_is_torchs_own(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("nets.py", ATTENTION)
    assert main(["diff", "nets.py:Separate", "nets.py:Torchs", *TOKENS]) == 1
    [line] = re.findall("they would match with weights: (.*)", capsys.readouterr().out)
    weights = {
        "attention.in_proj_weight": "concat(to_q.weight, to_k.weight, to_v.weight)",
        "attention.in_proj_bias": "concat(to_q.bias, to_k.bias, to_v.bias)",
    }
    assert line == "{" + ", ".join(f'{name}: "{text}"' for name, text in weights.items()) + "}"
    given = ("--weights", json.dumps(weights))
    assert main(["diff", "nets.py:Separate", "nets.py:Torchs", *TOKENS, *given]) == 0
    assert main(["diff", "nets.py:scaled", "nets.py:Torchs", *TOKENS, *given]) == 1
