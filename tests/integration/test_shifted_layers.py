"""Numbered layers whose numbers are others, as one was put in or taken out: their rows keep speaking of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.project import Project, messages

NETS = """
from torch import nn

KINDS = {"conv": lambda: nn.Conv1d(4, 4, 3, padding=1), "fc": lambda: nn.Linear(8, 8), "wide": lambda: nn.Linear(8, 9),
         "wider": lambda: nn.Linear(8, 10),
         "relu": nn.ReLU, "drop": nn.Dropout, "none": nn.Identity, "norm": lambda: nn.LayerNorm(8), "gelu": nn.GELU}

def layers(kinds):
    return [KINDS[kind]() for kind in kinds.split()]

def plain(kinds):
    return nn.Sequential(*layers(kinds))

class Named(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.count = len(kinds.split())
        for i, layer in enumerate(layers(kinds), 1):
            setattr(self, f"layer{i}", layer)

    def forward(self, x):
        for i in range(1, self.count + 1):
            x = getattr(self, f"layer{i}")(x)
        return x

class Blocks(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*layers(one)) for one in kinds.split(","))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
"""

ROWS = """\
layers:
  # the stem
  0: {type: Conv1d, output: [B, 4, 8], parameters: 52}   # first
  '1': {type: ReLU}
  2:
    type: Linear    # by hand
    parameters: 72
  3: {type: ReLU, output: [B, 4, 8]}
  4: {type: Linear, output: [B, 4, 9], parameters: 81}  # last
output: [B, 4, 9]
"""
PLAIN = "conv relu fc relu wide"


def spec(
    project: Project, rows: str = ROWS, net: str = "plain", kinds: str = PLAIN, function: str = "function: off\n"
) -> Path:
    project.write("shifted.py", NETS)
    text = f"build: ../shifted.py:{net}\nargs: {{kinds: {kinds}}}\ninput: [B, 4, 8]\n\n{rows}"
    return project.spec("net", text + function)


def rebuilt(path: Path, kinds: str, old: str = PLAIN) -> str:
    text = path.read_text().replace(f"{{kinds: {old}}}", f"{{kinds: {kinds}}}")
    path.write_text(text)
    return text


def written(path: Path) -> str:
    """Return a spec without the totals that an update adds."""
    return re.sub(r"^(parameters|macs): .*\n", "", path.read_text(), flags=re.MULTILINE)


NUMBERS_MOVED = ROWS.replace("  4: {", "  5: {").replace("  3: {", "  4: {").replace("  2:\n", "  3:\n")


@pytest.mark.parametrize("mode", ["--archcheck-update", "--archcheck-update=all"])
@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            "none conv relu fc relu wide",
            NUMBERS_MOVED.replace("  '1': {", "  '2': {").replace(
                "  0: {type", "  0: {type: Identity, output: [B, 4, 8]}\n  1: {type"
            ),
        ),
        (
            "conv relu drop fc relu wide",
            NUMBERS_MOVED.replace("  3:\n", "  2: {type: Dropout, output: [B, 4, 8]}\n  3:\n"),
        ),
        (
            "conv relu norm fc relu wide",
            NUMBERS_MOVED.replace("  3:\n", "  2: {type: LayerNorm, output: [B, 4, 8], parameters: 16}\n  3:\n"),
        ),
        (
            "conv relu fc relu drop wide",
            ROWS.replace("  4: {", "  4: {type: Dropout, output: [B, 4, 8]}\n  5: {"),
        ),
        (  # and one is another
            "conv gelu drop fc relu wide",
            NUMBERS_MOVED.replace("ReLU}", "GELU}").replace(
                "  3:\n", "  2: {type: Dropout, output: [B, 4, 8]}\n  3:\n"
            ),
        ),
        ("conv gelu fc relu wide", ROWS.replace("ReLU}", "GELU}")),
    ],
    ids=["in front", "inside", "with parameters", "before the last", "beside another that changed", "none"],
)
def test_rows_keep_to_their_layers_behind_one_that_was_put_in(
    project: Project, kinds: str, expected: str, mode: str
) -> None:
    path = spec(project)
    text = rebuilt(path, kinds)
    assert project.run(mode).ret == 0
    assert written(path) == text.replace(ROWS, expected)
    assert project.run().ret == 0


def test_a_shift_is_told_once(project: Project) -> None:
    path = spec(project)
    rebuilt(path, "conv relu drop fc relu wide")
    result = project.run("-k", "shapes or parameters")
    accept = "  accept    pytest --archcheck specs/net.arch.yaml -k {} --archcheck-update"
    assert messages(result, "specs/net.arch.yaml") == [
        [
            "specs/net.arch.yaml:9: 2: is another layer now",
            "  note      it is 3 now: everything fits that the spec says of it",
            "  note      new is 2 (Dropout)",
            "  follows   2 more: 3, 4 (-vv tells each)",
            accept.format("shapes"),
        ],
        [
            "specs/net.arch.yaml:11: 2: parameters differ",
            "  expected  72",
            "  actual    0 (-72)",
            "  module    Dropout(p=0.5, inplace=False)",
            "  note      it is 3 now",
            "  follows   1 more: 4 (-vv tells each)",
            accept.format("parameters"),
        ],
    ]


def test_counts_alone_move_the_rows_too(project: Project) -> None:
    path = spec(project)
    text = rebuilt(path, "none conv relu fc relu wide")
    assert project.run("-k", "parameters", "--archcheck-update").ret == 0
    assert "\n  3:\n    type: Linear    # by hand\n" in path.read_text()
    assert path.read_text() != text
    assert project.run().ret == 0


def test_layers_that_were_taken_out_are_dropped_only_where_all_is_accepted(project: Project) -> None:
    path = spec(project)
    text = rebuilt(path, "conv relu wide")
    assert project.run("--archcheck-update").ret == 1
    assert written(path) == text
    assert messages(project.run("-k", "shapes"), "specs/net.arch.yaml")[0][:2] == [
        "specs/net.arch.yaml:9: 2: is gone, another layer has its name",
        "  note      gone is what was 2, 3",
    ]
    assert project.run("--archcheck-update=all").ret == 0
    gone = text[text.index("  2:\n") : text.index("  4: {")]
    assert written(path) == text.replace(gone, "").replace("  4: {", "  2: {")
    assert project.run().ret == 0


def test_a_layer_put_in_before_one_that_changed_takes_no_row_from_it(project: Project) -> None:
    path = spec(project)
    rebuilt(path, "conv relu fc relu drop wider")
    project.pytest("--archcheck", "--archcheck-update")
    last = "  4: {type: Dropout, output: [B, 4, 8]}\n  5: {type: Linear, output: [B, 4, 10], parameters: 90}  # last\n"
    assert last in written(path)


def test_no_row_is_written_where_the_forward_stops_and_rows_may_have_moved(project: Project) -> None:
    path = spec(project)
    before = rebuilt(path, "conv relu wide fc relu wide")
    result = project.pytest("--archcheck", "--archcheck-update")
    assert result.ret != 0
    rows = before.partition("layers:")[2].partition("output:\n")[0]
    assert [line for line in rows.splitlines() if line.startswith("  ")] == [
        line for line in path.read_text().partition("layers:")[2].splitlines() if line.startswith("  ")
    ]


def test_a_glob_keeps_its_number_where_only_one_of_its_places_has_another_layer(project: Project) -> None:
    rows = "layers:\n  blocks.*.1: {type: Linear, parameters: 72}\n"
    path = spec(project, rows, "Blocks", "'none fc relu,none fc relu'")
    rebuilt(path, "'none fc relu,none drop fc relu'", "'none fc relu,none fc relu'")
    project.pytest("--archcheck", "--archcheck-update")
    assert "  blocks.*.1: {type: Linear, parameters: 72}\n" in path.read_text()


def test_a_call_that_is_gone_is_dropped_where_all_is_accepted(project: Project) -> None:
    net = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    net += "        self.act = nn.ReLU()\n    def forward(self, x):\n        return self.act(x)\n"
    project.write("calls.py", net)
    rows = "layers:\n  act[0]: [B, 8]\n  act[1]: [B, 8]\nfunction: off\n"
    path = project.spec("net", f"build: ../calls.py:Net\ninput: [B, 8]\n{rows}")
    assert project.pytest("--archcheck", "--archcheck-update").ret != 0
    assert "act[1]" in path.read_text()
    project.pytest("--archcheck", "--archcheck-update=all")
    assert "act[0]: [B, 8]" in path.read_text()
    assert "act[1]" not in path.read_text()


def test_layers_that_changed_places_are_no_shift(project: Project) -> None:
    path = spec(project)
    text = rebuilt(path, "relu conv fc relu wide")
    assert project.run("--archcheck-update").ret == 0
    first, second = "  0: {type: ReLU, output: [B, 4, 8], parameters: 0}   # first\n", "  '1': {type: Conv1d}\n"
    old = text[text.index("  0: {") : text.index("  2:\n")]
    assert written(path) == text.replace(old, first + second)


def test_words_with_numbers_are_numbered_too(project: Project) -> None:
    rows = """\
layers:
  layer1: {type: Conv1d, parameters: 52}
  layer2: {type: LayerNorm, parameters: 16}  # before all
  layer3: {type: Linear, output: [B, 4, 9], parameters: 81}
"""
    path = spec(project, rows, "Named", "conv norm wide")
    text = rebuilt(path, "conv fc norm wide", "conv norm wide")
    assert project.run("--archcheck-update").ret == 0
    expected = text.replace("layer3", "layer4").replace("layer2", "layer3")
    new = "  layer2: {type: Linear, output: [B, 4, 8], parameters: 72}\n"
    assert written(path) == expected.replace("  layer3", f"{new}  layer3")


def test_what_stands_inside_of_numbered_blocks_moves_with_them(project: Project) -> None:
    rows = """\
layers:
  blocks.0: {type: Sequential, parameters: 52}
  blocks.0.0: {type: Conv1d}
  blocks.0.1: {type: ReLU}  # as in the paper
  blocks.1: {type: Sequential, parameters: 88}
  blocks.1.0: {type: LayerNorm}
  blocks.1.1: {type: Linear}  # wide
"""
    path = spec(project, rows, "Blocks", "'conv relu,norm fc'")
    text = rebuilt(path, "'conv drop relu,relu,norm fc'", "'conv relu,norm fc'")
    assert project.run("--archcheck-update").ret == 0
    expected = text.replace("  blocks.1", "  blocks.2").replace(
        "  blocks.0.1: {", "  blocks.0.1: {type: Dropout}\n  blocks.0.2: {"
    )
    new = "  blocks.1: {type: Sequential}\n  blocks.1.0: {type: ReLU}\n"
    assert written(path) == expected.replace("  blocks.2: {", f"{new}  blocks.2: {{")
    assert project.run().ret == 0


def test_parts_of_all_blocks_move_under_their_globs(project: Project) -> None:
    rows = "layers:\n  blocks.*.0: {type: LayerNorm}\n  blocks.*.1: {type: Linear, parameters: 72}  # each\n"
    path = spec(project, rows, "Blocks", "'norm fc,norm fc'")
    text = rebuilt(path, "'norm drop fc,norm drop fc'", "'norm fc,norm fc'")
    assert project.run("--archcheck-update").ret == 0
    assert written(path) == text.replace("blocks.*.1", "blocks.*.2")


def test_types_that_the_spec_does_not_list_stay_unlisted(project: Project) -> None:
    rows = """\
layers:
  0: {type: Conv1d}
  2: {type: Linear, parameters: 72}
  4: {type: Linear, parameters: 81}
"""
    path = spec(project, rows)
    text = rebuilt(path, "conv relu fc relu norm relu wide")
    assert project.run("--archcheck-update").ret == 0
    added = "  4: {type: LayerNorm, parameters: 16}\n"
    assert written(path) == text.replace("  4: {", f"{added}  6: {{")


def test_the_recorded_function_gets_the_numbers_too(project: Project) -> None:
    path = spec(project, function="")
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    text = rebuilt(path, "conv relu none fc relu wide")
    assert project.run("-k", "function").ret == 0
    assert project.run("--archcheck-update").ret == 0
    assert written(path) == text.replace(
        ROWS, NUMBERS_MOVED.replace("  3:\n", "  2: {type: Identity, output: [B, 4, 8]}\n  3:\n")
    )
    lock = (path.parent / "net.arch.lock").read_text()
    assert '"5": {"mean"' in lock
    assert project.run("--archcheck-update=all").ret == 0
    assert (path.parent / "net.arch.lock").read_text() == lock


def test_two_workers_move_rows_as_one(project: Project) -> None:
    path = spec(project)
    text = rebuilt(path, "none conv relu wide")
    assert project.run("-n", "2", "--archcheck-update=all").ret == 0
    assert path.read_text() != text
    assert path.read_text().count("type: ") == 4
    assert "  3: {type: Linear, output: [B, 4, 9], parameters: 81}  # last\n" in path.read_text()
