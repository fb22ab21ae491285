"""The section `health`: what it excuses, and that it may be off."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

import archcheck
from tests.integration.health.defects_in_forward import MIXING, RANDOM
from tests.integration.health.defects_in_training import GRADIENTS
from tests.integration.health.defects_in_training import UNSAVED as LOST
from tests.integration.health.networks import PATH, Network, labelled, plant
from tests.integration.project import Project, messages

NOISY = RANDOM["dropout-of-a-block-stays-on"].source
MIXED = MIXING["softmax-layer-over-the-batch"].source
UNUSED = GRADIENTS["a-branch-that-is-detached"].source
UNSAVED = LOST["statistics-in-a-buffer-that-isnt-saved"].source
BRANCHED = """
class Net(Base):
    def more(self):
        self.branch = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
    def forward(self, x):
        return self.head(self.stem(x) + self.branch(x))
"""


@pytest.mark.parametrize(
    ("source", "health"),
    [
        (NOISY, "{allow_random: ['no*']}"),
        (NOISY, "{allow_random: ['**']}"),
        (MIXED, "{allow_batch_dependent: [softma?]}"),
        (UNUSED, "{allow_unused: ['branch.*.*']}"),
        (UNUSED, "{allow_unused: [branch]}"),
        (UNUSED, "{allow_unused: [branch.0, branch.2.weight, branch.2.bias]}"),
        (UNUSED, "{allow_unused: ['**']}"),
        (UNSAVED, "{allow_unsaved: [center.mean]}"),
        (UNSAVED, "{allow_unsaved: [center]}"),
    ],
)
def test_modules_globs_and_parameters_excuse(project: Project, source: str, health: str) -> None:
    plant(project, Network(source, more=f"health: {health}\n"))
    project.run("-k", "health").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("source", "health", "headline"),
    [
        (NOISY, "{allow_random: [head]}", "noise: draws random numbers in eval mode"),
        (NOISY, "{allow_random: []}", "noise: draws random numbers in eval mode"),
        (NOISY, "{allow_batch_dependent: ['**']}", "noise: draws random numbers in eval mode"),
        (MIXED, "{allow_batch_dependent: [stem]}", "softmax: mixes the examples of a batch in eval mode"),
        (UNSAVED, "{allow_unsaved: [head]}", "state_dict: doesn't bring the network back"),
        (UNUSED, "{allow_unused: [branch.0]}", "branch.2.weight: gets no gradient, nor does 1 more parameter"),
        (UNUSED, "{allow_unused: ['branch.*.weight']}", "branch.0.bias: gets no gradient, nor does 1 more parameter"),
    ],
)
def test_what_isnt_excused_fails_where_the_spec_says_what_is(
    project: Project, source: str, health: str, headline: str
) -> None:
    plant(project, Network(source, more=f"health: {health}\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:3: {headline}"


TWO_BUFFERS = """
class Center(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("mean", "spread"):
            self.register_buffer(name, torch.zeros(16), persistent=False)
    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(0), 0.1)
            self.spread.lerp_(x.detach().var(0), 0.1)
        return (x - self.mean) / (1 + self.spread)

class Net(Base):
    def more(self):
        self.center = Center()
    def forward(self, x):
        return self.head(self.center(self.stem(x)).relu())
"""


@pytest.mark.parametrize(
    ("excused", "named", "verb"),
    [
        ("", "center.mean, center.spread", "aren't"),
        ("center.mean", "center.spread", "isn't"),
        ("'*.spread'", "center.mean", "isn't"),
    ],
)
def test_buffers_that_are_excused_are_not_told(project: Project, excused: str, named: str, verb: str) -> None:
    plant(project, Network(TWO_BUFFERS, more=f"health: {{allow_unsaved: [{excused}]}}\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert labelled(message, "actual") == [f"center comes out otherwise without {named}, which {verb} saved"]
    assert labelled(message, "allow") == [f"health: {{allow_unsaved: [{named}]}}"]


@pytest.mark.parametrize("text", ["mean", "maen", "centre.mean", "center.men"])
def test_a_buffer_that_is_misspelt_or_without_its_module_is_told_with_the_one_meant(
    project: Project, text: str
) -> None:
    plant(project, Network(UNSAVED, more=f"health: {{allow_unsaved: [{text}]}}\n"))
    message = messages(project.run("-k", "health"), PATH)[-1]
    assert message[0] == f"{PATH}:3: {text}: excuses nothing"
    assert labelled(message, "note")[0].startswith("did you mean center.mean")


LAYERS = """\
health: {allow_updates: []}
layers:
  stem: {type: Linear}
  WHICH:
    type: TYPE
"""


@pytest.mark.parametrize(
    ("source", "row", "kind", "headline"),
    [
        (NOISY, "noise", "Dropout", "noise: draws random numbers in eval mode"),
        (NOISY, "noise[0]", "Dropout", "noise: draws random numbers in eval mode"),
        (NOISY, "'noi*'", "Dropout", "noise: draws random numbers in eval mode"),
        (MIXED, "softmax", "Softmax", "softmax: mixes the examples of a batch in eval mode"),
        (UNUSED, "branch.0", "Linear", "branch.0.weight: gets no gradient, nor do 3 more parameters"),
        (UNUSED, "branch", "Sequential", "branch.0.weight: gets no gradient, nor do 3 more parameters"),
    ],
)
def test_what_a_layer_does_is_told_at_its_row(
    project: Project, source: str, row: str, kind: str, headline: str
) -> None:
    plant(project, Network(source, more=LAYERS.replace("WHICH", row).replace("TYPE", kind)))
    result = project.run("-k", "health", "--junitxml=out.xml", "-o", "junit_family=xunit1")
    [message] = messages(result, PATH)
    assert message[0] == f"{PATH}:6: {headline}"
    case = ET.parse(project.path / "out.xml").getroot().find(".//testcase")
    assert case is not None
    assert case.attrib["line"] == "5"  # pytest counts from 0 here


def test_what_a_layer_without_a_row_does_is_told_at_the_table(project: Project) -> None:
    plant(project, Network(NOISY, more="parameters: 700\nlayers:\n  stem: {type: Linear}\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:4: noise: draws random numbers in eval mode"


def test_a_row_of_its_own_comes_before_a_glob(project: Project) -> None:
    plant(project, Network(NOISY, more="layers:\n  'noi*': {type: Dropout}\n  noise: {type: Dropout}\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:5: noise: draws random numbers in eval mode"


@pytest.mark.parametrize(
    ("key", "text", "note"),
    [
        ("allow_unused", "brunch", "did you mean branch or branch.2 or branch.1?"),
        ("allow_random", "noise.*", "remove it, if what it was for is gone"),
        ("allow_batch_dependent", "softmax", "remove it, if what it was for is gone"),
        ("allow_updates", "tracker.mean", "remove it, if what it was for is gone"),
    ],
)
def test_what_excuses_nothing_is_told_with_names_that_are_close(
    project: Project, key: str, text: str, note: str
) -> None:
    plant(project, Network(BRANCHED, more=f"health:\n  {key}: ['**', '{text}']\n"))
    [message] = messages(project.run("-k", "health"), PATH)
    assert message[0] == f"{PATH}:4: {text}: excuses nothing"
    assert labelled(message, "expected") == ["a module, a parameter or a buffer"]
    assert labelled(message, "note") == [note]


def test_all_that_is_wrong_is_told_at_once(project: Project) -> None:
    source = """
    class Net(Base):
        def more(self):
            self.spare = nn.Parameter(torch.ones(3))
        def forward(self, x):
            x += torch.randn_like(x)
            return super().forward(x)
    """
    plant(project, Network(source))
    assert [message[0] for message in messages(project.run("-k", "health"), PATH)] == [
        f"{PATH}:1: the network itself: draws random numbers in eval mode",
        f"{PATH}:1: forward: writes to its input",
        f"{PATH}:1: spare: gets no gradient",
    ]


def test_a_defect_of_health_fails_no_other_item(project: Project) -> None:
    plant(project, Network(NOISY, more="output: [B, 5]\n"))
    result = project.run("-v")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines([f"{PATH}::shapes PASSED*", f"{PATH}::health FAILED*"])


def test_health_that_is_off_is_no_item(project: Project) -> None:
    plant(project, Network(NOISY, more="output: [B, 5]\nhealth: off\n"))
    result = project.run("-v")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*::health*")


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ("{allow_randm: [noise]}", "unknown key 'allow_randm'; did you mean allow_random?"),
        ("{allow_unsued: ['**']}", "unknown key 'allow_unsued'; did you mean allow_unused?"),
    ],
)
def test_an_unknown_key_is_an_error_of_the_spec(project: Project, health: str, message: str) -> None:
    plant(project, Network(NOISY, more=f"health: {health}\n"))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{PATH}:3: *{message}"])


def test_verify_tells_of_health(project: Project) -> None:
    plant(project, Network(NOISY))
    [found] = archcheck.verify(PATH).outcomes["health"]
    assert (found.subject, found.problem) == ("noise", "draws random numbers in eval mode")


def test_verify_tells_that_a_network_is_sound(project: Project) -> None:
    plant(project, Network("class Net(Base): pass\n"))
    result = archcheck.verify(PATH)
    assert result.outcomes["health"] == []
    assert result.ok
