"""Networks as people write them, edited as people edit them: the update writes what they'd have written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.project import Project

HEAD = "build: ../net.py:Net\ninput: {}\n\n"
VGG = """
from torch import nn

def layers(norm):
    found, before = [], 3
    for width in [8, "M", 16, "M", 32, 32, "M"]:
        if width == "M":
            found += [nn.MaxPool2d(2, 2)]
        else:
            found += [nn.Conv2d(before, width, 3, padding=1), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU(True)]
            before = width
    return found

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*layers(norm=False))
        self.classifier = nn.Sequential(
            nn.Linear(32 * 16, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))
"""
VGG_ROWS = """\
layers:
  # block 1
  features.0:   {type: Conv2d, output: [B, 8, 32, 32]}
  features.2:   [B, 8, 16, 16]
  # block 2
  features.3:   {type: Conv2d, output: [B, 16, 16, 16]}
  features.5:   [B, 16, 8, 8]
  # block 3: two convolutions
  features.6:   {type: Conv2d, output: [B, 32, 8, 8], parameters: 4_640}
  features.8:   {type: Conv2d, output: [B, 32, 8, 8], parameters: 9_248}
  features.10:  [B, 32, 4, 4]   # the last pool
  # head
  classifier.0: {type: Linear, output: [B, 64]}
  classifier.3: {type: Linear, output: [B, 10]}
function: off
"""


def updated(
    project: Project, input_: str, rows: str, net: str, edits: dict[str, str], *modes: str, new: str | None = None
) -> str:
    """Return the rows of a spec after a network's code was edited, and the spec updated; then it is true again."""
    project.write("net.py", net)
    path = project.spec("net", HEAD.format(input_) + rows)
    if "function: off" not in rows:
        assert project.run("-k", "function", "--archcheck-update=new").ret == 0
    assert project.run().ret == 0
    for old, replaced in edits.items():
        assert old in net
        net = net.replace(old, replaced)
    project.write("edited.py", net if new is None else new)
    path.write_text(path.read_text().replace("net.py", "edited.py"))
    for mode in filter(None, modes or ("--archcheck-update",)):
        project.run(*mode.split())
    assert project.run().ret == 0
    return written(path)


def written(path: Path) -> str:
    text = re.sub(r"^(parameters|macs): .*\n", "", path.read_text(), flags=re.MULTILINE)
    return text[text.index("layers:") :]


def renumbered(text: str, *pairs: tuple[str, str]) -> str:
    """Return rows with other keys and values in the same column; the first comes first."""
    for old, new in pairs:
        row = next(line for line in text.splitlines() if line.startswith(f"  {old}: "))
        value = row.removeprefix(f"  {old}:")
        column = len(row) - len(value.lstrip())
        text = text.replace(row, f"  {new}:".ljust(column) + value.lstrip())
    return text


def test_batch_norms_put_into_a_vgg(project: Project) -> None:
    rows = updated(project, "[B, 3, 32, 32]", VGG_ROWS, VGG, {"norm=False": "norm=True"})
    pairs = [(10, 14), (8, 11), (6, 8), (5, 7), (3, 4), (2, 3)]
    expected = renumbered(VGG_ROWS, *((f"features.{old}", f"features.{new}") for old, new in pairs))
    norms = {1: ([8, 32, 32], 16), 5: ([16, 16, 16], 32), 9: ([32, 8, 8], 64), 12: ([32, 8, 8], 64)}
    for number, (shape, count) in norms.items():
        before = next(line for line in expected.splitlines(True) if line.startswith(f"  features.{number - 1}: "))
        shown = ", ".join(map(str, shape))
        norm = f"  features.{number}:".ljust(16) + f"{{type: BatchNorm2d, output: [B, {shown}], parameters: {count}}}\n"
        expected = expected.replace(before, before + norm)
    assert rows == expected


def test_a_row_of_a_shape_alone_follows_the_last_layer(project: Project) -> None:
    rows = VGG_ROWS.replace("classifier.3: {type: Linear, output: [B, 10]}", "classifier.3: [B, 10]")
    edits = {"nn.Dropout(), nn.Linear(64, 10)": "nn.Dropout(), nn.Dropout(), nn.Linear(64, 10)"}
    found = updated(project, "[B, 3, 32, 32]", rows, VGG, edits)
    assert found == renumbered(rows, ("classifier.3", "classifier.4"))


LENET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 10)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.pool(self.act(self.conv1(x)))
        x = self.pool(self.act(self.conv2(x)))
        x = self.act(self.fc1(x.flatten(1)))
        return self.fc2(x)
"""
LENET_ROWS = """\
layers:
  conv1: {type: Conv2d, output: [B, 6, 28, 28]}
  act[0]: [B, 6, 28, 28]
  pool[0]: [B, 6, 14, 14]
  conv2: {type: Conv2d, output: [B, 16, 10, 10]}
  act[1]: [B, 16, 10, 10]   # before the second pool
  pool[1]: [B, 16, 5, 5]
  fc1: [B, 120]
  act[2]: [B, 120]          # the last one
  fc2: [B, 10]
function: off
"""


def test_calls_keep_their_rows_behind_a_call_that_was_put_in(project: Project) -> None:
    edits = {
        "self.conv1 = nn.Conv2d(1,": "self.stem = nn.Conv2d(1, 4, 3, padding=1)\n        self.conv1 = nn.Conv2d(4,",
        "        x = self.pool(self.act(self.conv1(x)))": """\
        x = self.act(self.stem(x))
        x = self.pool(self.act(self.conv1(x)))""",
    }
    rows = updated(project, "[B, 1, 28, 28]", LENET_ROWS, LENET, edits)
    expected = LENET_ROWS
    for old, new in ((2, 3), (1, 2), (0, 1)):
        expected = expected.replace(f"act[{old}]", f"act[{new}]")
    assert rows == expected


def test_calls_of_one_shape_follow_the_layers_around_them(project: Project) -> None:
    net = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.fc1 = nn.Linear(8, 8)
        self.fc2 = nn.Linear(8, 8, bias=False)
        self.fc3 = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))
"""
    rows = """\
layers:
  fc1:    {parameters: 72}
  act[0]: [B, 8]  # behind the first
  fc2:    {parameters: 64}
  act[1]: [B, 8]  # behind the one without a bias
  fc3:    {parameters: 36}
function: off
"""
    edits = {
        "self.fc1 = nn.Linear(8, 8)": "self.fc1 = nn.Linear(8, 8)\n        self.fc2 = nn.Linear(8, 8)",
        "self.fc2 = nn.Linear(8, 8, bias=False)": "self.fc3 = nn.Linear(8, 8, bias=False)",
        "self.fc3 = nn.Linear(8, 4)": "self.fc4 = nn.Linear(8, 4)",
        "self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))":
            "self.fc4(self.act(self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))))",
    }  # fmt: skip
    found = updated(project, "[B, 8]", rows, net, edits)
    new = "  fc2:    {parameters: 72}\n"
    expected = rows.replace("fc3: ", "fc4: ").replace("act[1]", "act[2]").replace("  fc2: ", f"{new}  fc3: ")
    assert found == expected


def test_the_lock_tells_how_many_calls_there_were(project: Project) -> None:
    net = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1 = nn.LSTM(8, 8, batch_first=True)
        self.lstm2 = nn.LSTM(8, 8, batch_first=True)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(8, 5)

    def forward(self, x):
        x, _ = self.lstm1(self.drop(x))
        x, _ = self.lstm2(x)
        return self.out(self.drop(x))
"""
    rows = """\
layers:
  drop[0]: [B, 3, 8]
  lstm1: {type: LSTM}
  lstm2: {type: LSTM}
  drop[1]: [B, 3, 8]   # before the head
  out: {type: Linear, output: [B, 3, 5]}
output: [B, 3, 5]
"""
    edits = {"self.lstm2(x)": "self.lstm2(self.drop(x))", "nn.Linear(8, 5)": "nn.Linear(8, 7)"}
    found = updated(project, "[B, 3, 8]", rows, net, edits)
    assert found == rows.replace("[B, 3, 5]", "[B, 3, 7]").replace("drop[1]", "drop[2]")


def test_numbered_activations_follow_the_layers_around_them(project: Project) -> None:
    net = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(3, 8, 3), nn.ReLU()
        self.conv2, self.act2 = nn.Conv2d(8, 16, 3), nn.GELU()
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        return self.head(x.mean((2, 3)))
"""
    rows = """\
layers:
  conv1: {parameters: 224}
  act1:  {parameters: 0}
  conv2: {parameters: 1_168}
  act2:  {parameters: 0}  # smooth
  head:  {parameters: 170}
function: off
"""
    new = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(3, 3, 1), nn.SiLU()
        self.conv2, self.act2 = nn.Conv2d(3, 8, 3), nn.ReLU()
        self.conv3, self.act3 = nn.Conv2d(8, 16, 3), nn.GELU()
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        x = self.act3(self.conv3(x))
        return self.head(x.mean((2, 3)))
"""
    found = updated(project, "[B, 3, 12, 12]", rows, net, {}, new=new)
    moved = renumbered(rows, ("conv2", "conv3"), ("act2", "act3"), ("conv1", "conv2"), ("act1", "act2"))
    added = "  conv1: {parameters: 12}\n  act1:  {parameters: 0}\n"
    assert found == moved.replace("  conv2: ", f"{added}  conv2: ")


CONVNEXT = """
from torch import nn

class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim), nn.GroupNorm(1, dim), nn.Conv2d(dim, 4 * dim, 1),
            nn.GELU(), nn.Conv2d(4 * dim, dim, 1))

    def forward(self, x):
        return x + self.block(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(Block(3), Block(3)) for _ in range(2))

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x
"""


def test_all_globs_of_one_place_move_together(project: Project) -> None:
    rows = """\
layers:
  "**.block.0": {type: Conv2d, output: [B, 3, 8, 8], parameters: 150}
  "**.block.2": {type: Conv2d, output: [B, 12, 8, 8], parameters: 48}
  "**.block.4": {type: Conv2d, output: [B, 3, 8, 8], parameters: 39}   # back to the width
  "stages.*.*.block.4": {type: Conv2d}
function: off
"""
    found = updated(project, "[B, 3, 8, 8]", rows, CONVNEXT, {"nn.GELU(), ": "nn.GELU(), nn.Dropout(), "})
    assert found == rows.replace("block.4", "block.5")


MLP = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 4096), nn.ReLU(), nn.Linear(4096, 1024), nn.ReLU(),
                                 nn.Linear(1024, 10))

    def forward(self, x):
        return self.net(x)
"""


def test_new_rows_look_as_those_around_them(project: Project) -> None:
    rows = """\
layers:
  'net.0': { type: Flatten, output: [B, 784],     parameters: 0 }
  'net.1': { type: Linear,  output: [B, 4_096],   parameters: 3_215_360 }
  'net.2': { type: ReLU,    output: [B, 4_096],   parameters: 0 }
  'net.3': { type: Linear,  output: [B, 1_024],   parameters: 4_195_328 }
  'net.4': { type: ReLU,    output: [B, 1_024],   parameters: 0 }
  'net.5': { type: Linear,  output: [B, 10],      parameters: 10_250 }
function: off
"""
    edits = {"nn.ReLU(), nn.Linear(4096,": "nn.ReLU(), nn.Linear(4096, 2048), nn.ReLU(), nn.Linear(2048,"}
    added = """\
  'net.3': { type: Linear,  output: [B, 2_048],   parameters: 8_390_656 }
  'net.4': { type: ReLU,    output: [B, 2_048],   parameters: 0 }
"""
    found = updated(project, "[B, 1, 28, 28]", rows, MLP, edits)
    expected = renumbered(rows, *((f"'net.{old}'", f"'net.{old + 2}'") for old in (5, 4, 3)))
    assert found == expected.replace("  'net.5'", f"{added}  'net.5'").replace("4_195_328", "2_098_176")


def test_columns_stay_where_values_are_others(project: Project) -> None:
    rows = """\
layers:
  net.1: {type: Linear, output: [B, 4_096], parameters: 3_215_360}
  net.2: {type: ReLU,   output: [B, 4_096]}
  net.5: {type: Linear, output: [B, 10],    parameters: 10_250}
function: off
"""
    found = updated(project, "[B, 1, 28, 28]", rows, MLP, {"4096": "128", "1024, 10)": "1024, 10_000)"})
    assert (
        found
        == """\
layers:
  net.1: {type: Linear, output: [B, 128],    parameters: 100_480}
  net.2: {type: ReLU,   output: [B, 128]}
  net.5: {type: Linear, output: [B, 10_000], parameters: 10_250_000}
function: off
"""
    )


def test_a_table_of_which_nothing_is_left_is_written_anew(project: Project) -> None:
    rows = """\
layers:
  # the table
  net.1: {type: Linear,  output: [B, 4_096], parameters: 3_215_360}
  net.5: {type: Linear,  output: [B, 10],    parameters: 10_250}
  net:   {type: Sequential}
output: [B, 10]
function: off
"""
    new = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.Conv2d(1, 12, 7, 7), nn.Linear(12, 6)

    def forward(self, x):
        return self.fc(self.embed(x).flatten(2).mean(2))
"""
    assert (
        updated(project, "[B, 1, 28, 28]", rows, MLP, {}, "--archcheck-update=all", new=new)
        == """\
layers:
  # the table
  embed: {type: Conv2d,  output: [B, 12, 4, 4], parameters: 600}
  fc:    {type: Linear,  output: [B, 6],        parameters: 78}
output: [B, 6]
function: off
"""
    )


FROZEN = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.heads = nn.ModuleList([nn.Linear(4, 10), nn.Linear(4, 5)])

    def forward(self, x):
        frozen = len(self.features) - 3
        return self.heads[0](self.features[frozen:](self.features[:frozen](x).detach()))
"""
FROZEN_ROWS = """\
layers:
  features.0: {type: Conv2d, output: [B, 8, 6, 6], parameters: 224}
  features.1: {type: BatchNorm2d}
  features.2: {type: Conv2d, output: [B, 4, 4, 4], parameters: 292}
health:
  allow_unused: [features.0.weight, features.0.bias, 'features.1.**', "heads.1.*"]   # frozen
function: off
"""


def test_what_health_excuses_gets_the_numbers_too(project: Project) -> None:
    edits = {"nn.Conv2d(3, 8": "nn.Identity(), nn.Conv2d(3, 8"}
    for mode in ("--archcheck-update", "-k health --archcheck-update", "-k parameters --archcheck-update"):
        found = updated(project, "[B, 3, 8, 8]", FROZEN_ROWS, FROZEN, edits, mode)
        expected = FROZEN_ROWS.replace("features.2", "features.3").replace("features.1", "features.2")
        new = "  features.0: {type: Identity, output: [B, 3, 8, 8]}\n"
        assert found == expected.replace("features.0", "features.1").replace("layers:\n", f"layers:\n{new}")


def test_an_excuse_of_another_layer_is_told(project: Project) -> None:
    project.write("net.py", FROZEN.replace("nn.Conv2d(3, 8", "nn.Identity(), nn.Conv2d(3, 8"))
    project.spec("net", HEAD.format("[B, 3, 8, 8]") + FROZEN_ROWS)
    result = project.run("-k", "health")
    result.stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:9: features.0.weight: was written for another layer",
            "  note      that one is features.1.weight now",
        ]
    )


def test_what_health_excuses_gets_new_names_too(project: Project) -> None:
    found = updated(project, "[B, 3, 8, 8]", FROZEN_ROWS, FROZEN, {"self.features": "self.backbone"})
    assert found == FROZEN_ROWS.replace("features.", "backbone.")


VIT = """
from torch import nn

class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(4), Mlp()

    def forward(self, x):
        return x + self.mlp(self.norm(x))

class Net(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.blocks(x))
"""
VIT_ROWS = """\
layers:
  blocks.0:      {type: Block,     output: [B, 4]}  # the first
  blocks.1:      {type: Block,     output: [B, 4]}
  blocks.2:      {type: Block,     output: [B, 4]}
  blocks.*.norm: {type: LayerNorm}
  head:          {type: Linear,    output: [B, 10], parameters: 50}
output: [B, 10]
"""
SCALED = {
    "nn.LayerNorm(4), Mlp()": "nn.LayerNorm(4), Mlp()\n        self.scale = nn.Identity()",
    "x + self.mlp(self.norm(x))": "x + self.scale(self.mlp(self.norm(x)))",
}


@pytest.mark.parametrize("first", ["", "-k function --archcheck-update"])
def test_a_block_put_behind_the_last_is_listed(project: Project, first: str) -> None:
    found = updated(project, "[B, 4]", VIT_ROWS, VIT, {"depth=3": "depth=4"}, first, "--archcheck-update=all")
    row = "  blocks.2:      {type: Block,     output: [B, 4]}\n"
    assert found == VIT_ROWS.replace(row, row + row.replace("2", "3"))


def test_a_part_of_all_blocks_is_listed_under_a_glob(project: Project) -> None:
    found = updated(project, "[B, 4]", VIT_ROWS, VIT, {**SCALED, "depth=3": "depth=4"}, "--archcheck-update=all")
    row, norm = "  blocks.2:      {type: Block,     output: [B, 4]}\n", "  blocks.*.norm: {type: LayerNorm}\n"
    expected = VIT_ROWS.replace(row, row + row.replace("2", "3"))
    added = "  blocks.*.scale: {type: Identity,  output: [B, 4]}\n"
    expected = expected.replace(norm, norm + added)
    assert found == re.sub(r"^(  \S+: *)(?= \{)", lambda m: m[0].ljust(17), expected, flags=re.MULTILINE)


def test_parts_that_were_never_recorded_are_not_new(project: Project) -> None:
    rows = VIT_ROWS.replace("  blocks.2: ", "  blocks.1.mlp.fc1: {type: Linear}\n  blocks.2: ")
    edits = {"nn.Linear(4, 10)": "nn.Linear(4, 12)"}
    deep = VIT.replace("depth=3", "depth=25")
    found = updated(project, "[B, 4]", rows, deep, edits, "--archcheck-update=all")
    assert found == rows.replace("[B, 10]", "[B, 12]").replace("parameters: 50", "parameters: 60")


def test_a_block_of_another_parent_is_known_by_its_parameters(project: Project) -> None:
    rows = """\
layers:
  blocks.0: {output: [B, 4], parameters: 84}
  blocks.1: {output: [B, 4], parameters: 84}
  blocks.2: {output: [B, 4], parameters: 148}  # wider
  blocks.2.mlp: {type: Mlp}
function: off
"""
    wide = {"__init__(self):\n        super().__init__()\n        self.fc1, self.act, self.fc2 = nn.Linear(4, 8)":
            "__init__(self, w=8):\n        super().__init__()\n        self.fc1, self.act, self.fc2 = nn.Linear(4, w)",
            "nn.Linear(8, 4)": "nn.Linear(w, 4)", "class Block(nn.Module):\n    def __init__(self):":
            "class Block(nn.Module):\n    def __init__(self, w=8):", "LayerNorm(4), Mlp()": "LayerNorm(4), Mlp(w)",
            "Block() for _ in range(depth)": "Block(8), Block(8), Block(15)"}  # fmt: skip
    net = VIT
    for old, new in wide.items():
        net = net.replace(old, new)
    edits = {
        ", Block(15)])": "])\n        self.neck = Block(15)",
        "self.head(self.blocks(x))": "self.head(self.neck(self.blocks(x)))",
    }
    rows = rows.replace("148", str(8 + 4 * 15 + 15 + 15 * 4 + 4))
    assert updated(project, "[B, 4]", rows, net, edits) == rows.replace("blocks.2", "neck")


def test_what_another_build_s_weights_are_made_of_gets_the_numbers_too(project: Project) -> None:
    net = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 4, bias=False), nn.ReLU(), nn.Linear(4, 6))

    def forward(self, x):
        return self.net(x)

class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(8, 4)), nn.Linear(4, 6)

    def forward(self, x):
        return self.b((x @ self.a).relu())
"""
    rows = """\
layers:
  net.0: {type: Linear, output: [B, 4]}
  net.2: {type: Linear, output: [B, 6]}
equivalent_to:
  build: ../net.py:Other
  weights: {a: transpose(net.0.weight)}   # stored the other way
function: off
"""
    found = updated(project, "[B, 8]", rows, net, {"nn.Sequential(": "nn.Sequential(nn.Identity(), "})
    new = "  net.0: {type: Identity, output: [B, 8]}\n"
    expected = rows.replace("net.2", "net.3").replace("net.0", "net.1").replace("layers:\n", f"layers:\n{new}")
    assert found == expected.replace("net.py", "edited.py")


FEED_FORWARD = """
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
        self.mlp = Mlp()

    def forward(self, x):
        return x + self.mlp(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
"""
WRAPPED = {
    "        self.fc1 = nn.Linear(8, 16)\n        self.act = nn.GELU()\n        self.fc2 = nn.Linear(16, 8)\n": (
        "        self.net = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))\n"
    ),
    "self.fc2(self.act(self.fc1(x)))": "self.net(x)",
}
FEED_FORWARD_ROWS = """\
layers:
  blocks.*:         {type: Block, output: [B, 8], parameters: 280}
  blocks.*.mlp.fc1: {type: Linear, output: [B, 16], parameters: 144}  # wide
  blocks.*.mlp.fc2: {type: Linear, output: [B, 8], parameters: 136}
function: off
"""
SEQUENTIAL_ROWS = FEED_FORWARD_ROWS.replace("fc1:", "net.0:").replace("fc2:", "net.2:").replace("*:   ", "*:     ")


def test_layers_of_all_blocks_that_are_put_into_a_sequential_keep_their_rows(project: Project) -> None:
    assert updated(project, "[B, 8]", FEED_FORWARD_ROWS, FEED_FORWARD, WRAPPED) == SEQUENTIAL_ROWS


def test_layers_of_all_blocks_that_are_taken_out_of_a_sequential_keep_their_rows(project: Project) -> None:
    wrapped = FEED_FORWARD
    for old, new in WRAPPED.items():
        wrapped = wrapped.replace(old, new)
    back = {new: old for old, new in WRAPPED.items()}
    assert updated(project, "[B, 8]", SEQUENTIAL_ROWS, wrapped, back) == FEED_FORWARD_ROWS.replace(
        "*:         {", "*:           {"
    ).replace("fc1: {", "fc1:   {").replace("fc2: {", "fc2:   {")


STAGES = """
from torch import nn

class Block(nn.Module):
    def __init__(self, before, width):
        super().__init__()
        self.conv = nn.Conv2d(before, width, 3, padding=1)
        self.skip = nn.Conv2d(before, width, 1) if before != width else nn.Identity()

    def forward(self, x):
        return self.skip(x) + self.conv(x).relu()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Block(3, 4), Block(4, 4))
        self.layer2 = nn.Sequential(Block(4, 8), Block(8, 8))
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean((2, 3)))
"""
STAGE_ROWS = """\
layers:
  layer1:        {type: Sequential, output: [B, 4, 8, 8], parameters: 276}
  layer1.*:      {type: Block,      output: [B, 4, 8, 8]}
  layer1.*.conv: {type: Conv2d,     output: [B, 4, 8, 8]}
  layer2:        {type: Sequential, output: [B, 8, 8, 8], parameters: 920}
  layer2.*:      {type: Block,      output: [B, 8, 8, 8]}
  layer2.*.conv: {type: Conv2d,     output: [B, 8, 8, 8]}
  fc:            {type: Linear,     output: [B, 2],       parameters: 18}
output: [B, 2]
"""


def test_a_new_stage_has_the_rows_that_the_others_have(project: Project) -> None:
    edits = {
        "        self.fc": "        self.layer3 = nn.Sequential(Block(8, 8), Block(8, 8))\n        self.fc",
        "self.layer2(self.layer1(x))": "self.layer3(self.layer2(self.layer1(x)))",
    }
    rows = """\
  layer3:        {type: Sequential, output: [B, 8, 8, 8], parameters: 1_168}
  layer3.*:      {type: Block,      output: [B, 8, 8, 8]}
  layer3.*.conv: {type: Conv2d,     output: [B, 8, 8, 8]}
"""
    found = updated(project, "[B, 3, 8, 8]", STAGE_ROWS, STAGES, edits, "--archcheck-update=all")
    assert found == STAGE_ROWS.replace("  fc:  ", f"{rows}  fc:  ")


def test_a_new_stage_comes_behind_all_that_runs_before_it(project: Project) -> None:
    """The rows of a stage need not be in the order in which its parts run: here the skip connection runs first."""
    skips = "  layer2.*.skip: [B, 8, 8, 8]\n"
    edits = {
        "        self.fc": "        self.layer3 = nn.Sequential(Block(8, 8), Block(8, 8))\n        self.fc",
        "self.layer2(self.layer1(x))": "self.layer3(self.layer2(self.layer1(x)))",
    }
    listed = STAGE_ROWS.replace("  fc:  ", f"{skips}  fc:  ")
    found = updated(project, "[B, 3, 8, 8]", listed, STAGES, edits, "--archcheck-update=all")
    keys = re.findall(r"^  (\S+):", found, flags=re.MULTILINE)
    before = ["layer1", "layer1.*", "layer1.*.conv", "layer2", "layer2.*", "layer2.*.conv", "layer2.*.skip"]
    assert keys == [*before, "layer3", "layer3.*", "layer3.*.skip", "layer3.*.conv", "fc"]


GLOB_ROWS = """\
layers:
  layer1:   [B, 4, 8, 8]
  layer1.0: {output: [B, 4, 8, 8]}
  layer1.*: {type: Block, output: [B, 4, 8, 8], parameters: 148}  # as in the paper
  layer2:   [B, 8, 8, 8]
output: [B, 2]
function: off
"""


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (
            {"Block(4, 4))": "Block(4, 6))", "Block(4, 8)": "Block(6, 8)"},
            GLOB_ROWS.replace("layer1:   [B, 4", "layer1:   [B, 6").replace(
                ", output: [B, 4, 8, 8], parameters: 148", ""
            ),
        ),
        (
            {"Block(4, 4))": "nn.Identity())"},
            GLOB_ROWS.replace("type: Block, ", "").replace(", parameters: 148", ""),
        ),
        (
            {
                "Block(4, 4))": "Block(4, 4), Block(4, 4, 5))",
                "width):": "width, size=3):",
                "3, padding=1": "size, padding=size // 2",
            },
            GLOB_ROWS.replace(", parameters: 148", ""),
        ),
    ],
    ids=["outputs and counts", "types and counts", "counts"],
)
def test_what_is_not_the_same_in_all_layers_of_a_glob_any_more_is_left_out(
    project: Project, edits: dict[str, str], expected: str
) -> None:
    net = STAGES.replace("Block(3, 4), Block", "Block(4, 4), Block").replace(
        "layer1(x)", "layer1(x.repeat(1, 4, 1, 1))"
    )
    assert updated(project, "[B, 1, 8, 8]", GLOB_ROWS, net, edits, "--archcheck-update", "--archcheck-update=all") == (
        expected
    )


@pytest.mark.parametrize("row", ["  layer1.*: {parameters: 148}\n", "  layer1.*: [B, 4, 8, 8]\n"])
def test_a_row_of_which_nothing_is_left_goes(project: Project, row: str) -> None:
    net = STAGES.replace("Block(3, 4), Block", "Block(4, 4), Block").replace(
        "layer1(x)", "layer1(x.repeat(1, 4, 1, 1))"
    )
    rest = "  layer2: [B, 8, 8, 8]\noutput: [B, 2]\nfunction: off\n"
    edits = {"Block(4, 4))": "Block(4, 6))", "Block(4, 8)": "Block(6, 8)"}
    found = updated(project, "[B, 1, 8, 8]", f"layers:\n{row}{rest}", net, edits, "--archcheck-update=all")
    assert found == f"layers:\n{rest}"
