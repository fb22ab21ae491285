"""`archcheck.verify`, `archcheck.summary` and the fixture: for notebooks and hand-written tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import archcheck
from tests.integration.project import SMALL, Project


def small(channels: int = 6) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(channels * 196, 10)
    )


SPEC = """\
build: torch.nn:Identity
input: [B, 1, 28, 28]
layers:
  0: {type: Conv2d, output: [B, 6, 28, 28]}
  4: [B, 10]
parameters: 11_926
macs: 129_360
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.arch.yaml"
    path.write_text(SPEC)
    return path


def test_a_live_model_that_keeps_the_promise(spec: Path) -> None:
    result = archcheck.verify(spec, small())
    assert result.ok
    assert result.mismatches == []
    assert "small" in str(result)
    assert "shapes ok, parameters ok, compute ok" in str(result)


def test_a_live_model_that_does_not(spec: Path) -> None:
    result = archcheck.verify(spec, small(channels=7))
    assert not result.ok
    assert [one.subject for one in result.mismatches] == ["0", "parameters", "macs"]
    assert f"{spec}:4: 0: output shape differs" in str(result)
    html = result._repr_html_()
    assert 'class="network"' in html
    assert "output shape differs; the spec says <code>[B, 6, 28, 28]</code>" in html


def test_what_can_not_be_measured_is_not_ok(spec: Path) -> None:
    spec.write_text(f"{SPEC}state_dict: {{checkpoints: [{{path: absent.pt}}]}}\n")
    result = archcheck.verify(spec, small())
    assert result.unmeasured["state_dict"].endswith("absent.pt")
    assert "state_dict" not in result.outcomes
    assert "state_dict not measured" in str(result)


def test_the_spec_builds_where_no_model_is_given(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project.spec(text=SMALL)
    monkeypatch.chdir(project.path)
    assert archcheck.verify(path).ok


def test_a_failed_build_is_a_result_not_an_exception(spec: Path) -> None:
    spec.write_text(SPEC.replace("torch.nn:Identity", "torch.nn:Identical"))
    result = archcheck.verify(spec)
    assert not result.ok
    assert len(result.mismatches) == 1
    assert "did you mean 'Identity'" in str(result)


def test_an_invalid_spec_raises_with_every_problem(spec: Path) -> None:
    spec.write_text(SPEC.replace("macs", "mac").replace("11_926", "lots"))
    with pytest.raises(archcheck.SpecError, match=r"small\.arch\.yaml:6: .*\n.*small\.arch\.yaml:7: unknown key 'mac'"):
        archcheck.verify(spec)


def test_something_else_than_a_module_is_refused(spec: Path) -> None:
    with pytest.raises(archcheck.UsageError, match=r"expected a torch\.nn\.Module, found function"):
        archcheck.verify(spec, small)  # type: ignore[arg-type]


def test_the_model_and_the_world_stay_as_they_were(spec: Path) -> None:
    model = small().train()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    archcheck.verify(spec, model)
    archcheck.summary(model, "B,1,28,28")
    assert model.training
    assert all(module.training for module in model.modules())
    assert not model[0].weight.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled()
    assert torch.get_default_device() == torch.device("cpu")


def test_summary_is_the_layer_table() -> None:
    summary = archcheck.summary(small(), "B,1,28,28")
    assert summary.num_params == 11_926
    assert summary.macs == 129_360
    lines = str(summary).splitlines()
    assert lines[0].split() == ["layer", "type", "output", "parameters", "MACs"]
    assert lines[2].split() == ["0", "Conv2d", "[B,", "6,", "28,", "28]", "156", "118", "k"]
    assert 'class="network"' in summary._repr_html_()


class Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        return torch.add(x, self.b(x))


def test_a_notebook_shows_skip_connections() -> None:
    html = archcheck.summary(Residual(), "B,4")._repr_html_()
    assert "takes a" in html
    assert html.count('data-of="') == 3  # a, b and the addition


@pytest.mark.parametrize(
    "value",
    [
        (2, 1, 28, 28),
        [2, 1, 28, 28],
        {"input": "2,1,28,28"},
        ("2,1,28,28",),
        torch.zeros(2, 1, 28, 28),
        [torch.zeros(2, 1, 28, 28)],
        {"input": (2, 1, 28, 28)},
    ],
)
def test_summary_takes_shapes_and_tensors(value: object) -> None:
    assert "[2, 6, 28, 28]" in str(archcheck.summary(small(), value))


def test_summary_of_tokens() -> None:
    summary = archcheck.summary(nn.Embedding(100, 8), "B,12:int64<100")
    assert "[B, 12, 8]" in str(summary)


def test_summary_says_what_it_can_not_read() -> None:
    with pytest.raises(archcheck.UsageError, match=r"input: 'B;3': expected whole numbers"):
        archcheck.summary(small(), "B;3")
    with pytest.raises(archcheck.UsageError, match="expected a shape, a tensor, or a list or map of them, found float"):
        archcheck.summary(small(), 3.5)


def test_the_fixture_wraps_both(project: Project) -> None:
    project.spec(text=SMALL)
    project.write(
        "tests/test_nets.py",
        """
        import nets

        def test_verify(archcheck):
            result = archcheck.verify("specs/small.arch.yaml")
            assert result.ok, result

        def test_beside(archcheck):
            assert archcheck.verify("../specs/small.arch.yaml", nets.small()).ok

        def test_wrong(archcheck):
            result = archcheck.verify("specs/small.arch.yaml", nets.small(channels=5))
            assert result.ok, str(result)

        def test_summary(archcheck):
            assert archcheck.summary(nets.small(), "B,1,28,28").num_params == 11_926
        """,
    )
    project.write("conftest.py", "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n")
    result = project.pytest("tests")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*specs/small.arch.yaml:4: conv: output shape differs*"])


def test_the_public_names_are_those_in_all() -> None:
    import inspect

    public = {name for name, value in vars(archcheck).items() if not name.startswith("_") and inspect.isclass(value)}
    assert public <= set(archcheck.__all__)
    assert all(getattr(archcheck, name) is not None for name in archcheck.__all__)
    with pytest.raises(AttributeError, match="module 'archcheck' has no attribute 'nothing'"):
        archcheck.nothing  # noqa: B018
