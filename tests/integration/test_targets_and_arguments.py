"""What builds a network, and with what: a user's configuration classes, configuration files, packages with schemes."""

from __future__ import annotations

import json

import pytest

from tests.integration.project import Project, messages

NETS = """
from __future__ import annotations

import enum
from dataclasses import dataclass, field

from torch import nn


class Act(enum.Enum):
    RELU = "relu"
    TANH = "tanh"


@dataclass
class Stage:
    width: int
    act: Act = Act.RELU


@dataclass
class Config:
    stages: tuple[Stage, ...]
    classes: int = 10

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a network has at least one stage")


def net(cfg: Config | None = None, norm: type[nn.Module] = nn.Identity) -> nn.Module:
    layers: list[nn.Module] = []
    width = 4
    for stage in cfg.stages:
        act = {Act.RELU: nn.ReLU, Act.TANH: nn.Tanh}[stage.act]
        layers += [nn.Linear(width, stage.width), norm(stage.width), act()]
        width = stage.width
    return nn.Sequential(*layers, nn.Linear(width, cfg.classes))
"""

# By hand: 4*8+8 = 40, 8*6+6 = 54, layer norms 16 + 12, 6*3+3 = 21.
SPEC = """\
build: ../nets.py:net
args:
  norm: class:torch.nn.LayerNorm
  cfg:
    classes: 3
    stages:
      - {width: 8, act: TANH}
      - width: 6
        act: relu
input: [B, 4]
layers:
  "1": {type: LayerNorm, output: [B, 8]}
  "2": {type: Tanh}
  "5": {type: ReLU}
output: [B, 3]
parameters: 143
"""


@pytest.fixture
def project(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def told(project: Project, old: str, new: str) -> str:
    """Return the first line that is told of a spec with one piece of its text replaced."""
    assert SPEC.count(old) == 1
    project.spec("net", SPEC.replace(old, new))
    result = project.run()
    assert result.ret == 1
    heads = {message[0] for message in messages(result, "specs/net.arch.yaml")}
    (head,) = heads
    return head


def test_a_map_and_a_name_become_what_the_factory_takes(project: Project) -> None:
    project.spec("net", SPEC)
    project.run().assert_outcomes(passed=4, skipped=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes: 3", "clases: 3", "5: build: cfg: Config accepts no argument 'clases': did you mean 'classes'? (it "
         "accepts stages, classes)"),
        ("        act: relu", "        atc: relu", "9: build: cfg.stages[1]: Stage accepts no argument 'atc': did you "
         "mean 'act'? (it accepts width, act)"),
        ("{width: 8, act: TANH}", "{act: TANH}", "7: build: cfg.stages[0]: Stage is missing its argument 'width' (it "
         "accepts width, act)"),
        ("act: relu", "act: rleu", "9: build: cfg.stages[1].act: Act has no 'rleu': did you mean 'RELU'? (it has RELU, "
         "TANH)"),
        ("torch.nn.LayerNorm", "torch.nn.LayerNrom", "3: build: norm: torch.nn has no 'LayerNrom': did you mean "
         "'LayerNorm'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_the_line_of_its_key(old: str, new: str, message: str, project: Project) -> None:
    assert told(project, old, new) == f"specs/net.arch.yaml:{message}"


def test_what_a_configuration_raises_is_told_at_its_key(project: Project) -> None:
    stages = SPEC[SPEC.index("stages:") : SPEC.index("input:")]
    problem = "build: cfg: Config raised ValueError: a network has at least one stage"
    assert told(project, stages, "stages: []\n") == f"specs/net.arch.yaml:5: {problem}"


def test_a_configuration_file_of_transformers(project: Project) -> None:
    pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    bert = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 20, "max_position_embeddings": 16}
    project.write("models/bert.json", json.dumps({**bert, **sizes}))
    head = "build: transformers:../models/bert.json\nargs: {add_pooling_layer: false, hidden_size: 4}\n"
    # By hand: 4*(20 + 16 + 2 + 2) = 160, 4*(4*4+4) + 8 + 4*8+8 + 8*4+4 + 8 = 172.
    rest = "input: {input_ids: {shape: [B, 6], dtype: int64, below: 20}}\nparameters: 332\n"
    project.spec("bert", head + rest)
    project.run().assert_outcomes(passed=3, skipped=1)
    project.spec("bert", head.replace("hidden_size", "hiden_size") + rest)
    message = messages(project.run(), "specs/bert.arch.yaml")[0][0]
    assert message.startswith(
        "specs/bert.arch.yaml:2: build: transformers:../models/bert.json accepts no argument 'hiden_size': did you "
        "mean 'hidden_size'? (it accepts "
    )


def test_a_scheme_of_an_installed_package(project: Project) -> None:
    project.write(
        "site/acme_zoo.py", "from torch import nn\ndef resolve(rest, base_dir):\n    return nn.Linear(2, int(rest))\n"
    )
    project.write("site/acme_zoo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-zoo\nVersion: 1.0\n")
    project.write("site/acme_zoo-1.0.dist-info/entry_points.txt", "[archcheck.targets]\nacme = acme_zoo:resolve\n")
    project.pytester.syspathinsert(project.path / "site")
    project.spec("five", "build: acme:5\ninput: [B, 2]\noutput: [B, 5]\n")
    project.spec("typo", "build: acem:5-0\ninput: [B, 2]\noutput: [B, 5]\n")
    result = project.run()
    result.assert_outcomes(passed=3, failed=1, skipped=1)
    assert messages(result, "specs/typo.arch.yaml")[0] == [
        "specs/typo.arch.yaml:1: build: 'acem:5-0': expected the name of a callable after the colon, found '5-0'; "
        "there is no scheme 'acem': did you mean 'acme'? (there are acme, diffusers, timm, torchvision, transformers)"
    ]
