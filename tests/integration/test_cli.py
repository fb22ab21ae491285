"""The `archcheck` command: new, show, diff, schema."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archcheck.cli.command_line import main, make_parser
from archcheck.spec.input_option import parse_input_option
from tests.integration.project import SMALL, Project, lock_of

COMMANDS = ("new", "show", "diff", "calibrate", "bench", "history", "lint", "report", "schema")
WRITTEN = """\
name: small-channels_6
build: ../nets.py:small
args: {channels: 6}
input: [B, 1, 28, 28]

layers:
  conv: {type: Conv2d,    output: [B, 6, 28, 28], parameters: 156}
  act:  {type: ReLU,      output: [B, 6, 28, 28]}
  pool: {type: AvgPool2d, output: [B, 6, 14, 14]}
  flat: {type: Flatten,   output: [B, 1176]}
  fc:   {type: Linear,    output: [B, 10],        parameters: 11_770}
output: [B, 10]
parameters: 11_926
macs: 129_360
"""


def test_new_writes_a_spec_that_reads_well_and_passes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["new", "nets.py:small", "--input", "B,1,28,28", "--args", '{"channels": 6}', "--output", "specs/"]
    assert main(args) == 0
    path = "specs/small-channels_6.arch.yaml"
    assert (project.path / path).read_text() == WRITTEN
    assert lock_of(project.path / path).exists()
    assert capsys.readouterr().out == f"{path}: written; verify it: pytest --archcheck {path}\n"
    assert project.run().ret == 0


def test_new_prints_without_an_output(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "nets.py:small", "--input", "B,1,28,28", "--args", '{"channels": 6}']) == 0
    assert capsys.readouterr().out == WRITTEN.replace("../nets.py", "nets.py")
    assert not (project.path / "specs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="nobody tells which file it is")
def test_new_printed_into_a_spec_finds_its_network_from_there(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("specs").mkdir(exist_ok=True)
    with open("specs/small.arch.yaml", "w") as file, contextlib.redirect_stdout(file):
        assert main(["new", "nets.py:small", "--input", "B,1,28,28", "--args", '{"channels": 6}']) == 0
    assert Path("specs/small.arch.yaml").read_text() == WRITTEN
    told = "small.arch.yaml: printed without its lock, which holds the function: --output FILE, not > FILE, writes both"
    assert told in capsys.readouterr().err
    project.run("-k", "shapes").assert_outcomes(passed=1)


@pytest.mark.skipif(sys.platform != "linux", reason="nobody tells which file it is")
def test_new_prints_no_two_specs_into_one(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with open("both.arch.yaml", "w") as file, contextlib.redirect_stdout(file):
        assert main(["new", "nets.py:small", "nets.py:raising", "--input", "B,1,28,28"]) == 2
    assert "both.arch.yaml: holds one spec; several targets need a folder: --output " in capsys.readouterr().err
    assert not Path("both.arch.yaml").read_text()


def test_new_takes_files_in_folders(project: Project) -> None:
    project.write("src/deep/more.py", "from torch import nn\ndef other(): return nn.Conv2d(1, 2, 3)\n")
    assert main(["new", "src/deep/more.py:other", "--input", "B,1,8,8", "--output", "specs/a.arch.yaml"]) == 0
    assert Path("specs/a.arch.yaml").read_text().startswith("build: ../src/deep/more.py:other\n")
    assert project.run().ret == 0
    assert main(["show", "src/deep/more.py:other", "--input", "B,1,8,8"]) == 0
    assert main(["diff", "specs/a.arch.yaml", "src/deep/more.py:other"]) == 0


def test_new_quotes_what_yaml_would_read_otherwise(project: Project) -> None:
    project.write(
        "odd.py",
        """
        from torch import nn

        class Odd(nn.Module):
            def __init__(self, text, number, names):
                super().__init__()
                assert (text, number, names) == ("1e5", 2.5, {"on": None, "a: b": [True, "0o7"]})

            def forward(self, x):
                return {"a: b": x, "# c": x, "*": x, "": x, "k[0]": x, "new\\nline": x, "é": x, "null": x}
        """,
    )
    args = '{"text": "1e5", "number": 2.5, "names": {"on": null, "a: b": [true, "0o7"]}}'
    assert main(["new", "odd:Odd", "--input", "B,4", "--args", args, "--output", "specs/"]) == 0
    assert project.run().ret == 0


def test_what_a_network_prints_is_not_in_the_spec(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("loud.py", "import nets\ndef small():\n    print('hello')\n    return nets.small()\n")
    assert main(["new", "loud:small", "--input", "B,1,28,28"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("build: loud:small\n")
    assert "hello" in err


def test_diff_of_networks_that_both_stop_is_no_agreement(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "nets:small", "nets.py:small", "--input", "B,1,20,20"]) == 1
    assert "no difference before both stop (4 layer calls alike): the forward stopped at fc" in capsys.readouterr().out


def test_new_writes_to_a_file(project: Project) -> None:
    assert main(["new", "nets:small", "--input", "B,1,28,28", "--output", "deep/down/net.arch.yaml"]) == 0
    assert (project.path / "deep/down/net.arch.yaml").read_text().startswith("build: nets:small\n")


def test_new_takes_several_targets_and_goes_on_past_a_bad_one(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("more.py", "from torch import nn\ndef other(): return nn.Conv2d(1, 2, 3)\n")
    args = ["new", "nets.py:small", "nets.py:raising", "more:other", "--input", "B,1,28,28", "--output", "specs"]
    assert main(args) == 2
    names = ["other.arch.lock", "other.arch.yaml", "small.arch.lock", "small.arch.yaml"]
    assert sorted(path.name for path in Path("specs").iterdir()) == names
    assert "archcheck: error: nets.py:raising: " in capsys.readouterr().err


def test_new_never_overwrites_without_force(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.spec(text=SMALL)
    args = ["new", "nets.py:small", "--input", "B,1,28,28", "--output", "specs"]
    assert main(args) == 2
    assert path.read_text() == SMALL
    assert "small.arch.yaml: exists; --force overwrites it" in capsys.readouterr().err
    assert main([*args, "--force"]) == 0
    assert path.read_text() != SMALL


def test_new_refuses_several_targets_in_one_file(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["new", "nets:small", "nets:raising", "--input", "B,1,28,28", "--output", "a.arch.yaml"]
    assert main(args) == 2
    assert "several targets need a folder" in capsys.readouterr().err
    assert not Path("a.arch.yaml").exists()


def test_new_finds_the_arithmetic_of_free_dimensions(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["new", "torchvision:resnet18", "--input", "B,3,H,W", "--size", "H=224,96", "--size", "W=224,128"]
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "sizes: {H: [224, 96], W: [224, 128]}\n" in out
    assert "  layer4.*: {type: BasicBlock,        output: [B, 512, H/32, W/32]}" in out
    assert "parameters: {total: 11_689_512, buffers: 9_620}\n" in out


def test_new_writes_tokens_tuples_and_repeated_calls(project: Project) -> None:
    project.write(
        "seq.py",
        """
        import torch
        from torch import nn

        class Tagger(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(100, 8)
                self.norm = nn.LayerNorm(8)
                self.lstm = nn.LSTM(8, 16, batch_first=True)
                self.act = nn.Tanh()
                self.head = nn.Linear(16, 5)

            def forward(self, ids, mask):
                x = self.act(self.norm(self.embed(ids)))
                x, state = self.lstm(x)
                return {"logits": self.head(self.act(x)), "state": state, "mask": mask}
        """,
    )
    inputs = ["--input", "ids=B,T:int64<100", "--input", "mask=B,T:bool", "--size", "T=12,7"]
    assert main(["new", "seq.py:Tagger", *inputs, "--output", "specs"]) == 0
    text = Path("specs/Tagger.arch.yaml").read_text()
    assert "input: {ids: {shape: [B, T], dtype: int64, below: 100}, mask: {shape: [B, T], dtype: bool}}\n" in text
    assert "  act[0]: {type: Tanh,      output: [B, T, 8]}\n" in text
    assert "  lstm:   {type: LSTM,      output: [[B, T, 16], [[1, B, 16], [1, B, 16]]], parameters: 1_664}\n" in text
    assert "output: {logits: [B, T, 5], state: [[1, B, 16], [1, B, 16]], mask: [B, T]}\n" in text
    assert project.run().ret == 0


PYRAMID = """
import torch
from torch import nn

class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(5, 4)

    def forward(self, levels, scale):
        image, vector = levels
        return self.conv(image).mean((2, 3)) + self.fc(vector) * scale["by"]
"""


def test_new_takes_an_argument_that_is_a_list_and_one_that_is_a_map(project: Project) -> None:
    project.write("pyramid.py", PYRAMID)
    inputs = ["--input", '[["B",3,8,8],["B",5]]', "--input", '{"by": ["B", 1]}']
    assert main(["new", "pyramid.py:Pyramid", *inputs, "--output", "specs/"]) == 0
    written = (project.path / "specs" / "Pyramid.arch.yaml").read_text()
    assert "\ninput: [[[B, 3, 8, 8], [B, 5]], {by: [B, 1]}]\n" in written
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(passed=6)  # the spec itself, shapes, parameters, compute, health, function
    assert main(["show", "pyramid.py:Pyramid", *inputs]) == 0


def test_new_takes_a_list_as_the_only_argument(project: Project) -> None:
    project.write("pyramid.py", PYRAMID.replace(", levels, scale)", ", levels)").replace(' * scale["by"]', ""))
    args = ["new", "pyramid.py:Pyramid", "--input", '[["B",3,8,8],["B",5]]', "--output", "specs/"]
    assert main(args) == 0
    assert "\ninput: [[[B, 3, 8, 8], [B, 5]]]\n" in (project.path / "specs" / "Pyramid.arch.yaml").read_text()
    assert project.run().ret == 0


def test_a_long_cell_does_not_move_the_others(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(
        "wide.py",
        """
        from torch import nn

        class Many(nn.Linear):
            def forward(self, x):
                return {f"output_number_{i}": super(Many, self).forward(x) for i in range(4)}

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.many = nn.Linear(4, 4), Many(4, 4)

            def forward(self, x):
                return self.many(self.first(x))
        """,
    )
    assert main(["new", "wide:Net", "--input", "B,4"]) == 0
    out = capsys.readouterr().out
    assert "  first: {type: Linear, output: [B, 4], parameters: 20}\n" in out
    assert "output_number_3: [B, 4]}, parameters: 20}\n" in out


def test_new_keeps_to_the_depth_asked_for(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", "torchvision:resnet18", "--input", "B,3,224,224", "--depth", "1"])
    assert capsys.readouterr().out.count("{type: ") == 10


def test_new_refuses_a_network_whose_forward_stops(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "nets:small", "--input", "B,1,20,20"]) == 2
    error = capsys.readouterr().err
    told = "nets:small: nothing to record: the forward stopped at fc: Linear takes 1176 features, got 600"
    assert f'{told}: --input "B,1,28,28"' in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "nets:small", "--input", "B,1,28,28", "--args", "{"], "--args: not valid JSON"),
        (["new", "nets:small", "--input", "B,1,28,28", "--args", "[1]"], "--args: expected a JSON map"),
        (["new", "nets:small", "--input", "B,1,28,28", "--args", '{"size": 1}'], "accepts no argument 'size'"),
        (["new", "small", "--input", "B,1,28,28"], "expected module:callable, path/to/file.py:callable"),
        (["new", "nowhere:small", "--input", "B,1,28,28"], "nowhere"),
        (["new", "nets:small", "--input", "B,1,H,W"], "free dimension H has no sizes"),
        (
            ["new", "nets:small", "--input", "x=B,1", "--input", "mode=b"],
            "no sizes; --size b=224,96; a text stands in quotes: --input 'mode=\"b\"'",
        ),
        (
            ["new", "nets:small", "--input", "B,1", "--input", "bicubic"],
            "no sizes; --size bicubic=224,96; a text stands in quotes: --input '\"bicubic\"'",
        ),
        (["new", "nets:small", "--input", "B,1,28,28", "--size", "H"], "--size 'H': expected NAME=N,N, such as H=224"),
        (["show", "nowhere.arch.yaml"], "nowhere.arch.yaml"),
        (["show", "a.arch.yaml", "--input", "B,1"], "a spec has its own input, sizes and args"),
        (["new", "nets:small", "--input", "B,1,28,28", "--output", "a.yaml"], "a spec's name ends in .arch.yaml"),
        (["new", "nets:smoll*"], "nets:smoll*: no network of that name; did you mean"),
    ],
)
def test_mistakes_are_told_in_a_line(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("archcheck: error: ")
    assert error.count("\n") == 1


def test_packages_in_src_are_found_as_if_they_were_installed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("src/laid_out/__init__.py", "")
    project.write("src/laid_out/parts.py", "from torch import nn\nclass Part(nn.Linear): pass\n")
    project.write("src/laid_out/nets.py", "from laid_out.parts import Part\ndef net(): return Part(4, 2)\n")
    path = list(sys.path)
    assert main(["new", "laid_out.nets:net", "--input", "B,4", "--output", "specs/"]) == 0
    assert main(["show", "specs/net.arch.yaml"]) == 0
    assert "build: laid_out.nets:net\n" in (project.path / "specs" / "net.arch.yaml").read_text()
    assert sys.path == path
    assert project.run().ret == 0
    assert main(["new", "laid_out.nest:net", "--input", "B,4"]) == 2
    assert "no module named 'laid_out.nest': did you mean 'laid_out.nets'?" in capsys.readouterr().err
    assert main(["new", "elsewhere.nets:net", "--input", "B,4"]) == 2
    folders = f"{project.path}, {project.path / 'src'} or the Python environment"
    assert f"no module named 'elsewhere' in {folders}" in capsys.readouterr().err


def test_timm_missing_is_told_with_the_way_to_get_it(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["new", "timm:resnet18", "--input", "B,3,224,224"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_timm_models_are_targets(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    assert main(["new", "timm:vit_tiny_patch16_224", "--input", "B,3,224,224"]) == 0
    # Touvron et al. 2020, table 1: DeiT-Ti has 5.7 M parameters; timm's own count is 5,717,416.
    assert "parameters: 5_717_416\n" in capsys.readouterr().out


def test_show_prints_the_layer_table(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.spec()
    assert main(["show", "specs/small.arch.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["conv", "Conv2d", "[B,", "6,", "28,", "28]", "156", "118", "k"]
    assert lines[-2:] == ["parameters  11_926", "macs        129 k (129_360) for one example"]


def test_diff_names_the_first_divergence_first(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("wide.py", "import nets\ndef small(): return nets.small(channels=8)\n")
    project.spec()
    assert main(["diff", "specs/small.arch.yaml", "wide:small"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("first divergence: conv\n")
    assert "conv     Conv2d [B, 6, 28, 28] 156 parameters  Conv2d [B, 8, 28, 28] 208 parameters\n" in out


def test_diff_of_renamed_layers_goes_by_execution(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write(
        "renamed.py",
        """
        from torch import nn

        def small():
            return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(),
                                 nn.Linear(1176, 10))
        """,
    )
    assert main(["diff", "nets:small", "renamed:small", "--input", "B,1,28,28"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("first divergence: act / 1\n")
    assert len(out.splitlines()) == 5


def test_diff_of_alike_networks_says_so(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.spec()
    assert main(["diff", "specs/small.arch.yaml", "nets.py:small"]) == 0
    assert capsys.readouterr().out == "no difference in structure: 5 layer calls alike\n"


def test_diff_of_a_spec_and_what_it_builds_says_that_nothing_recorded_is_compared(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("scaled.py", """
        from torch import nn

        def net(width=2):
            return nn.Sequential(nn.Linear(4, width))
        """)  # fmt: skip
    project.spec("net", "build: ../scaled.py:net\nargs: {width: 3}\ninput: [B, 4]\n")
    said = (
        "both sides are built from the same code, as it is now; what was recorded of it is compared by "
        "pytest --archcheck specs/net.arch.yaml"
    )
    same = ["diff", "specs/net.arch.yaml", "scaled.py:net", "--function", "--args"]
    assert main([*same, '{"width": 3}']) == 0
    assert said in capsys.readouterr().err
    assert main([*same, '{"width": 2}']) == 1
    assert said not in capsys.readouterr().err
    assert main(["diff", "scaled.py:net", "scaled.py:net", "--input", "B,4"]) == 0
    assert "both sides" not in capsys.readouterr().err


def test_a_block_that_one_side_lacks_is_one_row(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "torchvision:resnet18", "torchvision:resnet34", "--input", "B,3,224,224"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("first divergence: layer1.2\n")
    assert "layer1.2.conv1" not in out


def test_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["build"]
    assert schema["anyOf"] == [{"required": ["input"]}, {"required": ["inputs_from"]}]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids="".join)
def test_help_ends_with_examples_that_are_valid(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, "--help"])
    examples = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    assert examples
    assert any(line.split()[: len(command) + 1] == ["archcheck", *command] for line in examples)
    for line in examples:
        program, *words = shlex.split(line.partition(" > ")[0])
        assert program in ("archcheck", "pytest")
        if program == "archcheck" and "--help" not in words:
            options = make_parser().parse_args(words)
            inputs = parse_input_option(options.input) if getattr(options, "input", None) else None
            assert inputs is None or inputs


# ------------------------------------------------------------------------------------------- pages


def test_show_writes_a_page(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    spec = project.spec()
    assert main(["show", str(spec), "--html", "out/net.html", "--cost"]) == 0
    assert capsys.readouterr().out == "out/net.html: written\n"
    page = (project.path / "out" / "net.html").read_text("utf-8")
    assert "parameters  11_926" in page
    assert '<option value="memory">' in page
    assert 'data-n="' not in page  # its layers are all in a row


def test_diff_writes_a_page_and_says_by_its_status_whether_they_differ(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = project.spec()
    assert main(["diff", str(spec), "nets.py:small", "--args", '{"channels": 7}', "--html", "d.html"]) == 1
    assert capsys.readouterr().out == "d.html: written\n"
    page = (project.path / "d.html").read_text("utf-8")
    assert "first divergence: conv" in page
    assert page.count("first difference</b>") == 2
    assert "nets.py:small has <code>Conv2d [B, 7, 28, 28] 182 parameters</code>" in page
    assert main(["diff", str(spec), str(spec), "--html", "d.html"]) == 0
    assert "no difference in structure: 5 layer calls alike" in (project.path / "d.html").read_text("utf-8")


def test_a_page_that_can_not_be_written_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    spec = project.spec()
    (project.path / "taken").write_text("")
    assert main(["show", str(spec), "--html", "taken/net.html"]) == 2
    assert "taken/net.html: can't be written: " in capsys.readouterr().err


def test_the_command_is_a_module_too(project: Project) -> None:
    command = [sys.executable, "-m", "archcheck", "nothing"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr.startswith("usage: archcheck ")


def test_a_build_that_fails_late_is_told_with_its_line(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    code = """
        from torch import nn
        def late():
            net = nn.Linear(4, 2)
            if not net.weight.is_meta:
                raise ValueError("no driver")
            return net
    """
    project.write("late.py", code)
    assert main(["new", "late.py:late", "--input", "B,4"]) == 2
    assert "building late.py:late raised ValueError: no driver (raised late.py:6)" in capsys.readouterr().err


def test_what_a_network_prints_while_its_input_is_guessed_is_not_shown(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    code = """
        from torch import nn
        class Printing(nn.Linear):
            def forward(self, x):
                print("takes", x.shape)
                raise ValueError("never enough")
    """
    project.write("printing.py", code)
    assert main(["new", "printing.py:Printing", "--args", '{"in_features": 4, "out_features": 2}']) == 2
    told = capfd.readouterr().err
    assert "never enough" in told
    assert "takes" not in told


def test_names_that_the_terminal_has_no_letters_for(project: Project) -> None:
    project.write(
        "letters.py",
        """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.größe = nn.Linear(3, 2)

            def forward(self, x):
                return self.größe(x)
        """,
    )

    def told(command: str, **where: Any) -> bytes:
        arguments = [sys.executable, "-m", "archcheck", command, "letters.py:Net", "--input", "B,3"]
        ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
        done = subprocess.run(arguments, env=ascii_only, stderr=subprocess.PIPE, check=False, **where)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
        return done.stdout or b""

    assert rb"gr\xf6\xdfe" in told("show", stdout=subprocess.PIPE)
    with open("letters.arch.yaml", "wb") as out:  # which is read back
        told("new", stdout=out)
    assert "größe" in Path("letters.arch.yaml").read_text(encoding="utf-8")


def test_what_a_network_writes_to_the_descriptor_is_no_part_of_a_spec(project: Project) -> None:
    project.write(
        "loud.py",
        r"""
        import ctypes, os
        from torch import nn

        def net():
            os.write(1, b"written to 1\n")
            ctypes.CDLL(None).printf(b"printed by C\n")
            os.system("echo echoed")
            print("printed")
            return nn.Linear(3, 2)
        """,
    )
    for command in (["new", "loud.py:net", "--input", "B,3"], ["show", "loud.py:net", "--input", "B,3"]):
        with open("out", "wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "archcheck", *command], stdout=out, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 0
        text = Path("out").read_text()
        assert not {"written", "printed", "echoed"} & set(text.split())
        assert text.startswith("build: " if command[0] == "new" else "layer")
        assert all(one in done.stderr for one in (b"written to 1\n", b"printed by C\n", b"echoed\n", b"printed\n"))
