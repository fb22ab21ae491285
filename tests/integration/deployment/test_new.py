"""`archcheck new --compile --export` writes what holds, and says what doesn't."""

from __future__ import annotations

import pytest

from archcheck.cli.command_line import main
from tests.integration.deployment.networks import NETS
from tests.integration.project import Project


def written(project: Project, name: str, *options: str, inputs: str = "B,4") -> str:
    """Return the spec that is written for a network."""
    project.write("nets.py", NETS)
    assert main(["new", f"nets.py:{name}", "--input", inputs, "--output", "specs/net.arch.yaml", *options]) == 0
    return (project.path / "specs" / "net.arch.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("Net", "compile: {graph_breaks: 0, recompiles: 0, dynamic: [B]}\n"),
        ("Branching", "compile: {graph_breaks: 1, recompiles: 1, dynamic: [B]}\n"),
        ("Fixed", "compile: {graph_breaks: 0, recompiles: 1}\n"),
        ("Lying", "# no compile is recorded: the output is off by 1.0e+00 of the largest number (eval mode)\n"),
    ],
)
def test_the_graphs_of_torch_compile_are_recorded(project: Project, name: str, section: str) -> None:
    assert written(project, name, "--compile").endswith(section)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("Net", "export: {dynamic: [B]"),
        ("Fixed", "export: {"),
        ("Branching", "# no export is recorded: torch.export stops: nets.py:"),
    ],
)
def test_what_torch_export_keeps_free_is_recorded(project: Project, name: str, section: str) -> None:
    last = written(project, name, "--export").splitlines()[-1]
    assert last.startswith(section)
    assert "dynamic" not in last or name == "Net"


def test_what_was_written_holds(project: Project) -> None:
    written(project, "Net", "--compile", "--export")
    result = project.run("-k", "compile or export")
    assert result.parseoutcomes().get("failed", 0) == 0
    assert result.parseoutcomes()["passed"] >= 1


def test_neither_is_recorded_unasked(project: Project) -> None:
    text = written(project, "Net")
    assert "compile" not in text
    assert "export" not in text


def test_what_mixes_devices_is_excused_exactly(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("nets.py", """
        import torch
        from torch import nn

        class Block(nn.Module):
            def forward(self, x):
                return x + torch.ones(4)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc, self.block = nn.Linear(4, 4), Block()
            def forward(self, x):
                return self.block(self.fc(x))
    """)  # fmt: skip
    assert main(["new", "nets.py:Net", "--input", "B,4", "--output", "specs/net.arch.yaml"]) == 0
    text = (project.path / "specs" / "net.arch.yaml").read_text("utf-8")
    assert text.endswith("health: {allow_device: [block]}  # mixes devices\n")
    assert "health: excused: mixes devices: block" in capsys.readouterr().err
    project.run("-k", "health").assert_outcomes(passed=1)
