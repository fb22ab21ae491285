"""A mistake made together with an edit is named where it is, under the names that there are now."""

from __future__ import annotations

import pytest

from tests.integration.project import Project, messages

SPEC = """\
build: ../net.py:Net
input: [B, 6, 8]

layers:
  stem:             {type: Linear}
  blocks.*:         {type: Block}
  blocks.*.norm:    {type: LayerNorm}
  blocks.*.mlp:     {type: Mlp}
  blocks.*.mlp.fc1: {type: Linear, output: [B, 6, 16], parameters: 144}
  blocks.*.mlp.fc2: {type: Linear, output: [B, 6, 8], parameters: 136}
  head:             {type: Linear}
"""
NET = """
from torch import nn

class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 16)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(16, 8)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.mlp = Mlp()

    def forward(self, x):
        return x + self.mlp(self.norm(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])
"""
RENAMED = {"self.mlp": "self.ffn"}
WRAPPED = {
    "        self.fc1 = nn.Linear(8, 16)\n": "",
    "        self.act = nn.GELU()\n": "",
    "self.fc2 = nn.Linear(16, 8)": "self.net = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))",
    "self.fc2(self.act(self.fc1(x)))": "self.net(x)",
}
TRANSPOSED = {  # a module of the same name that hands on what its caller did with it before
    "self.stem = nn.Linear(8, 8)": "self.stem = Stem()",
    "x = self.stem(x)": "x = self.stem(x).transpose(1, 2)",
    "class Net": "class Stem(nn.Linear):\n    def __init__(self):\n        super().__init__(8, 8)\n\n"
    "    def forward(self, x):\n        return super().forward(x).transpose(1, 2)\n\nclass Net",
}
RELU = {"nn.GELU()": "nn.ReLU()"}
WAS_GELU = "cause     an activation: relu now, gelu was recorded"
SECOND = {"x[:, 0]": "x[:, 1]"}


def edited(*edits: dict[str, str]) -> str:
    text = NET
    for one in edits:
        for old, new in one.items():
            assert old in text
            text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("edit", "mistake", "subject", "notes"),
    [
        (RENAMED, RELU, "blocks.0.ffn.act", ["recorded  as blocks.0.mlp.act", WAS_GELU]),
        (WRAPPED, RELU, "blocks.0.mlp.net.1", ["recorded  as blocks.0.mlp.act", WAS_GELU]),
        (TRANSPOSED, RELU, "blocks.0.mlp.act", [WAS_GELU]),
        (TRANSPOSED, SECOND, "head", ["cause     x[:, 1] now, x[:, 0] was recorded"]),
        ({}, RELU, "blocks.0.mlp.act", [WAS_GELU]),
    ],
    ids=["renamed", "wrapped", "transposed inside", "transposed inside, far behind", "no edit"],
)
def test_the_mistake_is_named(
    project: Project, edit: dict[str, str], mistake: dict[str, str], subject: str, notes: list[str]
) -> None:
    project.write("net.py", NET)
    path = project.spec("net", SPEC)
    assert project.run("-k", "function", "--archcheck-update=new").ret == 0
    for name, text in (("edited.py", edited(edit)), ("wrong.py", edited(edit, mistake))):
        project.write(name, text)
        path.write_text(SPEC.replace("net.py", name))
        result = project.run("-k", "function")
        assert result.ret == (name == "wrong.py")
    (message,) = [one for kind in ("yaml", "lock") for one in messages(result, f"specs/net.arch.{kind}")]
    assert message[0].endswith(f": {subject}: the output differs")
    told = [line.strip() for line in message if line.startswith(("  recorded", "  cause"))]
    assert told == notes


BLOCK_MORE = {"range(2)": "range(3)"}
BLOCK_LESS = {"range(2)": "range(1)"}
NORM = {
    "self.head = ": "self.norm = nn.LayerNorm(8)\n        self.head = ",
    "self.head(x[:, 0])": "self.head(self.norm(x)[:, 0])",
}


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (BLOCK_MORE, "note      new before it: blocks.2 (Block)"),
        (BLOCK_LESS, "note      gone before it: blocks.1"),
        (NORM, "note      new before it: norm (LayerNorm)"),
    ],
    ids=["a block more", "a block less", "a layer"],
)
def test_what_was_put_in_or_taken_out_before_the_first_difference_is_told(
    project: Project, edit: dict[str, str], note: str
) -> None:
    """And no operation is named as the cause without which the new layers play no part: the sum around a block."""
    project.write("net.py", NET)
    path = project.spec("net", SPEC)
    assert project.run("-k", "function", "--archcheck-update=new").ret == 0
    project.write("edited.py", edited(edit))
    path.write_text(SPEC.replace("net.py", "edited.py"))
    (message,) = messages(project.run("-k", "function"), "specs/net.arch.yaml")
    assert message[0].endswith(": head: the output differs")
    assert [line.strip() for line in message if line.startswith(("  note", "  cause"))] == [note]
