"""Bare costs of the main job's checks: `python benchmarks/bare_job.py` prints seconds of the clock by check, as JSON.

`loop.py` sets its checks' times beside these. There are no hooks, no digests and no filled weights here, only networks
that are built and run.

health: every network that has a function, at the sizes and in the precision of its record. It is built once and run
four times: in eval mode on all examples, on the first one, and again on all, and in train mode with gradients. One that
computes the same in both modes on a single example needs one less; a few need more.
accuracy: the steps of every quick recipe, on one batch again and again, and the forwards over its test set. A run that
reaches its accuracy early needs less.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import torch
from training import Limit

from archcheck.function.fingerprint.digests import tensors_in
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.function.measure import network_factory
from archcheck.network.torch_state import default_torch_settings
from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import make_forward_input
from archcheck.spec.lock import RecordedFunction
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.training.options import RunOptions
from archcheck.training.trainer import DatasetCache, choose_recipe, data_context

ROOT: Final = Path(__file__).resolve().parents[1]
CPU: Final = torch.device("cpu")
NUM_TIMED_STEPS: Final = 20


def main() -> None:
    """Print the seconds of each check."""
    files = [read_spec(path, rootdir=ROOT) for path in sorted((ROOT / "specs").rglob("*.arch.yaml"))]
    store = DatasetCache()
    recorded = [(one, one.recorded) for one in files]
    with default_torch_settings():
        seconds = {
            "health": sum(time_health(one, function) for one, function in recorded if function is not None),
            "accuracy": sum(time_accuracy(one, store) for one in files if has_quick_accuracy(one)),
        }
    print(json.dumps(seconds))


def time_health(spec_file: SpecFile, function: RecordedFunction) -> float:
    """Seconds to build a network and to run it four times, once with gradients."""
    start = time.perf_counter()
    dtype = getattr(torch, function.precision)
    pattern = spec_file.spec.input if function.input is None else function.input
    all_examples, one_example = (
        make_fixed_inputs(make_forward_input(pattern, sizes), dtype, CPU)
        for sizes in (function.at, {**function.at, BATCH: 1})
    )
    default = torch.get_default_dtype()
    network = network_factory(spec_file, ROOT)().to(dtype).eval()
    torch.set_default_dtype(dtype)
    try:
        with torch.no_grad():
            for args, kwargs in (all_examples, one_example, all_examples):
                network(*args, **kwargs)
        if function.train:
            network.train()
        args, kwargs = all_examples
        outputs = [one for one in tensors_in(network(*args, **kwargs)) if one.requires_grad]
        torch.autograd.backward(outputs, [torch.ones_like(one) for one in outputs])
    finally:
        torch.set_default_dtype(default)
    return time.perf_counter() - start


def has_quick_accuracy(spec_file: SpecFile) -> bool:
    """Return whether a spec has an accuracy that a short run is to reach."""
    training = spec_file.spec.training
    return training is not None and training.quick is not None and training.quick.accuracy is not None


def time_accuracy(spec_file: SpecFile, store: DatasetCache) -> float:
    """Seconds for a recipe's steps, of which some are timed, and for the forwards over its test set."""
    options = RunOptions(kind="quick", device="cpu")
    recipe = choose_recipe(spec_file.spec, options)
    assert recipe.dataset is not None  # none of these specs has a loop of its own
    data = store.load(recipe.dataset, data_context(spec_file, recipe, options, ROOT))
    limit = Limit(spec_file, recipe, data, CPU)
    num_train, num_test = (len(one) for one in (data.train, data.test))  # type: ignore[arg-type]  # map-style
    num_steps = num_train // recipe.batch_size
    if recipe.steps_per_epoch is not None:
        num_steps = min(num_steps, recipe.steps_per_epoch)
    limit.time_steps(2)
    step_sec = limit.time_steps(NUM_TIMED_STEPS) / NUM_TIMED_STEPS
    with torch.no_grad():
        start = time.perf_counter()
        for _ in range(NUM_TIMED_STEPS):
            limit.forward(limit.inputs)
        forward_sec = (time.perf_counter() - start) / NUM_TIMED_STEPS
    return recipe.epochs * (num_steps * step_sec + num_test / recipe.batch_size * forward_sec)


if __name__ == "__main__":
    main()
