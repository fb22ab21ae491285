"""The section `export`: captured with free dimensions, saved and loaded, the same at other sizes; and as ONNX."""

from __future__ import annotations

import importlib.util

import pytest

from tests.integration.deployment.networks import CAPTIONS, NETS, spec_of
from tests.integration.project import Project

PATH = "specs/net.arch.yaml"
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra onnx isn't installed",
)


def run(project: Project, text: str, *options: str) -> pytest.RunResult:
    project.write("nets.py", NETS)
    project.spec("net", text)
    return project.run("-k", "export", *options)


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(NETS.splitlines()[1:], 1) if text in line) + 1


@pytest.mark.parametrize("section", ["export: {dynamic: [B]}", "export: {}"])
@pytest.mark.parametrize("name", ["Net", "Single"])
def test_a_network_that_can_be_exported_is_green(project: Project, name: str, section: str) -> None:
    run(project, spec_of(name, section)).assert_outcomes(passed=1)


@pytest.mark.parametrize("dynamic", ["[B, T, H, W]", "[T]", "[B, H]"])
def test_dimensions_of_several_inputs_are_free(project: Project, dynamic: str) -> None:
    run(project, f"{CAPTIONS}export: {{dynamic: {dynamic}}}\n").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "section", "told"),
    [
        ("Branching", "export: {}", [
            f"{PATH}:5: torch.export: stops", "  expected  an exported program",
            f"  actual    nets.py:{line_of('x.sum() > 0')}: a branch that depends on a tensor's values",
        ]),
        ("Fixed", "export: {dynamic: [B]}", [
            f"{PATH}:5: torch.export: stops", "  expected  an exported program with B free",
            f"  actual    nets.py:{line_of('x.shape[0] == 2')}: the code takes a free dimension to be 2",
        ]),
        ("Lying", "export: {dynamic: [B]}", [
            f"{PATH}:5: torch.export: changes what is computed", "  expected  what the network computes, in float64",
            "  actual    the output is off by 1.0e+00 of the largest number at B=2",
        ]),
    ],
)  # fmt: skip
def test_what_cant_be_exported_is_told_with_its_reason_and_line(
    project: Project, name: str, section: str, told: list[str]
) -> None:
    result = run(project, spec_of(name, section))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in told])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("export: {dynamic: [Q]}", "unknown dimension 'Q'; expected one of B"),
        ("export: {onnx: yes please}", "onnx: expected true or false, found 'yes please'"),
        ("export: {onxn: true}", "unknown key 'onxn'; did you mean onnx?"),
        ("export: true", "export: expected a map*"),
    ],
)
def test_a_section_that_is_wrong_is_an_error_of_the_spec(project: Project, section: str, told: str) -> None:
    project.write("nets.py", NETS)
    project.spec("net", spec_of("Net", section))
    project.run().stdout.fnmatch_lines([f"{PATH}:5: {told}"])


def test_a_dimension_of_one_size_cant_be_held_at_another(project: Project) -> None:
    project.write("nets.py", NETS)
    project.spec("net", CAPTIONS.replace("[5, 7]", "[5, 5]") + "export: {dynamic: [B, T]}\n")
    told = f"{PATH}:6: T has one size, and is held at another too: sizes: {{T: [..., ...]}}"
    project.run().stdout.fnmatch_lines([told.replace("[", "[[]")])


def test_without_the_extra_onnx_is_skipped_and_the_line_to_install_it_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnxscript" else find(name, *a))
    result = run(project, spec_of("Net", "export: {dynamic: [B], onnx: true}"), "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["*no ONNX file is written without *onnxscript*: pip install 'pytest-archcheck[[]onnx]'*"]
    )


@needs_onnx
def test_an_onnx_file_that_computes_the_same_is_green(project: Project) -> None:
    run(project, f"{CAPTIONS}export: {{dynamic: [B, T, H, W], onnx: true}}\n").assert_outcomes(passed=1)


@needs_onnx
def test_what_onnx_doesnt_know_is_told_in_a_line(project: Project) -> None:
    result = run(project, spec_of("Eigen", "export: {onnx: true}"))
    result.stdout.fnmatch_lines([
        f"{PATH}:5: torch.onnx.export: stops", "  expected  an ONNX file", "  actual    *linalg_eig*",
    ])  # fmt: skip
