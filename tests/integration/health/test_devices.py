"""What would stop on a GPU is found without one, at the user's line, and what runs there is left alone."""

from __future__ import annotations

import re

import pytest
import torch

import archcheck
from tests.integration.health.device_bugs import BUGS, RUNS_ANYWHERE
from tests.integration.health.networks import PATH, Network, Verdict, labelled, plant, verify_health
from tests.integration.project import Once, Project, messages

TABLES = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.ones(8)
    def forward(self, x):
        return x * self.table

class Net(Base):
    def more(self):
        self.blocks = nn.Sequential(Block(), nn.Identity(), Block())
    def forward(self, x):
        return super().forward(self.blocks(x))
"""


@pytest.fixture
def verdicts(project: Project, once: Once) -> dict[str, Verdict]:
    """Verify all of the networks in one run."""
    bugs = {name: Network(bug.source, bug.input) for name, bug in BUGS.items()}
    return once("devices", lambda: verify_health(project, {**bugs, **RUNS_ANYWHERE}))


def line_of(text: str, project: Project) -> str:
    """Return where a piece of code stands, as `nets_3.py:28`."""
    for path in sorted(project.path.glob("nets*.py")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if text in line:
                return f"{path.name}:{number}"
    raise AssertionError(text)


@pytest.mark.parametrize("name", BUGS)
def test_what_a_gpu_refuses_is_told_with_what_to_write_instead(verdicts: dict[str, Verdict], name: str) -> None:
    bug, verdict = BUGS[name], verdicts[name]
    assert verdict.outcome == "FAILED"
    message = next(one for one in verdict.messages if "mixes devices" in one[0])
    subject = bug.module or "the network itself"
    assert message[0] == f"specs/{name}.arch.yaml:1: {subject}: mixes devices, which stops it on a GPU"
    [actual] = labelled(message, "actual")
    assert re.sub(r"nets_\d+\.py:\d+", "{}", actual) == re.sub(r"\{\w+\}", "{}", bug.actual)
    assert labelled(message, "write") == [bug.write]
    excused = bug.module or '"**"'
    assert labelled(message, "allow") == [f"health: {{allow_device: [{excused}]}}"]


def test_the_line_that_a_gpu_refuses_and_the_line_that_made_the_tensor_are_named(project: Project) -> None:
    bug = BUGS["a-mask"]
    verdict = verify_health(project, {"mask": Network(bug.source)})["mask"]
    refused, made = line_of("x @ mask", project), line_of("torch.tril(", project)
    [actual] = labelled(verdict.messages[0], "actual")
    assert actual == f"torch.mm at {refused} takes what torch.ones made on the CPU at {made}"


@pytest.mark.parametrize("name", RUNS_ANYWHERE)
def test_a_network_that_runs_on_a_gpu_stays_green(verdicts: dict[str, Verdict], name: str) -> None:
    assert verdicts[name].outcome == "PASSED"


def test_blocks_that_repeat_are_told_once_and_excused_together(project: Project) -> None:
    plant(project, Network(TABLES))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:1: blocks.0: mixes devices, which stops it on a GPU"
    assert labelled(message, "also") == ["in blocks.2"]
    assert labelled(message, "allow") == ["health: {allow_device: [blocks.0, blocks.2]}"]


@pytest.mark.parametrize("allowed", ["[blocks]", "['blocks.*']", "[blocks.0, blocks.2]", "['**']"])
def test_modules_and_globs_excuse_a_mix_of_devices(project: Project, allowed: str) -> None:
    plant(project, Network(TABLES, more=f"health: {{allow_device: {allowed}}}\n"))
    project.run("-k", "health").assert_outcomes(passed=1)


def test_what_isnt_excused_is_told_where_the_spec_says_what_is(project: Project) -> None:
    plant(project, Network(TABLES, more="health: {allow_device: [blocks.0]}\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:3: blocks.2: mixes devices, which stops it on a GPU"


def test_layers_in_a_plain_list_are_told_once_with_what_the_device_leaves_behind(project: Project) -> None:
    source = """
    class Net(Base):
        def more(self):
            self.layers = [nn.Linear(16, 16)]
        def forward(self, x):
            return self.head(self.layers[0](self.stem(x)))
    """
    plant(project, Network(source))
    message = messages(project.run("-k", "health"), PATH)[0]
    assert message[0] == f"{PATH}:1: state_dict: doesn't bring the network back"
    assert labelled(message, "moved")[0].startswith(
        ".to(device) leaves `layers[0].bias`, which no module has registered, on the CPU: nets.py:"
    )


def test_what_cant_be_run_as_on_a_gpu_is_said_and_fails_nothing(project: Project) -> None:
    source = """
    class Net(Base):
        def to(self, *args, **kwargs):
            raise RuntimeError("I stay where I am")
    """
    plant(project, Network(source))
    result = project.run("-k", "health")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*not known on another device: .to(device) raised RuntimeError: I stay where I am*"])


without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="where there is CUDA, it may be named")


@without_cuda
@pytest.mark.parametrize(
    "moved",
    [
        "x.cuda()",
        "x.to('cuda')",
        "x.to(0)",
        "x + torch.zeros(8, device='cuda')",
        "x + torch.zeros(8, device=torch.cuda.current_device())",
        "x + torch.cuda.FloatTensor(8).fill_(1)",
        "x.type(torch.cuda.FloatTensor)",
        "x.type('torch.cuda.FloatTensor')",
        "x[:, torch.cuda.LongTensor([0, 1, 2, 3, 4, 5, 6, 7])]",
        "x + torch.zeros(8).type(torch.cuda.FloatTensor)",
        "x if torch.cuda.synchronize() is None else None",
    ],
)
def test_a_forward_that_names_cuda_is_told_so_at_its_line(project: Project, moved: str) -> None:
    source = f"""
    class Net(Base):
        def forward(self, x):
            return super().forward({moved})
    """
    plant(project, Network(source))
    result = project.run("-rs")
    result.assert_outcomes(passed=2, skipped=1)
    line = line_of(f"super().forward({moved})", project)
    assert f"it names cuda itself at {line}, and runs nowhere else: run here as if that were" in result.stdout.str()


@without_cuda
@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("MEAN = torch.tensor([0.5]).cuda()", "x - MEAN"),
        ("MEAN = torch.zeros(8, device='cuda:0')", "x - MEAN"),
        ("LAYER = nn.Linear(8, 8).cuda()", "x + LAYER(x).detach()"),
        ("MEAN = torch.cuda.FloatTensor(8).fill_(1)", "x - MEAN"),
        ("torch.set_default_device('cuda')", "x + torch.ones(8)"),
        ("torch.set_default_tensor_type(torch.cuda.FloatTensor)", "x + torch.ones(8)"),
        ("torch.cuda.set_device(0)", "x"),
    ],
)
def test_a_module_that_names_cuda_is_told_so_at_its_line_and_mixes_nothing(
    project: Project, named: str, used: str
) -> None:
    plant(
        project,
        Network(f"{named}\nclass Net(Base):\n    def forward(self, x):\n        return super().forward({used})"),
    )
    plant(project, Network("class Net(Base):\n    pass"), "other", "other_nets")
    result = project.run("-k", "health")
    result.assert_outcomes(passed=2)
    told = [line for line in result.stdout.lines if "names cuda itself" in line]
    assert len(told) == 1
    assert f"it names cuda itself at {line_of(named, project)}, and runs nowhere else" in told[0]
    assert torch.ones(1).device.type == "cpu"


@without_cuda
def test_what_has_no_answer_without_the_device_is_told_with_what_to_do(project: Project) -> None:
    source = """
    class Net(Base):
        def more(self):
            self.is_new = torch.cuda.get_device_capability()[0] >= 8
    """
    plant(project, Network(source))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0].endswith(
        "; this machine has no such device: ask torch.cuda.is_available() first, or verify where there is one"
    )
    assert labelled(message, "raised") == [line_of("get_device_capability", project)]


@without_cuda
def test_a_build_that_names_cuda_is_told_so_at_its_line(project: Project) -> None:
    source = """
    class Net(Base):
        def __init__(self):
            super().__init__()
            self.cuda()
    """
    plant(project, Network(source))
    result = project.run("-k", "health")
    result.assert_outcomes(passed=1)
    told = f"*not known on another device: *; it names cuda itself at {line_of('self.cuda()', project)}, and runs*"
    result.stdout.fnmatch_lines([told])


def test_a_network_that_a_module_holds_stays_where_it_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("held_nets.py", "from torch import nn\nNET = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))\n")
    project.spec("net", "build: held_nets:NET\ninput: [B, 8]\nfunction: off\n")
    monkeypatch.syspath_prepend(project.path)
    import held_nets  # type: ignore[import-not-found]

    assert not archcheck.verify(project.path / PATH).outcomes["health"]
    assert {one.device.type for one in (*held_nets.NET.parameters(), *held_nets.NET.buffers())} == {"cpu"}
