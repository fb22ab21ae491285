"""Verify some specs of this repository, and keep the record of the run: the site has a page of it as an example.

python docs/example.py            # some minutes: two of the networks are trained for longer than a moment
python docs/example.py --check    # whether the networks of the record are those that the specs build now
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from archcheck.checks.network_under_test import NetworkUnderTest, build_and_trace
from archcheck.errors import ArchcheckError
from archcheck.report.network_record import with_layers
from archcheck.report.run_record import RunRecord, SpecResult, read_run
from archcheck.spec.spec_file import read_spec

ROOT: Final = Path(__file__).parents[1]
RECORD: Final = ROOT / "docs" / "example-run.json"
COMMAND: Final = "python docs/example.py"
SPECS: Final = ("lenet5", "lenet-bn", "resnet18", "vit-small", "torchvision-densenet121", "torchvision-inception-v3")


def verify() -> RunRecord:
    """Verify the specs, and return the record of the run."""
    paths = [f"specs/{name}.arch.yaml" for name in SPECS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        command = [sys.executable, "-m", "pytest", "--archcheck", *paths, "--archcheck-report", str(path)]
        subprocess.run(command, cwd=ROOT, check=True)
        record = read_run(path.read_text("utf-8"), "the run")
    (run,) = record.runs
    return replace(record, runs=(replace(run, command=f"pytest --archcheck {' '.join(paths)}"),))


def stale(record: RunRecord) -> Iterator[str]:
    """Yield the specs of a record whose networks are others now, or which aren't there."""
    for spec in record.specs:
        spec_file = read_spec(ROOT / spec.spec, rootdir=ROOT)
        network = build_and_trace(spec_file, ROOT)
        now = SpecResult(spec.spec)
        if isinstance(network, NetworkUnderTest):
            now = with_layers(now, network.trace, network.flow())
        if (now.layers, now.output_sources) != (spec.layers, spec.output_sources):
            yield spec.spec


def main(argv: Sequence[str]) -> int:
    """Verify, or with `--check` say whether the record is stale. Returns the exit status."""
    if "--check" not in argv:
        RECORD.write_text(verify().to_json() + "\n", encoding="utf-8")
        return 0
    try:
        found = list(stale(read_run(RECORD.read_text("utf-8"), RECORD.name)))
    except (ArchcheckError, OSError) as error:
        found = [str(error)]
    if found:
        print(f"{RECORD.relative_to(ROOT)} isn't a run of today: {', '.join(found)}; run: {COMMAND}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
