"""A layer that is split into several, or several that are merged into one, together with a mistake or without."""

from __future__ import annotations

import pytest

from tests.integration.project import Project, messages

NET = """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj((q @ k.transpose(-2, -1) / 4).softmax(-1) @ v)

class SwiGlu(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_up = nn.Linear(16, 64, bias=False)
        self.down = nn.Linear(32, 16, bias=False)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(nn.functional.silu(gate) * up)

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.mlp = Attention(), SwiGlu()

    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])
"""
SPEC = """\
build: ../net.py:Net
input: [B, 6, 16]

layers:
  blocks.*:             {type: Block}
  blocks.*.attn.qkv:    {type: Linear, output: [B, 6, 48], parameters: 816}  # queries, keys, values
  blocks.*.attn.proj:   {type: Linear, output: [B, 6, 16], parameters: 272}
  blocks.*.mlp.gate_up: {type: Linear, output: [B, 6, 64], parameters: 1_024}
  blocks.*.mlp.down:    {type: Linear, output: [B, 6, 16], parameters: 512}
  head:                 {type: Linear}
output: [B, 3]
"""
SPLIT_QKV = {
    "self.qkv = nn.Linear(16, 48)": "self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))",
    "self.qkv(x).chunk(3, -1)": "self.q(x), self.k(x), self.v(x)",
}
SPLIT_GLU = {
    "self.gate_up = nn.Linear(16, 64, bias=False)": "self.up, self.gate = (nn.Linear(16, 32, False) for _ in range(2))",
    "self.gate_up(x).chunk(2, -1)": "self.gate(x), self.up(x)",
}
BY_HEAD = {  # each head has its own queries, keys and values behind each other
    "self.qkv(x).chunk(3, -1)": "(one.flatten(-2) for one in self.qkv(x).unflatten(-1, (2, 3, 8)).unbind(-2))"
}
RELU = {"nn.functional.silu": "torch.relu"}
UNSCALED = {"self.proj((q @ k.transpose(-2, -1) / 4)": "self.proj((q @ k.transpose(-2, -1))"}
QKV = "blocks.*.attn.qkv: was split into blocks.*.attn.q, blocks.*.attn.k, blocks.*.attn.v"
GLU = "blocks.*.mlp.gate_up: was split into blocks.*.mlp.gate, blocks.*.mlp.up"
MERGED = "blocks.*.attn.q: was merged with blocks.*.attn.k, blocks.*.attn.v to blocks.*.attn.qkv"
SAME = "all else is as it was: it was run with the recorded weights, packed as they are now"
BESIDE = "what differs beside that is told above: it was run with the recorded weights, packed as they are now"
QKV_ROWS = """\
  blocks.*.attn.q:      {type: Linear, output: [B, 6, 16], parameters: 272}  # queries, keys, values
  blocks.*.attn.k:      {type: Linear, output: [B, 6, 16], parameters: 272}
  blocks.*.attn.v:      {type: Linear, output: [B, 6, 16], parameters: 272}
"""
GLU_ROWS = """\
  blocks.*.mlp.gate:    {type: Linear, output: [B, 6, 32], parameters: 512}
  blocks.*.mlp.up:      {type: Linear, output: [B, 6, 32], parameters: 512}
"""
OLD_QKV_ROW, OLD_GLU_ROW = SPEC.splitlines(True)[5], SPEC.splitlines(True)[7]
SPLIT_SPEC = SPEC.replace(OLD_QKV_ROW, QKV_ROWS)


def edited(text: str, *edits: dict[str, str]) -> str:
    for one in edits:
        for old, new in one.items():
            assert old in text
            text = text.replace(old, new)
    return text


def swapped(edit: dict[str, str]) -> dict[str, str]:
    return {new: old for old, new in edit.items()}


def told(project: Project, spec: str, net: str, after: str, *args: str) -> list[list[str]]:
    """What is told of a network that was edited, message by message; then the update writes the spec."""
    project.write("net.py", net)
    path = project.spec("net", spec)
    assert project.run("-k", "function", "--archcheck-update=new").ret == 0
    project.write("edited.py", after)
    path.write_text(spec.replace("net.py", "edited.py"))
    result = project.run("-k", "function", *args)
    assert result.ret == 1
    return [one for kind in ("yaml", "lock") for one in messages(result, f"specs/net.arch.{kind}")]


@pytest.mark.parametrize(
    ("spec", "net", "edits", "problem", "weights"),
    [
        (SPEC, NET, [SPLIT_QKV], QKV, 'blocks.*.attn.k.weight, blocks.*.attn.v.weight)"'),
        (SPEC, NET, [SPLIT_GLU], GLU, '"concat(blocks.*.mlp.gate.weight, blocks.*.mlp.up.weight)"'),
        (SPLIT_SPEC, edited(NET, SPLIT_QKV), [swapped(SPLIT_QKV)], MERGED, '"split(blocks.*.attn.qkv.bias, 3, 2)"'),
        (
            SPLIT_SPEC, edited(NET, SPLIT_QKV), [swapped(SPLIT_QKV), {"self.attn": "self.mixer"}],
            "blocks.*.mixer.q: was merged with blocks.*.mixer.k, blocks.*.mixer.v to blocks.*.mixer.qkv",
            '"split(blocks.*.mixer.qkv.bias, 3, 2)"',
        ),
        (SPEC, edited(NET, BY_HEAD), [swapped(BY_HEAD), SPLIT_QKV], QKV, '"reshape(concat(reshape('),
    ],
    ids=["queries, keys, values", "gated", "merged", "merged in a module of another name", "head by head"],
)  # fmt: skip
def test_a_layer_in_several_parts_computes_what_it_did(
    project: Project, spec: str, net: str, edits: list[dict[str, str]], problem: str, weights: str
) -> None:
    (message,) = told(project, spec, net, edited(net, *edits))
    assert message[0].endswith(f": {problem}")
    assert f"  note      {SAME}" in message
    (line,) = [one for one in message if one.startswith("  weights")]
    assert weights in line


@pytest.mark.parametrize(
    ("mistake", "subject", "cause"),
    [
        (RELU, "blocks.0.mlp.down", ["  cause     an activation: relu now, silu was recorded"]),
        (UNSCALED, "blocks.0.attn.proj", ["  cause     a factor of 0.25 is missing after matmul"]),
    ],
)
def test_a_mistake_beside_a_split_is_named_where_it_is(
    project: Project, mistake: dict[str, str], subject: str, cause: list[str]
) -> None:
    first, split = told(project, SPEC, NET, edited(NET, SPLIT_QKV, mistake))
    assert first[0].endswith(f": {subject}: the output differs")
    assert [line for line in first if line.startswith("  cause")] == cause
    assert split[0].endswith(f": {QKV}")
    assert f"  note      {BESIDE}" in split


@pytest.mark.parametrize(
    ("spec", "net", "edits", "expected"),
    [
        (SPEC, NET, [SPLIT_QKV, SPLIT_GLU], SPLIT_SPEC.replace(OLD_GLU_ROW, GLU_ROWS)),
        (SPLIT_SPEC, edited(NET, SPLIT_QKV), [swapped(SPLIT_QKV)], SPEC),
        (
            SPLIT_SPEC,
            edited(NET, SPLIT_QKV),
            [swapped(SPLIT_QKV), {"self.attn": "self.mixer"}],
            SPEC.replace("attn.qkv: ", "mixer.qkv:").replace("attn.proj: ", "mixer.proj:"),
        ),
    ],
    ids=["split", "merged", "merged in a module of another name"],
)
def test_an_update_writes_the_rows(
    project: Project, spec: str, net: str, edits: list[dict[str, str]], expected: str
) -> None:
    told(project, spec, net, edited(net, *edits))
    assert project.run("--archcheck-update").ret == 0
    text = (project.path / "specs/net.arch.yaml").read_text()
    assert text == expected.replace("net.py", "edited.py")
    assert project.run().ret == 0


def test_layers_one_behind_the_other_are_no_split(project: Project) -> None:
    bottleneck = {
        "self.gate_up = nn.Linear(16, 64, bias=False)": "self.a, self.b = (nn.Linear(n, 32, False) for n in (16, 32))",
        "gate, up = self.gate_up(x).chunk(2, -1)": "gate = self.a(x)\n        up = self.b(gate)",
    }
    messages_of_function = told(project, SPEC, NET, edited(NET, bottleneck))
    assert not [line for one in messages_of_function for line in one if "split" in line]
    result = project.run("-k", "shapes")
    result.stdout.fnmatch_lines(["specs/net.arch.yaml:8: blocks.*.mlp.gate_up: no module matches"])
