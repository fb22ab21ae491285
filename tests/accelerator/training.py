"""Trains on the pretended accelerator and on the CPU: `python -m tests.accelerator.training SPEC...`, an answer a line.

An answer is JSON: how the runs ended on both, and what the accelerator was asked for meanwhile.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archcheck.spec.spec_file import read_spec
from archcheck.training.callbacks import TrainingProgress
from archcheck.training.options import RunOptions
from archcheck.training.recipe import resolve_recipe
from archcheck.training.records import TrainingRecord
from archcheck.training.step import TrainingStep
from archcheck.training.trainer import Trainer
from tests.accelerator.backend import RECORD


def main(paths: list[Path]) -> None:
    """Answer for each of the specs; one whose name begins with `streamed` may keep no data on the device."""
    _count_steps()
    for path in paths:
        on_cpu = _train(path, "cpu")
        RECORD.waits.clear()
        RECORD.copies.clear()
        RECORD.num_steps = 0
        on_device = _train(path, "auto")
        waits = [asdict(one) for one in RECORD.waits]
        runs = {"cpu": asdict(on_cpu), "device": asdict(on_device)}
        sys.stdout.write(json.dumps({**runs, "copies": RECORD.copies, "waits": waits, "steps": RECORD.num_steps}))
        sys.stdout.write("\n")


def _train(path: Path, device: str) -> TrainingRecord:
    spec_file = read_spec(path)
    budget = 0 if path.name.startswith("streamed") else None
    options = RunOptions(device=device, num_threads=1, data_budget_bytes=budget)
    trainer = Trainer(spec_file, resolve_recipe(spec_file.spec, "full"), options, path.parent)
    return trainer.train(on_progress=_look)


def _look(progress: TrainingProgress) -> None:
    """Look at a run's progress, as a terminal does."""
    assert progress.loss is not None


def _count_steps() -> None:
    own: Any = TrainingStep.__call__

    def counted(step: TrainingStep, *args: Any) -> Any:
        RECORD.num_steps += 1
        return own(step, *args)

    setattr(TrainingStep, "__call__", counted)  # noqa: B010 - no method, to those who check types


if __name__ == "__main__":
    main([Path(one) for one in sys.argv[1:]])
