"""`archcheck new` from its user's side: what goes in is found out, patterns, excuses, names, what can't be written."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project

MODELS = """
import torch
from torch import nn

class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4 * 26 * 26, 10)

    def forward(self, x):
        return self.fc(self.conv(x).relu().flatten(1))

class Tagger(nn.Module):
    def __init__(self, vocabulary=50):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(vocabulary, 8), nn.LSTM(8, 6, batch_first=True)
        self.fc = nn.Linear(6, 3)

    def forward(self, words):
        return self.fc(self.lstm(self.embedding(words))[0])

def tagger() -> nn.Module:
    return Tagger(20)

def built():
    return Digits()

class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()

class _Hidden(nn.Module):
    pass

def main():
    Digits()
    raise SystemExit("main was called")

def helper(x=1):
    return x
"""


@pytest.fixture
def models(project: Project) -> Project:
    project.write("models.py", MODELS)
    return project


def test_what_goes_in_is_found_out_and_said_as_it_would_be_typed(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "models.py:Digits", "models.py:Tagger", "--output", "specs"]) == 0
    error = capsys.readouterr().err.splitlines()
    assert error == [
        'archcheck: models.py:Digits: assumed --input "B,1,28,28" from conv (Conv2d takes 1 channel)',
        'archcheck: models.py:Tagger: assumed --input "B,16:int64<50" from embedding (Embedding takes 50 different '
        "numbers)",
    ]
    assert "\ninput: [B, 1, 28, 28]\n" in Path("specs/Digits.arch.yaml").read_text()
    result = models.run()
    assert result.ret == 0
    result.assert_outcomes(passed=12)


def test_the_assumption_typed_gives_the_same_spec(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "models.py:Tagger"]) == 0
    assumed = capsys.readouterr().out
    assert main(["new", "models.py:Tagger", "--input", "B,16:int64<50"]) == 0
    assert capsys.readouterr().out == assumed


def test_show_and_diff_find_it_out_too(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "models.py:Digits"]) == 0
    assert "output      [B, 10]" in capsys.readouterr().out
    assert main(["diff", "models.py:Digits", "models.py:built"]) == 0
    assert capsys.readouterr().out == "no difference in structure: 2 layer calls alike\n"


def test_a_wrong_input_is_told_with_what_the_layer_takes(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "models.py:Digits", "--input", "B,3,28,28"]) == 2
    assert capsys.readouterr().err == (
        "archcheck: error: models.py:Digits: nothing to record: the forward stopped at "
        'conv: Conv2d takes 1 channel, got 3: --input "B,1,28,28"\n'
    )


def test_the_size_that_was_given_is_kept_where_it_was_right(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write("wide.py", "from torch import nn\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 4, 3))\n")
    assert main(["new", "wide:net", "--input", "B,1,40,56"]) == 2
    assert '0: Conv2d takes 3 channels, got 1: --input "B,3,40,56"\n' in capsys.readouterr().err


def test_an_argument_left_out_is_told_where_a_layer_is_made_for_it(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write(
        "attended.py",
        """
        from torch import nn

        class Attended(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem, self.keys = nn.Conv2d(3, 6, 4, 4), nn.Linear(9, 6)

            def forward(self, x, context=None):
                x = self.stem(x).flatten(2).transpose(1, 2)
                keys = self.keys(x if context is None else context)
                return (x @ keys.transpose(1, 2)).softmax(-1) @ keys
        """,
    )
    assert main(["new", "attended:Attended", "--input", "x=B,3,40,40"]) == 2
    told = 'keys: Linear takes 9 features, got 6: --input "x=B,3,40,40" --input "context=B,16,9"\n'
    assert told in capsys.readouterr().err


def test_a_network_that_takes_nothing_says_how_far_it_got(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write(
        "picky.py",
        """
        from torch import nn

        class Picky(nn.Linear):
            def __init__(self):
                super().__init__(7, 2)

            def forward(self, x, mode):
                assert mode == "fast", "which mode?"
                return super().forward(x)
        """,
    )
    assert main(["new", "picky:Picky"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "archcheck: error: picky:Picky: what goes in? Nothing that was tried gets through (closest: "
    )
    assert "AssertionError: which mode?" in error
    assert error.endswith('; give its shape, written like --input "x=B,7" --input "mode=B,7", which was refused\n')


def test_a_network_larger_than_any_machine_has_all_but_its_function(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "from torch import nn\n\ndef huge():\n    return nn.Linear(2_000_000, 2_000_000, bias=False)\n"
    models.write("huge.py", text)
    assert main(["new", "huge:huge", "--output", "specs"]) == 0
    told = r"no function is recorded: running it takes about [\d.]+ GiB, and [\d.]+ GiB are free; "
    told += "a spec of a smaller build beside it, of fewer layers, can have one"
    assert re.search(told, capsys.readouterr().err)
    spec = Path("specs/huge.arch.yaml").read_text()
    assert "\nparameters: 4_000_000_000_000\n" in spec
    assert re.search(f"\nfunction: off  # {told}\n", spec)


def test_channels_beside_which_a_network_puts_more_are_found(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write(
        "fields.py",
        """
        import torch
        from torch import nn

        class Field(nn.Module):
            def __init__(self):
                super().__init__()
                self.lift = nn.Conv1d(6, 8, 1)
                self.mix = nn.Conv3d(8, 2, 1)

            def forward(self, x):
                b, _, *sides = x.shape
                assert len(sides) == 3, "expected 3 sides"
                x = torch.cat([x, x.new_zeros(b, 3, *sides)], 1)  # where each point is
                return self.mix(self.lift(x.flatten(2)).reshape(b, 8, *sides))
        """,
    )
    assert main(["new", "fields.py:Field"]) == 0
    assert "input: [B, 3, 32, 32, 32]\n" in capsys.readouterr().out


def test_what_no_option_can_say_is_made_by_a_function_of_a_few_lines(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write(
        "graphs.py",
        """
        from torch import nn

        class Pooled(nn.Linear):
            def __init__(self):
                super().__init__(7, 2)

            def forward(self, graph):
                return super().forward(graph.x)
        """,
    )
    assert main(["new", "graphs:Pooled"]) == 2
    advice = capsys.readouterr().err.partition("--inputs-from FILE.py:make:\n")[2].splitlines()
    assert [line.strip() for line in advice[:2]] == [
        "def make(sizes, seed):",
        "random = torch.Generator().manual_seed(seed)",
    ]
    assert advice[2].strip().startswith("return (graph,)")


def test_what_may_be_meant_otherwise_is_told(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write(
        "views.py",
        """
        import torch
        from torch import nn

        class Views(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(6, 2)

            def forward(self, views):
                return torch.stack([self.fc(view) for view in views])
        """,
    )
    assert main(["new", "views:Views"]) == 0
    assert "views:Views: in doubt: a layer is called once for every example" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- patterns


def test_a_pattern_takes_classes_and_factories_that_need_nothing(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "models:*", "--output", "specs"]) == 0
    # Upper and lower case are one on some file systems.
    names = [re.sub("-[0-9a-f]{6}", "-HASH", path.name) for path in sorted(Path("specs").glob("*.yaml"))]
    assert names == ["Digits.arch.yaml", "Tagger.arch.yaml", "built.arch.yaml", "tagger-HASH.arch.yaml"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5].split() == ["models:Digits", "specs/Digits.arch.yaml", "written"]
    assert lines[-1] == "4 of 4 written"


def test_all_says_what_a_module_offers(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write("offer.py", "from models import *\n__all__ = ['Tagger', 'helper']\n")
    assert main(["new", "offer:*"]) == 0
    assert capsys.readouterr().out.startswith("build: offer:Tagger\n")


def test_one_that_fails_keeps_no_other_from_being_written(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    targets = ["nets:raising", "models:D*", "timm:resnt*", "nowhere:Net"]
    assert main(["new", *targets, "--output", "specs"]) == 2
    table = capsys.readouterr().out.splitlines()[-5:]
    assert [line.split()[0] for line in table[:4]] == ["timm:resnt*", "nets:raising", "models:Digits", "nowhere:Net"]
    assert table[0].endswith("timm:resnt*: no network of that name; did you mean resnet*?")
    assert "no such width" in table[1]
    assert table[-1] == "1 of 4 written"


def test_hundreds_have_to_be_meant(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write(
        "lots.py",
        "from torch import nn\nfor i in range(51):\n    exec(f'def net_{i}() -> nn.Module: return nn.Linear(4, 2)')\n",
    )
    assert main(["new", "lots:*", "--output", "specs"]) == 2
    told = "archcheck: error: lots:* names 51 networks: --yes writes them all, a narrower pattern fewer\n"
    assert capsys.readouterr().err == told
    assert not Path("specs").exists()
    assert main(["new", "lots:net_1*", "--output", "specs"]) == 0
    assert len(list(Path("specs").glob("*.yaml"))) == len(list(Path("specs").glob("*.lock"))) == 11


def test_ctrl_c_keeps_what_is_written(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write("stop.py", "def net():\n    raise KeyboardInterrupt\n")
    assert main(["new", "models:Digits", "stop:net", "models:Tagger", "--output", "specs"]) == 130
    assert sorted(path.name for path in Path("specs").iterdir()) == ["Digits.arch.lock", "Digits.arch.yaml"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:-1] == [
        "stop:net       -                       not tried: interrupted",
        "models:Tagger  -                       not tried: interrupted",
    ]
    assert lines[-1] == "1 of 3 written"


# ---------------------------------------------------------------------------------------- what is found is excused


UNSOUND = """
import torch
from torch import nn
from torch.nn import functional as F

class Unused(nn.Linear):
    def __init__(self):
        super().__init__(5, 2)
        self.pooler = nn.Sequential(nn.Linear(2, 2))
        self.aux = nn.Linear(2, 2)

    def forward(self, x):
        return self.aux(super().forward(x).detach()).detach() + super().forward(x)

class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(5, 5), "norm": nn.LayerNorm(5)}) for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block["fc"](x)
        return x

class AllButOne(Blocks):
    def forward(self, x):
        return self.blocks[1]["norm"](super().forward(x))

class Random(nn.Linear):
    def __init__(self):
        super().__init__(5, 2)

    def forward(self, x):
        return F.dropout(super().forward(x))

class Unsaved(nn.Linear):
    def __init__(self):
        super().__init__(5, 2)
        self.register_buffer("scale", torch.rand(5), persistent=False)

    def forward(self, x):
        return super().forward(x * self.scale)

class Writes(nn.Linear):
    def __init__(self):
        super().__init__(5, 2)

    def forward(self, x):
        return super().forward(x.add_(1))
"""


GATED = """
from torch import nn
from torch.nn import functional as F

class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.reduce = nn.Conv2d(4, 1, 1)
        self.expand = nn.Conv2d(1, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = x + self.conv(x)
        scale = F.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        x = x * F.hardsigmoid(-100 * self.expand(scale).abs())
        return self.fc(x.mean((2, 3)))

class WithSpare(Gated):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(4, 2)
"""


def test_a_gate_that_is_shut_for_the_usual_weights_is_no_reason_for_an_excuse(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write("gated.py", GATED)
    assert main(["new", "gated.py:Gated", "--input", "B,3,8,8", "--output", "specs"]) == 0
    assert "health" not in Path("specs/Gated.arch.yaml").read_text() + capsys.readouterr().err
    assert models.run().ret == 0
    models.write("lost.py", GATED.replace("x = x + self.conv(x)", "x = self.conv(x)"))
    spec = Path("specs/Gated.arch.yaml")
    spec.write_text(spec.read_text().replace("gated.py", "lost.py"))
    result = models.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["specs/Gated.arch.*: *the output*differs*"])


def test_a_parameter_that_is_never_used_is_found_beside_a_shut_gate(models: Project) -> None:
    models.write("gated.py", GATED)
    assert main(["new", "gated.py:WithSpare", "--input", "B,3,8,8", "--output", "specs"]) == 0
    written = Path("specs/WithSpare.arch.yaml").read_text().splitlines()
    assert "health: {allow_unused: [spare.**]}  # no gradient" in written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Unused", "health: {allow_unused: [pooler.**, aux.**]}  # no gradient"),
        ("Blocks", "health: {allow_unused: [blocks.*.norm.**]}  # no gradient"),
        ("AllButOne", "health: {allow_unused: [blocks.0.norm.**, blocks.2.norm.**]}  # no gradient"),
        ("Random", 'health: {allow_random: ["**"]}  # random numbers in eval mode'),
        ("Unsaved", "health: {allow_unsaved: [scale]}  # not saved in a checkpoint"),
        ("Writes", "health: off  # forward writes to its input"),
    ],
)
def test_what_health_finds_is_excused_exactly_and_told(
    models: Project, capsys: pytest.CaptureFixture[str], name: str, written: str
) -> None:
    models.write("unsound.py", UNSOUND)
    assert main(["new", f"unsound.py:{name}", "--output", "specs"]) == 0
    assert written in Path(f"specs/{name}.arch.yaml").read_text().splitlines()
    assert f"archcheck: unsound.py:{name}: health: " in capsys.readouterr().err
    assert models.run().ret == 0


MERGED = """
import torch
from torch import nn

class Merged(nn.Module):
    def __init__(self):
        super().__init__()
        self.train_conv, self.eval_conv = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.eval_conv.requires_grad_(False)

    def forward(self, x):
        if self.training:
            return self.train_conv(x)
        self.eval_conv.weight.data = self.train_conv.weight.data
        self.eval_conv.bias.data = self.train_conv.bias.data
        return self.eval_conv(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = Merged(), Merged(), Merged()
        self.fourth, self.fifth = nn.Sequential(Merged(), nn.ReLU()), Merged()

    def forward(self, x):
        return self.fifth(self.fourth(self.third(self.second(self.first(x)))))

class OneKept(Net):
    def __init__(self):
        super().__init__()
        self.sixth = nn.Module()
        self.sixth.eval_conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.sixth.eval_conv(super().forward(x))
"""
NAMES = ("first", "second", "third", "fourth.0", "fifth")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Net", '["**.eval_conv.**"]'),
        (
            "OneKept",
            "[first.eval_conv.**, second.eval_conv.**, third.eval_conv.**, fourth.0.eval_conv.**, fifth.eval_conv.**]",
        ),
    ],
)
def test_many_excuses_that_end_alike_are_one_unless_another_name_does(models: Project, name: str, written: str) -> None:
    models.write("merged.py", MERGED)
    assert main(["new", f"merged.py:{name}", "--output", "specs"]) == 0
    lines = Path(f"specs/{name}.arch.yaml").read_text().splitlines()
    assert f"health: {{allow_updates: {written}}}  # written to in eval mode" in lines
    assert models.run().ret == 0


def test_an_excuse_covers_nothing_that_comes_later(models: Project) -> None:
    models.write("unsound.py", UNSOUND)
    assert main(["new", "unsound.py:Unused", "--output", "specs"]) == 0
    models.write("later.py", UNSOUND.replace("+ super().forward(x)\n", "+ super().forward(x).detach()\n", 1))
    spec = Path("specs/Unused.arch.yaml")
    spec.write_text(spec.read_text().replace("unsound.py", "later.py"))
    result = models.run("-k", "health")
    assert "weight: gets no gradient, nor does 1 more parameter" in result.stdout.str()


EXPERTS = """
import torch
from torch import nn

class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = torch.where(chosen == i)[0]
            if len(rows):
                out[rows] = expert(x[rows])
        return out
"""


def test_of_experts_no_number_of_examples_is_promised(project: Project) -> None:
    project.write("experts.py", EXPERTS)
    assert main(["new", "experts.py:Experts", "--input", "B,8", "--size", "B=24,36", "--output", "specs/"]) == 0
    spec = (project.path / "specs" / "Experts.arch.yaml").read_text()
    assert "router:" in spec
    assert "output: [B, 4]" in spec
    rows = [line for line in spec.splitlines() if line.startswith("  experts.")]
    assert len(rows) == 4
    assert all("parameters: 72" in row and "output" not in row for row in rows)
    assert "macs: 96" in spec  # of an example, whichever expert it takes
    project.run("specs").assert_outcomes(passed=6)


def test_what_is_not_recorded_stands_in_the_spec(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write(
        "chance.py",
        """
        import random
        from torch import nn

        class Chance(nn.Linear):
            def __init__(self):
                super().__init__(5, 2)

            def forward(self, x):
                return super().forward(x) * random.random()
        """,
    )
    assert main(["new", "chance.py:Chance", "models:Digits", "--output", "specs"]) == 0
    text = Path("specs/Chance.arch.yaml").read_text()
    assert (
        "\nfunction: off  # no function is recorded: two runs under the same weights differ, first at output: " in text
    )
    assert "\nhealth: off  # the network itself differs from run to run in eval mode\n" in text
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.startswith("chance.py:Chance"))
    assert "written in part; no function is recorded: two runs under the same weights differ" in line
    assert models.run().ret == 0


# ---------------------------------------------------------------------------------------------- names


FACTORY = """
from torch import nn

def create_model(name, width=4):
    return nn.Sequential(nn.Linear(width, 2) if name == "one" else nn.Linear(width, 3))
"""


def test_specs_of_one_factory_are_called_after_their_arguments(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write("factory.py", FACTORY)
    maps = ['{"name": "one"}', '{"name": "two"}', '{"name": "two", "width": 6}', '{"name": "a/b"}', '{"name": "a b"}']
    assert main(["new", "factory.py:create_model", *(f"--args={text}" for text in maps), "--output", "specs"]) == 0
    names = sorted(path.name.removesuffix(".arch.yaml") for path in Path("specs").glob("*.yaml"))
    assert [re.sub("-[0-9a-f]{6}$", "-HASH", name) for name in names] == [
        "create_model-a_b-HASH",
        "create_model-a_b-HASH",
        "create_model-one",
        "create_model-two",
        "create_model-two-width_6",
    ]
    assert Path("specs/create_model-two.arch.yaml").read_text().startswith("name: create_model-two\nbuild: ")
    assert models.run().ret == 0


def test_two_targets_of_one_name_are_told_apart_by_their_modules(models: Project) -> None:
    models.write("others.py", MODELS)
    assert main(["new", "models:Digits", "others.py:Digits", "--output", "specs"]) == 0
    assert sorted(path.name for path in Path("specs").glob("*.yaml")) == [
        "models.Digits.arch.yaml",
        "others.Digits.arch.yaml",
    ]


# ---------------------------------------------------------------------------------------------- asked on the terminal


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ("\n", "input: [B, 1, 28, 28]"),
        ("N,1,28,28 --size N=2,3\n", "input: [N, 1, 28, 28]"),
    ],
)
def test_interactive_asks_with_the_assumption_as_the_default(
    models: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, written: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["new", "models.py:Digits", "--interactive"]) == 0
    out, error = capsys.readouterr()
    assert error.startswith('archcheck: what goes into models.py:Digits? [--input "B,1,28,28"] ')
    assert written in out


def test_interactive_needs_a_terminal(
    models: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["new", "models.py:Digits", "--interactive"]) == 2
    told = "--interactive asks on the terminal, and there is none: leave it out, or give --input"
    assert capsys.readouterr().err == f"archcheck: error: {told}\n"


# ---------------------------------------------------------------------------------------------- manifests


MANIFEST = """\
- {name: ten, build: models.py:Digits}
- name: twenty
  build: models:Tagger
  args: {vocabulary: 20}
  input: {shape: [B, 9], below: 20}
"""


def test_a_manifest_is_written_and_kept_up(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write("zoo/list.yaml", MANIFEST.replace("models.py", "../models.py"))
    assert main(["new", "--manifest", "zoo/list.yaml"]) == 0
    text = Path("zoo/specs/twenty.arch.yaml").read_text()
    assert text.startswith("build: models:Tagger\nargs: {vocabulary: 20}\ninput: {shape: [B, 9], below: 20}\n")
    assert models.run("zoo").ret == 0

    Path("zoo/specs/ten.arch.yaml").rename("zoo/specs/old.arch.yaml")
    before = Path("zoo/specs/twenty.arch.yaml").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["new", "--manifest", "zoo/list.yaml"]) == 0
    out, error = capsys.readouterr()
    assert [line.split()[-1] for line in out.splitlines()[-3:-1]] == ["written", "date"]
    assert out.endswith("\n2 of 2 have their spec\n")
    assert error.endswith("archcheck: not in zoo/list.yaml: zoo/specs/old.arch.yaml\n")
    assert Path("zoo/specs/twenty.arch.yaml").stat().st_mtime_ns == before


DETECTOR = """
import torch
from torch import nn

class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, image, boxes=None):
        y = self.fc(image)
        return {"loss": (y - boxes).abs().mean()} if self.training else y

def images(sizes, train):
    image, boxes = torch.rand(sizes["B"], 6), torch.rand(sizes["B"], 4)
    return (image, boxes) if train else image
"""


def test_a_manifest_says_what_makes_the_inputs_and_what_train_mode_takes(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write("zoo/nets.py", DETECTOR)
    entries = """        - {name: made, build: "nets.py:Detector", inputs_from: "nets.py:images"}
        - {name: written, build: "nets.py:Detector", input: [B, 6], train_input: [[B, 6], [B, 4]]}
        """
    models.write("zoo/list.yaml", entries)
    assert main(["new", "--manifest", "zoo/list.yaml", "--output", "specs"]) == 0
    head = "build: ../zoo/nets.py:Detector\n"
    assert Path("specs/made.arch.yaml").read_text().startswith(f'{head}inputs_from: "../zoo/nets.py:images"\n')
    written = f"{head}input: [B, 6]\ntrain_input: [[B, 6], [B, 4]]\n"
    assert Path("specs/written.arch.yaml").read_text().startswith(written)
    models.run("specs", "--archcheck-strict").assert_outcomes(passed=12)
    assert main(["new", "--manifest", "zoo/list.yaml", "--output", "specs"]) == 0

    models.write("zoo/list.yaml", entries.replace(", train_input: [[B, 6], [B, 4]]", "").replace("images", "others"))
    capsys.readouterr()
    assert main(["new", "--manifest", "zoo/list.yaml", "--output", "specs"]) == 2
    error = capsys.readouterr().err
    assert "zoo/list.yaml:1: specs/made.arch.yaml differs from the manifest in inputs_from: --force writes" in error
    assert "zoo/list.yaml:2: specs/written.arch.yaml differs from the manifest in train_input: --force writes" in error


def test_a_spec_that_says_something_else_than_the_manifest_is_told(
    models: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write("list.yaml", MANIFEST)
    assert main(["new", "--manifest", "list.yaml"]) == 0
    models.write("list.yaml", MANIFEST.replace("20}\n  input", "30}\n  input"))
    assert main(["new", "--manifest", "list.yaml"]) == 2
    told = "specs/twenty.arch.yaml differs from the manifest in args: --force writes it anew"
    assert f"archcheck: error: list.yaml:2: {told}\n" in capsys.readouterr().err
    assert main(["new", "--manifest", "list.yaml", "--force"]) == 0
    assert "args: {vocabulary: 30}" in Path("specs/twenty.arch.yaml").read_text()


def test_mistakes_in_a_manifest_are_told_at_their_lines(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write(
        "list.yaml",
        """\
        - {name: a/b, build: models.py:Digits}
        - {nam: c, build: Digits}
        - {name: d, build: "models:Digits"}
        - {name: D, build: "models:Digits", args: [1]}
        - text
        - {name: e, build: "models:Digits", input: [B, -1]}
        - {name: f, build: "models:Digits", inputs_from: nowhere}
        - name: g
          build: models:Digits
          inputs_from: models:Digits
          input: [B, 9]
        - name: h
          build: models:Digits
          input: [B, 9]
          train_input: [[B, 9], {shape: [B], above: 3, below: 2}]
        - {name: i, build: "models:Digits", input: [B, H]}
        """,
    )
    assert main(["new", "--manifest", "list.yaml"]) == 2
    error = capsys.readouterr().err
    for told in (
        "list.yaml:1: name: expected letters, digits, _, - and ., as it's a file's name; found 'a/b'",
        "list.yaml:2: unknown key 'nam'; did you mean name?",
        "list.yaml:2: build: expected module:callable",
        "list.yaml:2: missing key `name`",
        "list.yaml:4: args: expected a map, found a list",
        "list.yaml:4: name: 'D' is the name in line 3, too",
        "list.yaml:5: expected a map with name and build, found 'text'",
        "list.yaml:6: input: ",
        "list.yaml:7: inputs_from: expected module:callable",
        "list.yaml:10: inputs_from: makes what goes in, as `input` says: leave out one of the two",
        "list.yaml:15: below: no whole number is from 4 to 1",
        "list.yaml:16: free dimension H has no sizes; expected sizes: {H: [224, 96]}",
    ):
        assert told in error
    models.write("list.yaml", "name: a\n")
    assert main(["new", "--manifest", "list.yaml"]) == 2
    assert "list.yaml:1: expected a list at the top, found a mapping" in capsys.readouterr().err


def test_an_entry_that_can_t_be_built_is_told_at_its_line(models: Project, capsys: pytest.CaptureFixture[str]) -> None:
    models.write("list.yaml", "- {name: bad, build: models:Nope}\n- {name: good, build: models:Digits}\n")
    assert main(["new", "--manifest", "list.yaml"]) == 2
    assert "archcheck: error: list.yaml:1: models:Nope: models has no 'Nope'\n" in capsys.readouterr().err
    assert sorted(path.name for path in Path("specs").iterdir()) == ["good.arch.lock", "good.arch.yaml"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "which network? Name a TARGET, or a --manifest FILE"),
        (
            ["models:Digits", "--manifest", "list.yaml"],
            "--manifest says what is built and what goes in: leave out targets",
        ),
        (["--manifest", "nowhere.yaml"], "nowhere.yaml:1: there is no such manifest"),
    ],
)
def test_a_manifest_stands_for_targets(
    models: Project, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert main(["new", *options]) == 2
    assert capsys.readouterr().err == f"archcheck: error: {told}\n"
