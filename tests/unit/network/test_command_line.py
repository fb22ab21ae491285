"""What a user's code finds in `sys.argv` while it's imported and builds a network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archcheck.errors import BuildError
from archcheck.network.build import build_network
from tests.unit.network.user_files import write

_PARSED = "parser = argparse.ArgumentParser()\nparser.add_argument('--width', type=int, default=7)\n"
_AT_THE_TOP = (
    f"import argparse\nfrom torch import nn\n{_PARSED}opt = parser.parse_args()\n"
    "def net(): return nn.Linear(2, opt.width)\n"
)
_IN_A_BUILDER = (
    "import argparse\nfrom torch import nn\ndef net():\n"
    + "".join(f"    {line}\n" for line in _PARSED.splitlines())
    + "    return nn.Linear(2, parser.parse_args().width)\n"
)


@pytest.mark.parametrize("code", [_AT_THE_TOP, _IN_A_BUILDER], ids=["at the top", "in a builder"])
def test_a_script_that_parses_its_command_line_gets_its_defaults(
    code: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["pytest", "--archcheck", "specs", "--width", "3"]
    monkeypatch.setattr(sys, "argv", argv)
    write(folder, parsing=code)
    assert build_network("parsing.py:net", {}, folder).out_features == 7
    assert sys.argv is argv


def test_a_script_sees_its_own_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "--archcheck"])
    write(folder, named="import sys\nfrom torch import nn\nclass Net(nn.ReLU): argv = list(sys.argv)\n")
    assert build_network("named.py:Net", {}, folder).argv == ["named.py"]


def test_a_required_argument_is_asked_for_at_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", "--archcheck"])
    write(folder, requiring=_AT_THE_TOP.replace("default=7", "required=True"))
    with pytest.raises(BuildError, match=r"requiring\.py raised SystemExit: 2; .*required: --width.*__main__"):
        build_network("requiring.py:net", {}, folder)
    assert "required: --width" in capsys.readouterr().err


def test_code_that_ends_by_itself_is_told_nothing_of_a_command_line(folder: Path) -> None:
    write(folder, ending="import sys\nsys.exit(2)\n")
    with pytest.raises(BuildError, match=r"importing ending\.py raised SystemExit: 2$"):
        build_network("ending.py:net", {}, folder)
