"""`--archcheck-update`: what is measured is accepted in place, and nothing else in the file changes."""

from __future__ import annotations

import os

import pytest

from tests.integration.project import SMALL, Project, lock_of

COMMENTED = """\
# The network of the handbook.
build: nets:small   # in nets.py
args: {channels: 6}
input: [B, 1, 28, 28]

layers:
  conv:   {type: "Conv2d", output: [B,   5, 28, "28"], parameters: 156}   # first
  'pool': [ B, 6,   # channels
            12, 14 ]
  fc:
    type: Linear
    output:
      - B
      - 12
output: [B, 10]
parameters: {total: 11926}
macs: 0.1 M # about
"""


def test_only_the_values_that_differ_change(project: Project) -> None:
    path = project.spec(text=COMMENTED)
    expected = (
        COMMENTED.replace('[B,   5, 28, "28"]', '[B,   6, 28, "28"]')
        .replace("12, 14 ]", "14, 14 ]")
        .replace("- 12\n", "- 10\n")
    )
    result = project.run("--archcheck-update")
    result.assert_outcomes(passed=5, skipped=1)
    assert result.ret == 0
    assert path.read_text() == expected
    result.stdout.fnmatch_lines(["--- a/specs/small.arch.yaml", "-            12, 14 ]", "+            14, 14 ]"])
    result.stdout.fnmatch_lines(["specs/small.arch.yaml * ok * updated * ok * ok * ok *"])


def test_the_files_line_ends_and_mode_stay(project: Project) -> None:
    path = project.spec()
    path.write_bytes(SMALL.replace("11_926", "11_000").replace("\n", "\r\n").encode())
    path.chmod(0o640)
    project.run("--archcheck-update").assert_outcomes(passed=5)
    assert path.read_bytes() == SMALL.replace("\n", "\r\n").encode()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(project: Project) -> None:
    project.spec()
    real = project.write("elsewhere/real.yaml", SMALL.replace("11_926", "1"))
    link = project.path / "specs" / "linked.arch.yaml"
    link.symlink_to(real)
    project.run("--archcheck-update", "specs/linked.arch.yaml").assert_outcomes(passed=5)
    assert link.is_symlink()
    assert real.read_text() == SMALL


def test_selection_limits_what_is_touched(project: Project) -> None:
    wrong = SMALL.replace("11_926", "1").replace("129_360", "2")
    one, other = project.spec("one", wrong), project.spec("other", wrong)
    project.run("--archcheck-update", "-k", "compute", "specs/one.arch.yaml").assert_outcomes(passed=1, deselected=4)
    assert one.read_text() == SMALL.replace("11_926", "1")
    assert other.read_text() == wrong


def test_a_path_after_the_bare_flag_stays_a_path(project: Project) -> None:
    path = project.broken("11_926", "1")
    project.run("--archcheck-update", str(path)).assert_outcomes(passed=5)
    assert path.read_text() == SMALL


def test_units_and_grouping_are_kept(project: Project) -> None:
    path = project.spec(text=SMALL.replace("129_360", "7.25 k").replace("11_926", "11900"))
    project.run("--archcheck-update").assert_outcomes(passed=5)
    assert path.read_text() == SMALL.replace("129_360", "129.36 k").replace("11_926", "11926")


def test_new_adds_absent_sections_and_leaves_what_differs(project: Project) -> None:
    head = "build: nets:small\ninput: [B, 1, 28, 28]  # grey\nmacs: 1\n# the end\n"
    path = project.spec(text=head)
    result = project.run("--archcheck-update=new", "-k", "not function")
    result.stdout.fnmatch_lines(["FAILED specs/small.arch.yaml::compute - *"])
    result.stdout.fnmatch_lines(["*= 1 failed, *"])
    text = path.read_text()
    assert text.startswith("build: nets:small\ninput: [B, 1, 28, 28]  # grey\nlayers:\n  conv: {type: Conv2d, ")
    assert text.endswith("output: [B, 10]\nparameters: 11_926\nmacs: 1\n# the end\n")
    project.run("-k", "shapes or parameters or compute").assert_outcomes(passed=2, failed=1)


def test_new_ends_a_file_as_it_ended(project: Project) -> None:
    head = "build: nets:small\r\ninput: [B, 1, 28, 28]\r\noutput: [B, 10]"
    path = project.spec()
    path.write_bytes(head.encode())
    project.run("--archcheck-update=new", "-k", "compute or parameters").assert_outcomes(passed=2)
    assert path.read_bytes().decode() == f"{head}\r\nparameters: 11_926\r\nmacs: 129_360"


def test_new_adds_only_what_is_selected(project: Project) -> None:
    head = "build: nets:small\ninput: [B, 1, 28, 28]\n"
    path = project.spec(text=head)
    project.run("--archcheck-update=new", "-k", "compute").assert_outcomes(passed=1)
    assert path.read_text() == head + "macs: 129_360\n"


def test_what_can_not_be_counted_is_not_recorded(project: Project) -> None:
    project.write(
        "nets.py",
        """
        import torch
        from torch import nn

        class Fourier(nn.Module):
            def forward(self, x):
                return torch.fft.rfft(x).abs()

        def net():
            return nn.Sequential(nn.Linear(4, 8), Fourier())
        """,
    )
    path = project.spec("a b", "build: nets:net\ninput: [B, 4]\nparameters: 41\n")
    result = project.run("--archcheck-update=new", "-k", "compute")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["specs/a b.arch.yaml:1: no macs can be recorded: nobody knows the * of aten::_fft_r2c"]
    )
    assert "macs" not in path.read_text()
    result = project.run("-k", "parameters")
    result.stdout.fnmatch_lines(
        ["  accept    pytest --archcheck 'specs/a b.arch.yaml' -k parameters --archcheck-update"]
    )
    result.stdout.fnmatch_lines(["specs/a b.arch.yaml: MACs are without aten::_fft_r2c"])


def test_all_does_both(project: Project) -> None:
    path = project.spec(text="build: nets:small\ninput: [B, 1, 28, 28]\nmacs: 1\n")
    assert project.run("--archcheck-update=all").ret == 0
    assert "macs: 129_360\n" in path.read_text()
    assert "parameters: 11_926\n" in path.read_text()
    assert lock_of(path).exists()
    assert project.run().ret == 0


def test_shapes_are_rewritten_in_terms_of_the_free_dimensions(project: Project) -> None:
    project.write(
        "nets.py",
        "from torch import nn\ndef net(): return nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU())\n",
    )
    text = "build: nets:net\ninput: [B, 3, H, W]\nsizes: {H: [64, 32], W: [96, 48]}\nlayers:\n  0: [B, 8, H/2, W/2]\n"
    path = project.spec(text=text)
    project.run("--archcheck-update").assert_outcomes(passed=3, skipped=1)
    assert path.read_text() == text.replace("H/2, W/2", "H/4, W/4")


def test_a_glob_is_rewritten_only_to_what_all_of_its_layers_show(project: Project) -> None:
    project.write(
        "nets.py",
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))\n",
    )
    path = project.spec(text="build: nets:net\ninput: [B, 4]\nlayers:\n  '*': {type: Conv2d}\n  '?': [B, 5]\n")
    result = project.run("--archcheck-update")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["specs/small.arch.yaml:4: 0: type differs", "  actual    Linear"])
    assert path.read_text() == "build: nets:net\ninput: [B, 4]\nlayers:\n  '*': {type: Conv2d}\n  '?': [B, 6]\n"


def test_what_can_not_be_measured_fails_and_stays(project: Project) -> None:
    text = SMALL.replace("  fc: {type: Linear,", "  head: {type: Softmax,").replace("129_360", "1")
    path = project.spec(text=text)
    result = project.run("--archcheck-update")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["specs/small.arch.yaml:6: head: no such module"])
    assert path.read_text() == text.replace("macs: 1\n", "macs: 129_360\n")


def test_two_workers_write_as_one(project: Project) -> None:
    wrong = SMALL.replace("11_926", "1").replace("129_360", "2").replace("[B, 6, 14, 14]", "[B, 6, 1, 1]")
    paths = [project.spec(f"s{i}", wrong) for i in range(4)]
    result = project.run("-n", "2", "--archcheck-update")
    assert result.ret == 0
    assert [path.read_text() for path in paths] == [SMALL] * 4
    result.stdout.fnmatch_lines(["+parameters: 11_926"])


def test_an_unwritable_folder_is_told_and_nothing_is_lost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project.broken("11_926", "1")
    before = path.read_text()

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    result = project.run("--archcheck-update", "-v")
    monkeypatch.undo()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["archcheck: not updated: *small.arch.yaml: can't be written: No space left on device"])
    table = result.stdout.str().partition(" archcheck ===")[2]
    assert "not written" in table
    assert " updated " not in table
    assert path.read_text() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_update_without_archcheck_is_refused(project: Project) -> None:
    project.spec()
    result = project.pytest("--archcheck-update")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--archcheck-update does nothing without --archcheck*"])


def test_a_value_shared_by_an_alias_is_written_out_where_its_places_differ(project: Project) -> None:
    text = (
        "build: nets:small\ninput: [B, 1, 28, 28]\nlayers:\n  pool: &half [B, 6, 1, 1]\noutput: *half\nfunction: off\n"
    )
    path = project.spec(text=text)
    assert project.run("--archcheck-update").ret == 0
    assert path.read_text() == text.replace("&half [B, 6, 1, 1]", "[B, 6, 14, 14]").replace("*half", "[B, 10]")
