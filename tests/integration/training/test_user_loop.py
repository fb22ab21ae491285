"""A training loop of the user's own in the place of a recipe: everything that is done with a recipe is done with it."""

from __future__ import annotations

import os
import random
import re
import signal
import xml.etree.ElementTree as ET

import pytest
import torch

from archcheck.cli.command_line import main
from archcheck.spec.spec_file import read_spec
from tests.integration.project import Once, Project, messages
from tests.integration.training.toys import accuracy, failing_text

LOOPS = '''
import os, random, unittest
import torch
from torch.nn import functional as F

def scripted(model, epochs, report, curve, final=None):
    """Reports what it is given."""
    for epoch, accuracy in enumerate(curve[:epochs]):
        if report(epoch, 0.5, accuracy):
            break
    return final

def fit(model, device, epochs, report, train_loader, test_loader, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(1, epochs + 1):
        for inputs, targets in train_loader:
            loss = F.cross_entropy(model(inputs.to(device)), targets.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = sum(float((model(x).argmax(1) == y).sum()) for x, y in test_loader)
        if report(epoch, loss, right / len(test_loader.dataset)):
            return

def everything(**given):
    assert set(given) == {"model", "device", "seed", "epochs", "data_dir", "report", "a"}, set(given)
    assert next(given["model"].parameters()).device == given["device"] == torch.device("cpu")
    assert (given["seed"], given["epochs"], given["a"]) == (3, 2, [1, 2])
    assert os.fspath(given["data_dir"]).endswith("here")
    return 1.0

def noisy(model, report, seed):
    """Depends on every generator there is."""
    import numpy
    drawn = float(torch.rand(())), random.random(), float(numpy.random.rand())
    report(1, sum(drawn) + float(next(model.parameters()).sum()), 0.5)

def meddles(model):
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    torch.manual_seed(1); random.seed(1)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    raise ValueError("enough")

def meddles_with_the_process(model):
    import signal
    os.environ["LOOP_SET"], os.environ["LOOP_KEPT"] = "1", "changed"
    os.environ.pop("LOOP_GONE")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    return 1.0

def as_before(model):
    """Returns 1.0 where `meddles_with_the_process` has left nothing behind."""
    import signal
    variables = [os.environ.get(f"LOOP_{name}") for name in ("SET", "KEPT", "GONE")]
    assert variables == [None, "kept", "there"], variables
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    return 1.0

async def sometime(model): return 1.0
def in_steps(model): yield 1.0
def hands_out(model): return sometime(model)

def sees(model):
    """Returns 1.0 where `meddles` has left nothing behind."""
    assert torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()
    return float(os.path.isdir("elsewhere"))

def silent(model): pass
def nonsense(model, value): return value
def percent(model, report): report(1, 0.5, 93.1)
def ignores(model, epochs, report):
    for epoch in range(epochs):
        try:
            report(epoch, 0.5, 0.9)
        except Exception:
            pass
def slow(model, epochs, report):
    import time
    for epoch in range(epochs):
        time.sleep(0.05)
        if report(epoch, 0.5, 0.1):
            return
def raises(model): raise KeyError("no such split")
def leaves(model): raise SystemExit(0)
def no_data(model, how):
    if how == "pytest":
        import pytest
        pytest.skip("no images on this machine")
    raise unittest.SkipTest("no images on this machine")
def no_model(network=None, report=None): pass
def needs(model, corpus): pass
class Trainer:
    def __init__(self, model): pass
'''

HEAD = "build: toys:linear\ninput: [B, 2]\ntraining:\n"
SCRIPTED = HEAD + "  loop: loops:scripted\n  loop_args: {curve: CURVE}\n  epochs: EPOCHS\n  accuracy: 0.8\n"


@pytest.fixture
def loops(toys: Project) -> Project:
    """A project with the modules `toys`, `sets` and `loops`."""
    toys.write("loops.py", LOOPS)
    return toys


def scripted(curve: list[float], epochs: int | None = None, more: str = "") -> str:
    """Return a spec with a loop that reports these accuracies, one in each epoch."""
    return SCRIPTED.replace("CURVE", str(curve)).replace("EPOCHS", str(epochs or len(curve))) + more


def properties(project: Project, file: str = "out.xml") -> dict[str, str]:
    """Return the figures of a run, as its JUnit file has them."""
    found = ET.parse(project.path / file).getroot().iter("property")
    return {one.attrib["name"]: one.attrib["value"] for one in found}


JUNIT = ("--junitxml=out.xml", "-o", "junit_family=xunit1")


LATER = (
    "trains nothing when it's called, as it's a coroutine or a generator: expected a function that has trained when it "
    "returns, such as one that calls asyncio.run(...)"
)


@pytest.mark.parametrize("loop", ["sometime", "in_steps"])
def test_a_loop_that_runs_later_is_told_before_it_is_called(loops: Project, loop: str) -> None:
    loops.spec("toy", f"{HEAD}  loop: loops:{loop}\n  accuracy: 0.5\n")
    [message] = messages(loops.run("-m", "archcheck_spec", "-W", "error"), "specs/toy.arch.yaml")
    assert message[0] == f"specs/toy.arch.yaml:4: loop: loops:{loop} {LATER}"


def test_a_loop_that_hands_out_a_coroutine_is_told(loops: Project) -> None:
    result = accuracy(loops, f"{HEAD}  loop: loops:hands_out\n  accuracy: 0.5\n", "-W", "error")
    assert failing_text(result) == f"specs/toy.arch.yaml:4: loop: loops:hands_out {LATER}"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
def test_what_a_loop_changes_of_the_process_is_put_back(loops: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_KEPT", "kept")
    monkeypatch.setenv("LOOP_GONE", "there")
    monkeypatch.delenv("LOOP_SET", raising=False)
    before = signal.getsignal(signal.SIGINT)
    for name, loop in (("a", "meddles_with_the_process"), ("b", "as_before")):
        loops.spec(name, f"{HEAD}  loop: loops:{loop}\n  accuracy: 0.5\n")
    loops.run("-m", "archcheck_accuracy").assert_outcomes(passed=2)
    assert signal.getsignal(signal.SIGINT) is before


# ------------------------------------------------------------------------------------------- as with a recipe


def test_a_loop_trains_on_the_data_set_of_the_spec(loops: Project) -> None:
    text = HEAD + "  loop: loops.py:fit\n  dataset: sets:clouds\n  batch_size: 64\n  epochs: 2\n  accuracy: 0.97\n"
    loops.spec("toy", text.replace("loops.py", "../loops.py"))
    result = loops.run("-m", "archcheck_spec or archcheck_accuracy")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml: epoch 1/2  loss 0.*  test 1.000*"])
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml  quick * cpu * - * 0 * 2 * 0.* - * 1.000 * -"])


def test_a_loop_that_does_not_train_fails(loops: Project) -> None:
    text = HEAD + "  loop: loops:fit\n  loop_args: {lr: 0.0}\n  dataset: sets:clouds\n  epochs: 2\n  accuracy: 0.99\n"
    found = failing_text(accuracy(loops, text))
    assert re.fullmatch(r"specs/toy\.arch\.yaml:8: accuracy: 0\.\d+ after 2 epochs, 0\.\d+ below the minimum", found)


def test_a_loop_gets_what_it_takes_and_its_own_arguments(loops: Project) -> None:
    text = HEAD + "  loop: loops:everything\n  loop_args: {a: [1, 2]}\n  epochs: 2\n  seed: 3\n  accuracy: 1.0\n"
    (loops.path / "here").mkdir()
    accuracy(loops, text, "--archcheck-data", "here").assert_outcomes(passed=1)


def test_the_curve_is_shown_where_it_falls_short(loops: Project) -> None:
    result = accuracy(loops, scripted([0.25, 0.75, 0.5]))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:7: accuracy: 0.500 after 3 epochs, 0.300 below the minimum",
            "  expected  at least 0.8",
            "  actual    0.5",
            "  recipe    quick on cpu, *",
            "  curve     * epoch * loss * train accuracy * test accuracy * examples/s",
            "            *     1 * 0.5000 *           - *         0.250 *          -",
            "  note      the best epoch was 2, with 0.750",
        ]
    )


@pytest.mark.parametrize(
    ("curve", "epochs"), [([0.9, 0.9, 0.1], 2), ([0.9, 0.5, 0.9, 0.8, 0.1], 4), ([0.5, 0.5, 0.9], 3)]
)
def test_a_loop_is_stopped_when_its_minimum_is_confirmed(loops: Project, curve: list[float], epochs: int) -> None:
    accuracy(loops, scripted(curve), *JUNIT).assert_outcomes(passed=1)
    found = properties(loops)
    assert found["archcheck_epochs"] == str(epochs)
    assert "archcheck_precision" not in found  # nobody knows it


def test_a_loop_may_be_kept_from_stopping(loops: Project) -> None:
    text = scripted([0.9, 0.9, 0.1], more="  stop_at_accuracy: false\n")
    assert failing_text(accuracy(loops, text)).endswith("accuracy: 0.100 after 3 epochs, 0.700 below the minimum")


def test_what_a_loop_returns_is_the_accuracy(loops: Project) -> None:
    """Whatever it reported: its last report of three would have confirmed the minimum."""
    text = scripted([0.9, 0.9, 0.9]).replace("]}", "], final: FINAL}")
    assert ": accuracy: 0.700 returned by the loop, 0.100 below the minimum" in failing_text(
        accuracy(loops, text.replace("FINAL", "0.7"))
    )
    accuracy(loops, text.replace("FINAL", "0.8"), *JUNIT).assert_outcomes(passed=1)
    assert properties(loops)["archcheck_test_accuracy"] == "0.8"


def test_a_run_ends_with_its_time_budget(loops: Project) -> None:
    text = HEAD + "  loop: loops:slow\n  time_budget: 0.1 s\n  epochs: 1000000000\n  accuracy: 0.5\n"
    found = failing_text(accuracy(loops, text))
    expected = (
        r"specs/toy\.arch\.yaml:5: time_budget: the time budget of 0\.1 s is spent after epoch \d+ of 1000000000.*"
    )
    assert re.fullmatch(expected, found)


def test_quick_and_full_and_off(loops: Project) -> None:
    text = scripted([0.1, 0.7, 0.9], more="  quick: {epochs: 2, accuracy: 0.7}\n")
    accuracy(loops, text, *JUNIT).assert_outcomes(passed=1)
    assert properties(loops)["archcheck_epochs"] == "2"
    accuracy(loops, text, "--archcheck-train", "full", *JUNIT).assert_outcomes(passed=1)
    assert properties(loops)["archcheck_epochs"] == "3"
    accuracy(loops, text, "--archcheck-train", "off").assert_outcomes(skipped=1)


def test_without_a_minimum_nothing_is_green(loops: Project) -> None:
    result = accuracy(loops, scripted([0.9]).replace("  accuracy: 0.8\n", ""), "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*the quick recipe has no `accuracy` to reach; archcheck calibrate *"])


@pytest.mark.parametrize("how", ["pytest", "unittest"])
def test_a_loop_without_its_data_is_not_measured(loops: Project, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + f"  loop: loops:no_data\n  loop_args: {{how: {how}}}\n  accuracy: 0.5\n"
    result = accuracy(loops, text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*loops:no_data: no images on this machine"])
    accuracy(loops, text, "--archcheck-strict").assert_outcomes(failed=1)
    assert main(["calibrate", "specs/toy.arch.yaml"]) != 0
    assert "error: loops:no_data: no images on this machine" in capsys.readouterr().err


def test_the_best_network_is_kept(loops: Project) -> None:
    accuracy(loops, scripted([0.25, 0.75, 0.5]), "--archcheck-checkpoints", "kept").assert_outcomes(failed=1)
    assert [path.name for path in (loops.path / "kept").rglob("*.pt")] == ["model_0.75.pt"]


def test_claims_train_by_loops_to_their_end(loops: Project) -> None:
    """Where their minimum would have stopped them, the claim would not hold."""
    claim = "claims:\n  better_than: {spec: other, by: 0.1}\n"
    loops.spec("toy", scripted([0.9, 0.9, 0.95]) + claim)
    loops.spec("other", scripted([0.9, 0.9, 0.85]))
    loops.run("-m", "archcheck_claims or archcheck_accuracy").assert_outcomes(passed=3)
    loops.spec("other", scripted([0.9, 0.9, 0.9]))
    result = loops.run("-m", "archcheck_claims")
    result.stdout.fnmatch_lines(["*: better_than: better than other by +0.050, not by enough"])


def test_a_loop_is_calibrated(loops: Project, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + "  loop: loops:fit\n  dataset: sets:clouds\n  epochs: 1\n"
    path = loops.spec("toy", text)
    assert main(["calibrate", "specs/toy.arch.yaml", "--seeds", "2", "--device", "cpu"]) == 0
    training = read_spec(path).spec.training
    assert training is not None
    assert training.accuracy is not None
    assert training.calibration is not None
    assert training.precision is None  # the loop decides that
    assert re.search(r"seed 1: accuracy \d\.\d{4}, [\d.]+ s\n", capsys.readouterr().err)


def test_what_is_wrong_with_a_loop_is_told_before_it_is_calibrated(
    loops: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    loops.spec("toy", HEAD + "  loop: loops:fitt\n")
    assert main(["calibrate", "specs/toy.arch.yaml"]) != 0
    assert "specs/toy.arch.yaml:4: loop: loops has no 'fitt': did you mean 'fit'?" in capsys.readouterr().err


def test_speed_is_that_of_a_spec_without_a_recipe(loops: Project) -> None:
    loops.spec("toy", scripted([0.9]) + "throughput: {batch_size: 4}\n")
    result = loops.run("-m", "archcheck_throughput", "--benchmark-min-rounds=1", "-v")
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml * train * cpu*"])
    result.assert_outcomes(skipped=1)  # no run to compare with


# ------------------------------------------------------------------------------------------- seeds and settings


def test_the_same_seed_gives_the_same_run(loops: Project) -> None:
    text = HEAD + "  loop: loops:noisy\n  accuracy: 0.5\n"

    def loss(*args: str) -> str:
        accuracy(loops, text, *args, *JUNIT).assert_outcomes(passed=1)
        return properties(loops)["archcheck_loss"]

    first = loss()
    random.seed(5)
    torch.manual_seed(5)
    assert loss() == first
    assert loss("--archcheck-seed", "1") != first


def test_settings_generators_and_directory_are_as_they_were(loops: Project) -> None:
    def state() -> list[object]:
        generators = random.getstate(), torch.get_rng_state().tolist()
        settings = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
        return [*generators, *settings, os.getcwd()]

    before = state()
    found = failing_text(accuracy(loops, HEAD + "  loop: loops:meddles\n  accuracy: 0.5\n"))
    assert re.fullmatch(
        r"specs/toy\.arch\.yaml:4: loop: loops:meddles raised ValueError: enough \(loops\.py:\d+\)", found
    )
    assert state() == before
    loops.pytester.path.joinpath("elsewhere").rmdir()
    loops.spec("after", HEAD + "  loop: loops:sees\n  accuracy: 0.5\n")
    loops.run("-m", "archcheck_accuracy", "specs/toy.arch.yaml", "specs/after.arch.yaml").assert_outcomes(
        passed=1, failed=1
    )


# ------------------------------------------------------------------------------------------- what goes wrong

GIVES = (
    "archcheck gives model, device, seed, epochs, data_dir, report, with a `dataset` also train_loader and test_loader"
)
FAULTS = [
    # what it does
    ("raises", "", 4, r"loop: loops:raises raised KeyError: 'no such split' \(loops\.py:\d+\)"),
    ("leaves", "", 4, r"loop: loops:leaves raised SystemExit: 0 \(loops\.py:\d+\)"),
    ("silent", "", 4,
     r"loop: loops:silent: it neither returned an accuracy nor called report\(epoch, loss, accuracy\)"),
    ("nonsense", "loop_args: {value: .nan}", 4, "loop: loops:nonsense returned nan as accuracy: expected a number"),
    ("nonsense", "loop_args: {value: 93}", 4,
     "loop: loops:nonsense returned the accuracy 93, expected a share of 1 at most: 93 % is 0.93"),
    ("nonsense", "loop_args: {value: [1]}", 4, "loop: loops:nonsense returned a list as accuracy: expected a number"),
    ("percent", "", 4,
     "loop: loops:percent reported the accuracy 93.1, expected a share of 1 at most: 93.1 % is 0.931"),
    ("ignores", "epochs: 5", 4,
     r"loop: loops:ignores goes on after report\(\.\.\.\) returned True: it has to return then; .*"),
    ("Trainer", "", 4, "loop: loops:Trainer returned a Trainer as accuracy: expected a number"),
    # what it is, told without calling it
    ("fitt", "", 4, "loop: loops has no 'fitt': did you mean 'fit'?"),
    ("LOOPS", "", 4, "loop: loops has no 'LOOPS'.*"),
    ("no_model", "", 4, f"loop: loops:no_model takes no `model`, the network to train: {GIVES}"),
    ("needs", "", 4, r"loop: loops:needs is missing its argument 'corpus' \(it accepts model, corpus\); "
     f"{GIVES}, `loop_args` gives the rest"),
    ("needs", "loop_args: {corpus: 1, copus: 2}", 5, "loop_args: loops:needs accepts no argument 'copus': .*"),
    ("silent", "loop_args: {model: resnet}", 5, "loop_args: archcheck gives `model` itself"),
    ("silent", "epochs: 3", 5, "epochs: loops:silent takes no `epochs`: leave it out, or let the loop take it"),
    ("silent", "dataset: sets:clouds", 5,
     "dataset: loops:silent takes neither `train_loader` nor `test_loader`: leave the data set out"),
]  # fmt: skip


@pytest.fixture
def faulty(loops: Project, once: Once) -> pytest.RunResult:
    """Verify a spec with each of the faults in one run: specs/0.arch.yaml, specs/1.arch.yaml and so on."""

    def run() -> pytest.RunResult:
        for number, (name, key, _, _) in enumerate(FAULTS):
            keys = "".join(f"  {line}\n" for line in (f"loop: loops:{name}", key, "accuracy: 0.5") if line)
            loops.spec(str(number), HEAD + keys)
        return loops.run("-m", "archcheck_accuracy", "-v")

    return once("faulty", run)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{name}-{key}" for name, key, _, _ in FAULTS])
def test_what_goes_wrong_is_one_line_at_its_line(faulty: pytest.RunResult, number: int) -> None:
    *_, line, message = FAULTS[number]
    path = f"specs/{number}.arch.yaml"
    faulty.stdout.fnmatch_lines([f"{path}::accuracy FAILED*"])
    [[found, *_]] = messages(faulty, path)
    pattern = message.replace("?", r"\?") if message.endswith("?") else message
    assert re.fullmatch(rf"{re.escape(path)}:{line}: {pattern}", found), found
    assert "Traceback" not in faulty.stdout.str()


def test_a_key_that_a_loop_ignores_is_told_at_its_line(loops: Project) -> None:
    loops.spec("toy", HEAD + "  loop: loops:silent\n  optimizer: SGD\n  quick:\n    batch_size: 3\n")
    result = loops.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:5: optimizer: the loop decides that; leave it out",
            "specs/toy.arch.yaml:7: batch_size: the loop decides that, as it has data of its own; leave it out",
        ]
    )


def test_a_fault_keeps_the_curve_so_far(loops: Project) -> None:
    text = HEAD + "  loop: loops:ignores\n  epochs: 5\n  accuracy: 0.5\n"
    result = accuracy(loops, text)
    result.stdout.fnmatch_lines(
        ["  curve     * epoch *", "  * 1 * 0.5000 * - * 0.900 * -", "  * 2 * 0.5000 * - * 0.900 *"]
    )


def test_what_a_loop_leaves_untrained_is_told_below_the_table(loops: Project) -> None:
    loops.spec("silent", HEAD + "  loop: loops:nonsense\n  loop_args: {value: 0.9}\n  accuracy: 0.8\n")
    loops.spec(
        "sound", HEAD + "  loop: loops:fit\n  dataset: sets:clouds\n  batch_size: 16\n  epochs: 1\n  accuracy: 0.5\n"
    )
    result = loops.pytest("--archcheck", "-m", "archcheck_accuracy")
    result.assert_outcomes(passed=2)
    told = "specs/silent.arch.yaml: the loop left all trainable parameters of the network as they were"
    assert [line for line in result.outlines if "the loop left" in line] == [told]
