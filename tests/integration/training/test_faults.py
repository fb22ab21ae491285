"""What goes wrong in training is told in one line, at the line of the spec that is at fault."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import Once, Project, messages
from tests.integration.training.toys import CALLS, CLOUDS, accuracy, curves, failing_text, scripted

FAULTS = [
    # The optimizer
    ("lr: 0.1", "lr: 1.0e+39", 5, "optimizer: the loss is (nan|inf) in epoch 1, step 2: a smaller .*"),
    ("lr: 0.1", "lr: -1.0", 5, "optimizer: SGD raised ValueError: Invalid learning rate: -1.0"),
    ("lr: 0.1", "lr: fast", 5, "optimizer: SGD raised TypeError: .*"),
    ("{name: SGD, lr: 0.1}", "{name: LBFGS, lr: -1.0}", 5, "optimizer: LBFGS raised ValueError: .*"),
    # The scheduler, at once and later
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: StepLR, step_size: no}\n", 8, "scheduler: StepLR.* raised .*"),
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: LambdaLR, lr_lambda: x}\n", 8,
     "scheduler: LambdaLR.* raised .*"),
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: OneCycleLR, max_lr: 0.1, total_steps: 3}\n", 8,
     "scheduler: OneCycleLR.step\\(\\) raised ValueError: Tried to step 4 times. .* is 3"),
    # The data
    ("sets:clouds", "{name: sets:clouds, labels: 1}", 4,
     "dataset: label 2 is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "{name: sets:clouds, labels: -1}", 4,
     "dataset: label -1 is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "{name: sets:streamed, labels: 5}", 4,
     "dataset: label [56] is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "sets:empty", 4, "dataset: sets:empty: train has no examples"),
    ("batch_size: 64", "batch_size: 300", 6, "batch_size: the data set has 256 examples, less than a batch of 300"),
    ("  epochs: 2\n", "  epochs: 2\n  steps_per_epoch: 5\n", 8,
     "steps_per_epoch: the training set has 4 batches of 64, fewer than these"),
    ("sets:clouds", "sets:positions", 4,
     r"dataset: the training's inputs are \[B, 1\], the spec's `input` is \[B, 2\]"),
    ("sets:clouds", "sets:cluods", 4, "dataset: .*did you mean 'clouds'.*"),
    ("sets:clouds", "fashion-mist", 4, "dataset: there is no data set 'fashion-mist': did you mean 'fashion-mnist'.*"),
    # The loss
    ("  epochs: 2\n", "  epochs: 2\n  loss: MSELoss\n", 8,
     "loss: the data set has classes, MSELoss is for float targets; CrossEntropyLoss is for classes"),
    ("  epochs: 2\n", "  epochs: 2\n  loss: {name: CrossEntropyLoss, reduction: none}\n", 8,
     r"loss: CrossEntropyLoss gives \(64,\), expected one number"),
    ("  epochs: 2\n", "  epochs: 2\n  loss: {name: CrossEntropyLoss, reduction: most}\n", 8,
     "loss: CrossEntropyLoss raised ValueError: most is not a valid value for reduction"),
    ("  epochs: 2\n", "  epochs: 2\n  init: {name: kaiming_normal, mode: fan_up}\n", 8,
     "init: .* raised ValueError: .*"),
    ("  epochs: 2\n", "  epochs: 2\n  loss:\n    name: CrossEntropyLoss\n    weight: [1, 2, 3]\n", 10,
     r"loss\.weight: expected 2 numbers, one for each output of the network, found 3"),
    ("  epochs: 2\n", "  epochs: 2\n  loss: {name: NLLLoss, weight: 3}\n", 8,
     r"loss\.weight: expected 2 numbers, one for each output of the network, found a single one"),
    # Schedulers made of others
    ("  epochs: 2\n", "  epochs: 2\n  scheduler:\n    name: ChainedScheduler\n    schedulers:\n"
     "      - {name: LinearLR}\n      - name: StepLR\n        step_sise: 2\n", 13,
     r"scheduler: torch\.optim\.lr_scheduler\.StepLR accepts no argument 'step_sise': did you mean 'step_size'\? .*"),
]  # fmt: skip


@pytest.fixture
def faulty(toys: Project, once: Once) -> pytest.RunResult:
    """Verify a spec with each of the faults in one run: specs/0.arch.yaml, specs/1.arch.yaml and so on."""

    def run() -> pytest.RunResult:
        for number, (old, new, _, _) in enumerate(FAULTS):
            assert CLOUDS.count(old) == 1
            toys.spec(str(number), CLOUDS.replace(old, new))
        return toys.run("-m", "archcheck_accuracy", "-v")

    return once("faulty", run)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[f"{old}-{new}" for old, new, _, _ in FAULTS])
def test_what_goes_wrong_is_one_line_at_its_line(faulty: pytest.RunResult, number: int) -> None:
    *_, line, message = FAULTS[number]
    path = f"specs/{number}.arch.yaml"
    faulty.stdout.fnmatch_lines([f"{path}::accuracy FAILED*"])
    [[found, *_]] = messages(faulty, path)
    assert re.fullmatch(rf"{re.escape(path)}:{line}: {message}", found), found
    output = faulty.stdout.str()
    assert "Traceback" not in output
    assert "archcheck/pytest_plugin" not in output


FORWARDS = [
    ("raises", 1, r"build: the forward pass raised KeyError: 'no such head' \(toys\.py:36\)"),
    ("leaves", 1, r"build: the forward pass raised SystemExit: 3 \(toys\.py:38\)"),
    ("no_memory", 7, "batch_size: the forward pass: out of memory; a smaller batch_size or resize needs less"),
    ("too_large", 7, "batch_size: the forward pass: out of memory; a smaller batch_size or resize needs less"),
    ("meddles_and_raises", 1, r"build: the forward pass raised ValueError: enough \(toys\.py:\d+\)"),
]


@pytest.mark.parametrize(("what", "line", "message"), FORWARDS)
def test_a_forward_that_raises_is_one_line_and_names_the_users_own(
    toys: Project, what: str, line: int, message: str
) -> None:
    found = failing_text(accuracy(toys, CALLS.replace("WHAT", what)))
    assert re.fullmatch(rf"specs/toy\.arch\.yaml:{line}: {message}", found), found


def test_the_loss_that_explodes_is_told_with_both_its_values(toys: Project) -> None:
    text = (
        CLOUDS.replace("lr: 0.1", "lr: 1.0e+6")
        .replace("toys:linear", "toys:linear")
        .replace("batch_size: 64", "batch_size: 2")
    )
    text = text.replace("  epochs: 2\n", "  epochs: 2\n  loss: MSELoss\n").replace("sets:clouds", "sets:line")
    text = text.replace("[B, 2]", "[B, 1]").replace("toys:linear\n", "toys:linear\nargs: {features: 1, classes: 1}\n")
    found = failing_text(accuracy(toys, text))
    assert re.fullmatch(
        r"specs/toy\.arch\.yaml:6: optimizer: the loss has exploded, from [\d.e+-]+ to [\d.e+-]+ in epoch 1, step \d: "
        r"a smaller learning rate, clip_grad_norm or another init may keep it in bounds",
        found,
    ), found


def test_a_network_of_the_wrong_number_of_classes_is_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "fashion-mnist-mini").replace("[B, 2]", "[B, 1, 28, 28]")
    toys.write(
        "flat.py", "from torch import nn\ndef net(n=10): return nn.Sequential(nn.Flatten(), nn.Linear(784, n))\n"
    )
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net\nargs: {n: 9}")))
    assert found == "specs/toy.arch.yaml:2: args: the network has 9 outputs, the data set 10 classes"
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net\nargs: {n: 11}")))
    assert found == "specs/toy.arch.yaml:2: args: the network has 11 outputs, the data set 10 classes"


def test_inputs_resized_to_another_size_than_the_specs_are_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "fashion-mnist-mini\n  resize: [28, 32]").replace("[B, 2]", "[B, 1, 28, 28]")
    toys.write("flat.py", "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))\n")
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net")))
    assert found == (
        "specs/toy.arch.yaml:5: resize: the training's inputs are [B, 1, 28, 32], the spec's `input` is [B, 1, 28, 28]"
    )


def test_outputs_and_targets_of_two_shapes_are_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "sets:line\n  loss: MSELoss").replace("[B, 2]", "[B, 1]")
    found = failing_text(accuracy(toys, text.replace("toys:linear", "toys:linear\nargs: {features: 1}")))
    assert found == (
        "specs/toy.arch.yaml:5: dataset: the network returns [50, 2], the data set's targets are [50, 1]: "
        "expected the same"
    )


def test_a_network_without_parameters_is_told(toys: Project) -> None:
    toys.write("bare.py", "from torch import nn\ndef net(): return nn.Identity()\n")
    found = failing_text(accuracy(toys, CLOUDS.replace("toys:linear", "bare:net")))
    assert found == "specs/toy.arch.yaml:1: build: the network has no trainable parameter"


def test_a_network_that_is_all_frozen_is_told(toys: Project) -> None:
    toys.write("bare.py", "from torch import nn\ndef net(): return nn.Linear(2, 2).requires_grad_(False)\n")
    found = failing_text(accuracy(toys, CLOUDS.replace("toys:linear", "bare:net")))
    assert found == "specs/toy.arch.yaml:1: build: the network has no trainable parameter"


def test_a_network_that_quick_arguments_do_not_build_is_told_there(toys: Project) -> None:
    found = failing_text(accuracy(toys, CLOUDS + "  quick:\n    args: {classes: -1}\n"))
    assert re.search(
        r": building toys:linear raised RuntimeError: Trying to create tensor with negative dimension", found
    )
    found = failing_text(accuracy(toys, CLOUDS + "  quick:\n    args: {clases: 2}\n"))
    assert re.match(
        r"specs/toy\.arch\.yaml:10: build: toys:linear accepts no argument 'clases': did you mean 'classes'\?", found
    )


def test_a_network_that_cannot_be_built_says_so_in_every_item(toys: Project) -> None:
    toys.spec("toy", CLOUDS.replace("toys:linear", "nets:raising"))
    result = toys.run()
    result.assert_outcomes(failed=3, skipped=1)
    result.stdout.fnmatch_lines(["FAILED specs/toy.arch.yaml::accuracy - *no such width*"])


def test_a_run_that_dies_leaves_the_others_alone(toys: Project) -> None:
    toys.spec("a", CALLS.replace("WHAT", "meddles_and_raises"))
    toys.spec("b", CLOUDS)
    toys.spec("c", CLOUDS.replace("sets:clouds", "sets:empty"))
    toys.spec("d", "build: [\n")
    toys.spec("e", CLOUDS)
    result = toys.run()
    result.assert_outcomes(passed=10, failed=3, skipped=4)
    result.stdout.fnmatch_lines([f"specs/{name}.arch.yaml * ok *ok *ok *" for name in "be"])


def test_a_fault_keeps_the_curve_so_far(toys: Project) -> None:
    text = scripted([0.25, 0.5], 0.9, epochs=3)
    text = text.replace("epochs: 3\n", "epochs: 3\n  scheduler: {name: OneCycleLR, max_lr: 0.1, total_steps: 5}\n")
    result = accuracy(toys, text)
    result.assert_outcomes(failed=1)
    assert curves(result) == [("1", "1.6269", "0.250", "0.250"), ("2", "1.1269", "0.500", "0.500")]
