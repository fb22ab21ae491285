"""A LightningModule, trained as its own code says by Lightning's Trainer, and verified like any other network."""

from __future__ import annotations

import os
import re
import sys

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Once, Project, lock_of, messages
from tests.integration.training.toys import accuracy, failing_text

pytest.importorskip("lightning.pytorch")  # once for all runs, which import what isn't there yet anew

LIT = '''
import lightning as L
import torch
import torchmetrics
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from sets import clouds

class Points(L.LightningModule):
    """As tutorials write it: hyperparameters, an example input, metrics as modules, logging in the forward."""
    def __init__(self, width=8, lr=0.1, act="ReLU", curve=None):
        super().__init__()
        self.save_hyperparameters()
        self.example_input_array = torch.zeros(3, 2)
        self.body = nn.Sequential(nn.Linear(2, self.hparams.width), getattr(nn, act)())
        self.head = nn.Linear(width, 2)
        self.val_accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=2)
    def forward(self, x):
        out = self.head(self.body(x)).to(self.device)
        self.log("mean", out.mean())
        return out
    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss
    def validation_step(self, batch, batch_idx):
        self.val_accuracy(self(batch[0]), batch[1])
        self.log("val_acc", self.val_accuracy)
        if self.hparams.curve:
            self.log("scripted", self.hparams.curve[self.current_epoch])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

class Data(L.LightningDataModule):
    def __init__(self, batch_size=32):
        super().__init__()
        self.batch_size = batch_size
    def setup(self, stage): self.train, self.val = clouds()
    def train_dataloader(self): return DataLoader(self.train, self.batch_size, shuffle=True)
    def val_dataloader(self): return DataLoader(self.val, self.batch_size)

class Whole(Points):
    """With data loaders of its own."""
    def train_dataloader(self): return DataLoader(clouds()[0], 32, shuffle=True)
    def val_dataloader(self): return DataLoader(clouds()[1], 32)

class Raises(Points):
    def training_step(self, batch, batch_idx): raise KeyError("no such head")

class Nan(Points):
    def training_step(self, batch, batch_idx): return super().training_step(batch, batch_idx) * float("nan")

class Manual(Points):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()

class Saves(Points):
    def configure_callbacks(self): return [L.pytorch.callbacks.ModelCheckpoint(monitor="val_acc")]

def no_data(): return 3
'''

POINTS = """\
build: lit:Points
input: [B, 2]
training:
  loop: lightning
  datamodule: {name: "lit:Data", batch_size: 64}
  epochs: 3
  accuracy: 0.97
"""


@pytest.fixture
def lit(toys: Project) -> Project:
    """A project with the modules `toys`, `sets` and `lit`."""
    toys.write("lit.py", LIT)
    return toys


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ('datamodule: {name: "lit:Data", batch_size: 64}', "datamodule: lit:Data"),
        ('datamodule: {name: "lit:Data", batch_size: 64}', "dataset: sets:clouds\n  batch_size: 64"),
        ("lit:Points\n", "lit:Manual\n"),
    ],
    ids=["datamodule", "its defaults", "data set", "optimization of its own"],
)
def test_a_module_trains_by_its_own_code(lit: Project, old: str, new: str) -> None:
    lit.spec("toy", POINTS.replace(old, new))
    result = lit.run("-m", "archcheck_spec or archcheck_accuracy")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml: epoch 1/3 * test 1.000*"])
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml  quick * cpu * - * 0 * 2 * - * 1.000 * -"])
    assert "GPU available" not in result.stdout.str()
    assert not (lit.path / "lightning_logs").exists()


def test_a_module_may_have_its_own_data(lit: Project) -> None:
    text = POINTS.replace('  datamodule: {name: "lit:Data", batch_size: 64}\n', "")
    accuracy(lit, text.replace("lit:Points", "lit:Whole")).assert_outcomes(passed=1)


def test_a_module_that_does_not_train_fails(lit: Project) -> None:
    found = failing_text(accuracy(lit, POINTS.replace("lit:Points\n", "lit:Points\nargs: {lr: 0.0}\n")))
    assert re.fullmatch(r"specs/toy\.arch\.yaml:8: accuracy: 0\.\d+ after 3 epochs, 0\.\d+ below the minimum", found)


def scripted(curve: list[float]) -> str:
    """Return a spec of a module that logs these accuracies, one in each epoch."""
    text = POINTS.replace("lit:Points\n", f"lit:Points\nargs: {{curve: {curve}}}\n")
    return text.replace("epochs: 3", f"epochs: {len(curve)}\n  metric: scripted").replace("0.97", "0.8")


@pytest.mark.parametrize(
    ("curve", "epochs"), [([0.9, 0.9, 0.1], 2), ([0.9, 0.5, 0.9, 0.8, 0.1], 4), ([0.5, 0.5, 0.9], 3)]
)
def test_a_trainer_is_stopped_when_the_minimum_is_confirmed(lit: Project, curve: list[float], epochs: int) -> None:
    result = accuracy(lit, scripted(curve))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [f"specs/toy.arch.yaml  quick * cpu * - * 0 * {epochs} * 0.* - * {curve[epochs - 1]:.3f} *"]
    )


def test_epochs_that_are_not_validated_are_not_told(lit: Project) -> None:
    """What was logged before would count as a confirmation."""
    text = scripted([0.1, 0.9, 0.1, 0.1]).replace("epochs:", "loop_args: {check_val_every_n_epoch: 2}\n  epochs:")
    assert failing_text(accuracy(lit, text)).endswith("accuracy: 0.100 after 4 epochs, 0.700 below the minimum")


def test_the_same_seed_gives_the_same_run(lit: Project, capsys: pytest.CaptureFixture[str]) -> None:
    lit.spec("toy", POINTS.replace("epochs: 3", "epochs: 1").replace("batch_size: 64", "batch_size: 256"))
    arguments = ["calibrate", "specs/toy.arch.yaml", "--seeds", "2", "--device", "cpu", "--dry-run"]
    seeds = []
    for _ in range(2):
        main(arguments)
        seeds.append(re.findall(r"seed \d: accuracy ([\d.]+)", capsys.readouterr().err))
    assert seeds[0] == seeds[1]
    assert len(seeds[0]) == 2


def test_a_time_budget_ends_a_trainer(lit: Project) -> None:
    text = POINTS.replace("epochs: 3", "epochs: 1000000\n  time_budget: 0.001 s").replace("0.97", "1.0")
    text = text.replace("lit:Points\n", "lit:Points\nargs: {lr: 0.0}\n")
    assert ": time_budget: the time budget of 0.001 s is spent" in failing_text(accuracy(lit, text))


FAULTS = [
    ("lit:Points", "toys:linear", 4, "loop: lightning trains a LightningModule, and `build` gives a Linear"),
    ("lit:Points", "lit:Raises", 4, r"loop: lightning raised KeyError: 'no such head' \(lit\.py:\d+\)"),
    ("lit:Points", "lit:Nan", 4, "loop: lightning reported nan as loss: expected a number"),
    ("  epochs: 3", "  metric: acc", 6,
     r"metric: the module logs no 'acc': did you mean 'val_acc'\? \(it logs mean, train_loss, val_acc\)"),
    ('"lit:Data", ', '"lit:Dat", ', 5, "datamodule: lit has no 'Dat': did you mean 'Data'\\?"),
    ("batch_size: 64", "batchsize: 64", 5,
     r"datamodule: lit:Data accepts no argument 'batchsize': did you mean 'batch_size'\? .*"),
    ('{name: "lit:Data", batch_size: 64}', "lit:no_data", 5,
     "datamodule: lit:no_data returned an int, expected a LightningDataModule"),
    ("  epochs: 3", "  loop_args: {max_epochs: 3}", 6,
     "loop_args: archcheck gives `max_epochs` itself, as `epochs` of the recipe says"),
    ("  epochs: 3", "  loop_args: {gradient_clip: 1}", 6,
     "loop_args: Trainer accepts no argument 'gradient_clip': did you mean 'gradient_clip_val'\\? .*"),
    ("  epochs: 3", "  loop_args: {precision: half}", 6, "loop_args: Trainer raised ValueError: .*"),
]  # fmt: skip


@pytest.fixture
def faulty(lit: Project, once: Once) -> pytest.RunResult:
    """Verify a spec with each of the faults in one run: specs/0.arch.yaml, specs/1.arch.yaml and so on."""

    def run() -> pytest.RunResult:
        for number, (old, new, _, _) in enumerate(FAULTS):
            assert POINTS.count(old) == 1
            lit.spec(str(number), POINTS.replace(old, new))
        return lit.run("-m", "archcheck_accuracy", "-v")

    return once("faulty", run)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{old}-{new}" for old, new, _, _ in FAULTS])
def test_what_goes_wrong_is_one_line_at_its_line(faulty: pytest.RunResult, number: int) -> None:
    *_, line, message = FAULTS[number]
    path = f"specs/{number}.arch.yaml"
    faulty.stdout.fnmatch_lines([f"{path}::accuracy FAILED*"])
    [[found, *_]] = messages(faulty, path)
    assert re.fullmatch(rf"{re.escape(path)}:{line}: {message}", found), found
    assert "Traceback" not in faulty.stdout.str()


def test_lightning_that_is_not_there_is_asked_for(toys: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, package, None)
    found = failing_text(accuracy(toys, POINTS.replace("lit:Points", "toys:linear")))
    assert found == "specs/toy.arch.yaml:4: loop: lightning is not installed; pip install lightning"


def test_a_module_trains_by_a_recipe_as_well(lit: Project) -> None:
    recipe = "  dataset: sets:clouds\n  batch_size: 64\n  optimizer: {name: SGD, lr: 0.1}\n"
    text = POINTS.replace('  loop: lightning\n  datamodule: {name: "lit:Data", batch_size: 64}\n', recipe)
    accuracy(lit, text).assert_outcomes(passed=1)


def test_the_other_package_of_lightning_has_a_trainer_of_its_own(lit: Project) -> None:
    pytest.importorskip("pytorch_lightning")
    lit.write("lit.py", LIT.replace("import lightning as L", "import pytorch_lightning as L"))
    accuracy(lit, POINTS).assert_outcomes(passed=1)


def test_a_module_is_verified_like_any_other_network(lit: Project) -> None:
    """By hand: body 2*8+8 = 24 parameters, head 8*2+2 = 18; multiply-adds 2*8 + 8*2."""
    layers = "layers:\n  body.0: {parameters: 24}\n  body.1: [B, 8]\n  head: {output: [B, 2], parameters: 18}\n"
    text = f"build: lit:Points\ninput: [B, 2]\n{layers}output: [B, 2]\nparameters: 42\nmacs: 32\n"
    path = lit.spec("toy", text)
    lit.run("--archcheck-update=new").assert_outcomes(passed=6)
    assert lock_of(path).exists()
    path.write_text(path.read_text().replace("lit:Points\n", "lit:Points\nargs: {act: GELU}\n"))
    result = lit.run()
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml:*: body.1: the output differs", "*gelu now, relu was recorded"])


def test_the_directory_is_as_it_was(lit: Project) -> None:
    before = sorted(os.listdir())
    accuracy(lit, POINTS.replace("lit:Points", "lit:Saves")).assert_outcomes(passed=1)
    assert {name for name in os.listdir() if name not in before} <= {
        "specs",
        "__pycache__",
        ".pytest_cache",
        ".benchmarks",
    }
