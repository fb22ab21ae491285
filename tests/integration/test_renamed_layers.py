"""Layers that were renamed, removed or added since a spec was written: told, and accepted in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project, lock_of, messages

NETS = """
from collections import OrderedDict
from torch import nn

NAMES = {"conv": "conv", "fc1": "fc1", "act": "act", "fc2": "fc2", "fc": "fc"}

class Net(nn.Module):
    def __init__(self, names={}, without=(), added={}, blocks="blocks", parts=("norm", "fc"), count=6, scale=1.0):
        super().__init__()
        names, self.scale = NAMES | names, scale
        layers = dict(conv=nn.Conv1d(1, 1, 3, padding=1), fc1=nn.Linear(8, 8), act=nn.ReLU(), fc2=nn.Linear(8, 8),
                      fc=nn.Linear(8, 3))
        self.order = []
        for name, layer in layers.items():
            if name not in without:
                self.order.append(names[name])
                setattr(self, names[name], layer)
            if name in added:
                self.order.append(added[name])
                setattr(self, added[name], nn.Linear(8, 8))
        block = lambda: nn.Sequential(OrderedDict({parts[0]: nn.LayerNorm(8), parts[1]: nn.Linear(8, 8)}))
        setattr(self, blocks, nn.ModuleList(block() for _ in range(count)))
        self.blocks_name = blocks

    def forward(self, x):
        for name in self.order[:-1]:
            x = getattr(self, name)(x)
        for block in getattr(self, self.blocks_name):
            x = block(x)
        return getattr(self, self.order[-1])(x * self.scale)
"""

LAYERS = """\
layers:
  # the stem
  conv:     {type: Conv1d,     output: [B, 1, 8], parameters: 4}   # first
  'fc1':    {type: Linear,     output: [B, 1, 8], parameters: 72}
  fc2:      {type: Linear,     output: [B, 1, 8], parameters: 72}  # as wide
  blocks.*: {type: Sequential, output: [B, 1, 8], parameters: 88}
  blocks.*.norm: {type: LayerNorm}
  "blocks.*.fc": {type: Linear, parameters: 72}
  fc: [B, 1, 3]  # classes
output: [B, 1, 3]
"""


def head(args: str) -> str:
    return f"build: ../renamed.py:Net\nargs: {args}\ninput: [B, 1, 8]\n\n"


def with_function(project: Project) -> Path:
    """Write a spec by hand, and record its function."""
    project.write("renamed.py", NETS)
    path = project.spec("net", head("{}") + LAYERS)
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    assert project.run().ret == 0
    return path


def without_function(project: Project) -> Path:
    project.write("renamed.py", NETS)
    return project.spec("net", head("{}") + LAYERS)


def rebuilt(path: Path, args: str) -> str:
    """Let the network be built with other arguments; return the text with them."""
    text = path.read_text().replace(head("{}"), head(args))
    path.write_text(text)
    return text


def found(project: Project, *args: str) -> list[list[str]]:
    return messages(project.run("-k", "shapes", *args), "specs/net.arch.yaml")


ACCEPT = "  accept    pytest --archcheck specs/net.arch.yaml -k shapes --archcheck-update"


def test_a_renamed_layer_is_told_and_its_row_renamed(project: Project) -> None:
    path = with_function(project)
    text = rebuilt(path, "{names: {fc: head, fc1: lin1}}")
    assert found(project) == [
        ["specs/net.arch.yaml:8: fc1: no such module", "  note      it is lin1 now: what it computes tells"],
        ["specs/net.arch.yaml:13: fc: no such module", "  note      it is head now: what it computes tells", ACCEPT],
    ]
    assert project.run("--archcheck-update").ret == 0
    expected = text.replace("'fc1':    {", "'lin1':   {").replace("  fc: [B, 1, 3]", "  head: [B, 1, 3]")
    assert path.read_text() == expected.replace("    fc1: {", "    lin1: {").replace("    fc: {", "    head: {")
    assert project.run().ret == 0


def test_without_a_function_type_output_parameters_and_order_tell(project: Project) -> None:
    path = without_function(project)
    text = rebuilt(path, "{names: {fc: head, fc1: a, fc2: b}}")
    why = "everything fits that the spec says of it"
    assert [message[:2] for message in found(project)] == [
        ["specs/net.arch.yaml:8: fc1: no such module", f"  note      it is a now: {why}"],
        ["specs/net.arch.yaml:9: fc2: no such module", f"  note      it is b now: {why}"],
        ["specs/net.arch.yaml:13: fc: no such module", f"  note      it is head now: {why}"],
    ]
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    expected = text.replace("'fc1':    {", "'a':      {").replace("  fc2:      {", "  b:        {")
    expected = expected.replace("  fc: [", "  head: [")
    assert path.read_text() == expected


@pytest.mark.parametrize(
    ("write", "why"),
    [(with_function, "what it computes tells"), (without_function, "everything fits that the spec says of it")],
)
def test_blocks_and_their_parts_are_renamed_under_their_globs(
    project: Project, write: Callable[[Project], Path], why: str
) -> None:
    path = write(project)
    text = rebuilt(path, "{blocks: layers, parts: [norm, linear]}")
    assert [message[:2] for message in found(project)] == [
        [f"specs/net.arch.yaml:{line}: {key}: no module matches", f"  note      it is {now} now: {why}"]
        for line, key, now in [
            (10, "blocks.*", "layers.*"),
            (11, "blocks.*.norm", "layers.*.norm"),
            (12, "blocks.*.fc", "layers.*.linear"),
        ]
    ]
    assert project.run("--archcheck-update", "-k", "shapes").ret == 0
    new = path.read_text()
    assert (
        "  layers.*: {type: Sequential, output: [B, 1, 8], parameters: 88}\n  layers.*.norm: {type: LayerNorm}\n" in new
    )
    assert '  "layers.*.linear": {type: Linear, parameters: 72}\n' in new
    assert len(new.splitlines()) == len(text.splitlines())
    assert project.run().ret == 0


PARTS = """\
from torch import nn

class Net(nn.Module):
    def __init__(self, name="f", act="ReLU", last=3, extra=False):
        super().__init__()
        layers = [nn.Linear(4, 6), getattr(nn, act)(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3, last == 3)]
        setattr(self, name, nn.Sequential(*([nn.Dropout()] if extra else []), *layers))
        self.name = name

    def forward(self, x):
        return getattr(self, self.name)(x)
"""


def test_a_part_of_what_was_renamed_that_is_another_is_told_as_such(project: Project) -> None:
    project.write("parts.py", PARTS)
    path = project.spec("net", """\
build: ../parts.py:Net
args: {}
input: [B, 4]
layers:
  f: {type: Sequential, output: [B, 3]}
  f.0: {type: Linear, output: [B, 6], parameters: 30}
  f.1: {type: ReLU, output: [B, 6]}
  f.2: {type: Linear, output: [B, 6], parameters: 42}
  f.4: {type: Linear, output: [B, 3], parameters: 21}
""")  # fmt: skip
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    path.write_text(path.read_text().replace("args: {}", "args: {name: features, act: Identity, last: 0}"))
    why = "everything fits that the spec says of it"
    assert [message[1] for message in found(project)] == [
        f"  note      it is features now: {why}",
        f"  note      it is features.0 now: {why}",
        "  note      in its place is features.1 now: type differs: expected ReLU, found Identity",
        f"  note      it is features.2 now: {why}",
        "  note      in its place is features.4 now: parameters differ: expected 21, found 18",
    ]


def test_what_may_be_one_of_several_is_told_and_left(project: Project) -> None:
    path = without_function(project)
    text = rebuilt(path, "{names: {fc1: a, fc2: b}, added: {fc2: c}}")
    hint = "  note      it may be a, b, c now: write the one that is meant"
    assert [message[:2] for message in found(project)] == [
        ["specs/net.arch.yaml:8: fc1: no such module", hint],
        ["specs/net.arch.yaml:9: fc2: no such module", hint],
    ]
    assert project.run("-k", "shapes", "--archcheck-update=all").ret == 1
    assert path.read_text() == text


def test_a_function_that_is_another_tells_nothing_of_names(project: Project) -> None:
    path = with_function(project)
    rebuilt(path, "{names: {fc: head}, scale: 2.0}")
    (message,) = found(project)
    assert message[1] == "  note      it is head now: everything fits that the spec says of it"
    assert project.run("--archcheck-update").ret == 0
    assert project.run().ret == 0


def test_a_removed_layer_is_dropped_only_where_all_is_accepted(project: Project) -> None:
    path = without_function(project)
    text = rebuilt(path, "{without: [fc1], names: {fc2: fc2}}")
    assert found(project) == [
        [
            "specs/net.arch.yaml:8: fc1: no such module",
            "  note      did you mean fc or fc2?",
            "  note      nothing else fits what the spec says of it: --archcheck-update=all drops the row",
            f"{ACCEPT}=all",
        ]
    ]
    assert project.run("-k", "shapes", "--archcheck-update").ret == 1
    assert path.read_text() == text
    result = project.run("-k", "shapes", "--archcheck-update=all")
    assert result.ret == 0
    row = "  'fc1':    {type: Linear,     output: [B, 1, 8], parameters: 72}\n"
    assert path.read_text() == text.replace(row, "")
    result.stdout.fnmatch_lines([f"-{row.rstrip()}".replace("[", "[[]")])


def test_new_layers_are_listed_where_they_run(project: Project) -> None:
    path = with_function(project)
    text = rebuilt(path, "{added: {conv: extra, fc2: more}}")
    assert project.run("-k", "shapes").ret == 0  # what isn't listed is free
    assert project.run("-k", "shapes", "--archcheck-update=new").ret == 0
    row = "{type: Linear,     output: [B, 1, 8], parameters: 72}\n"
    expected = text.replace("  'fc1': ", f"  extra:    {row}  'fc1': ").replace(
        "  blocks.*: ", f"  more:     {row}  blocks.*: "
    )
    assert path.read_text() == expected
    assert project.run("-k", "shapes").ret == 0


def test_layers_that_their_author_does_not_list_are_not_added(project: Project) -> None:
    path = with_function(project)
    assert '\n      "act": {' in lock_of(path).read_text()  # recorded, and not listed
    layers = path.read_text()
    assert project.run("--archcheck-update=all", "-k", "shapes").ret == 0
    assert path.read_text() == layers


def test_a_layer_replaced_by_another_is_dropped_and_the_other_listed(project: Project) -> None:
    path = with_function(project)
    text = rebuilt(path, "{without: [conv], added: {fc1: new}}")
    assert found(project)[0][1:] == [
        "  note      the network has fc1, new, act, fc2, fc, blocks",
        "  note      nothing else fits what the spec says of it: --archcheck-update=all drops the row, and adds new",
        f"{ACCEPT}=all",
    ]
    assert project.run("-k", "shapes", "--archcheck-update=all").ret == 0
    row = "  conv:     {type: Conv1d,     output: [B, 1, 8], parameters: 4}   # first\n"
    added = "  new:      {type: Linear,     output: [B, 1, 8], parameters: 72}\n"
    assert path.read_text() == text.replace(row, "").replace("  fc2:  ", f"{added}  fc2:  ")
    assert project.run("-k", "shapes").ret == 0


def test_a_misread_name_is_escaped(project: Project) -> None:
    project.write("odd.py", "from torch import nn\ndef net(): return nn.ModuleDict({'k[0]': nn.Linear(4, 4)})['k[0]']\n"
                  "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                  "        self.net = nn.ModuleDict({'k[0]': nn.Linear(4, 4)})\n"
                  "    def forward(self, x): return self.net['k[0]'](x)\n")  # fmt: skip
    path = project.spec("net", "build: ../odd.py:Net\ninput: [B, 4]\nlayers:\n  'net.k[0]': [B, 4]\n")
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    assert path.read_text().endswith("layers:\n  'net.k\\[0]': [B, 4]\n")
    assert project.run("-k", "shapes").ret == 0


def test_rows_by_new_are_renamed_too(project: Project) -> None:
    project.write("renamed.py", NETS)
    assert (
        main(
            ["new", "renamed.py:Net", "--input", "B,1,8", "--args", '{"count": 12}', "--output", "specs/net.arch.yaml"]
        )
        == 0
    )
    path = Path("specs/net.arch.yaml")
    text = path.read_text()
    path.write_text(text.replace("count: 12", "count: 12, blocks: layers, names: {act: relu, conv: stem}"))
    assert project.run("--archcheck-update").ret == 0
    new = path.read_text()
    assert "blocks." not in new
    assert '"relu": {"mean"' in lock_of(path).read_text()  # recorded, and in no row of `layers` before
    assert len(new.splitlines()) == len(text.splitlines())
    assert project.run().ret == 0


def test_a_layer_that_was_there_before_is_no_new_name_of_one_that_is_gone(project: Project) -> None:
    project.write("renamed.py", NETS)
    path = project.spec("net", head("{added: {fc1: other}}") + LAYERS)  # `other` is as fc1 is, and not listed
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    path.write_text(path.read_text().replace("{added: {fc1: other}}", "{added: {fc1: other}, without: [fc1]}"))
    assert found(project)[0] == [
        "specs/net.arch.yaml:8: fc1: no such module",
        "  note      did you mean fc or fc2?",
        "  note      nothing else fits what the spec says of it: --archcheck-update=all drops the row",
        f"{ACCEPT}=all",
    ]


def test_a_layer_may_move_into_another_module(project: Project) -> None:
    nets = """
        from collections import OrderedDict
        from torch import nn

        def net(moved=False):
            layers = OrderedDict(stem=nn.Linear(4, 6), act=nn.ReLU(), fc=nn.Linear(6, 3))
            if moved:
                layers["head"] = nn.Sequential(nn.Flatten(), layers.pop("fc"))
            return nn.Sequential(layers)
        """
    project.write("moved.py", nets)
    text = (
        "build: ../moved.py:net\nargs: {moved: false}\ninput: [B, 4]\nlayers:\n  fc: {type: Linear, output: [B, 3]}\n"
    )
    path = project.spec("net", text)
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    path.write_text(path.read_text().replace("moved: false", "moved: true"))
    lock_of(path).write_text(lock_of(path).read_text().replace('"act": {', '"gone": {'))
    (message,) = found(project)
    assert message[1] == "  note      it is head.1 now: what it computes tells"
    assert project.run("--archcheck-update", "-k", "shapes").ret == 0
    assert "  head.1: {type: Linear, output: [B, 3]}\n" in path.read_text()
    assert '"head.1": {"mean"' in lock_of(path).read_text()


def test_two_workers_rename_and_drop_as_one(project: Project) -> None:
    path = without_function(project)
    rebuilt(path, "{names: {fc: head}, without: [fc1]}")
    assert project.run("-n", "2", "-k", "shapes", "--archcheck-update=all").ret == 0
    text = path.read_text()
    assert "  head: [B, 1, 3]  # classes\n" in text
    assert "fc1" not in text.split("layers:")[1]


@pytest.mark.parametrize("change", ["last: 0", "last: 0, extra: true", "act: Identity, last: 0"])
def test_a_part_that_was_renamed_and_changed_keeps_its_rows(project: Project, change: str) -> None:
    project.write("parts.py", PARTS)
    path = project.spec("net", """\
build: ../parts.py:Net
args: {}
input: [B, 4]
layers:
  f: {type: Sequential, output: [B, 3], parameters: 93}  # all of it
  f.0: {type: Linear, output: [B, 6], parameters: 30}
  f.1: {type: ReLU, output: [B, 6]}  # as in the paper
  f.2: {type: Linear, output: [B, 6], parameters: 42}
  f.4: {type: Linear, output: [B, 3], parameters: 21}  # last
output: [B, 3]
parameters: 93
macs: 78
function: off
""")  # fmt: skip
    path.write_text(path.read_text().replace("args: {}", f"args: {{name: features, {change}}}"))
    assert project.run("--archcheck-update=all").ret == 0
    new = path.read_text()
    assert "  features: {type: Sequential, output: [B, 3], parameters: 90}  # all of it\n" in new
    assert "  # as in the paper\n" in new
    assert "{type: Linear, output: [B, 3], parameters: 18}  # last\n" in new
    assert project.run().ret == 0
