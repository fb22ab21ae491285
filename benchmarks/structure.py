"""Structure checks, side by side with torchinfo: `python benchmarks/structure.py [SECTION...]`.

Every figure comes with the ratio that it stands for, taken in one run on one machine: times vary by a quarter between
machines and between runs, ratios hardly do. Without arguments all sections run.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from startup import measure_cold_start, measure_collection, measure_plugin_overhead
from tabulate import tabulate

BATCH_SIZES: Final = (2, 3)
IMAGE: Final = (3, 224, 224)
NUM_SLOWEST: Final = 10

_PEAK_MEMORY: Final = """
import sys, warnings
warnings.simplefilter("ignore")
import torch, torchvision
def mib(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))
before = mib("VmRSS")
sys.path.insert(0, sys.argv[1])
from structure import classifier_names, trace_classifier
traces = [trace_classifier(name) for name in classifier_names()]
print(max(mib("VmHWM"), mib("VmRSS")) - before)
"""


def main(sections: list[str]) -> None:
    """Run the sections named on the command line, or all of them."""
    warnings.simplefilter("ignore")  # torchvision's, about weights that nobody asked for
    print(describe_machine(), "\n")
    for name in sections or SECTIONS:
        print(f"## {name}\n\n{SECTIONS[name]()}\n", flush=True)


def describe_machine() -> str:
    """Date, processor and versions."""
    lines = _read("/proc/cpuinfo").splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = ("torch", "torchvision", "torchinfo", "pytest", "numpy")
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"{processor or platform.processor()}, {num_cores()} cores, {platform.system()}",
            f"Python {platform.python_version()}, "
            + ", ".join(f"{name} {version(name)}" for name in packages if find_spec(name)),
        ]
    )


def num_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


# ---------------------------------------------------------------------------------------------- 80 classifiers


def classifier_names() -> list[str]:
    """Torchvision's classifiers."""
    import torchvision

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def trace_classifier(name: str) -> tuple[Any, float]:
    """What archcheck measures of one classifier at both batch sizes, and how long its constructor took of that."""
    import torchvision

    from archcheck.spec.inputs import ForwardInput, TensorInput
    from archcheck.structure.trace import trace_structure

    seconds = 0.0

    def make() -> Any:
        nonlocal seconds
        start = time.perf_counter()
        model = torchvision.models.get_model(name, weights=None)
        seconds += time.perf_counter() - start
        return model

    inputs = [ForwardInput((TensorInput((size, *IMAGE)),), sizes={"B": size}) for size in BATCH_SIZES]
    return trace_structure(make, inputs), seconds


def summarize_classifier(name: str) -> tuple[Any, float]:
    """What torchinfo measures of one classifier at one batch size, and how long its constructor took of that."""
    import torchinfo
    import torchvision

    start = time.perf_counter()
    model = torchvision.models.get_model(name, weights=None)
    built = time.perf_counter() - start
    return torchinfo.summary(model, input_size=(BATCH_SIZES[0], *IMAGE), verbose=0), built


def _timed(function: Callable[[str], tuple[Any, float]], name: str) -> tuple[float, float]:
    """Seconds in all, and those without the constructor."""
    start = time.perf_counter()
    result, building = function(name)
    del result
    total = time.perf_counter() - start
    return total, total - building


def compare_with_torchinfo() -> str:
    """Both on the same model, turn by turn."""
    names = classifier_names()
    for warm_up in names[:2]:
        trace_classifier(warm_up), summarize_classifier(warm_up)
    ours = dict.fromkeys(names, (0.0, 0.0))
    theirs = dict(ours)
    for name in names:
        theirs[name] = _timed(summarize_classifier, name)
        ours[name] = _timed(trace_classifier, name)
    slowest = sorted(names, key=lambda name: -ours[name][0])[:NUM_SLOWEST]
    rows = [_comparison(name, {name: ours[name]}, {name: theirs[name]}) for name in slowest]
    rows.append(_comparison(f"all {len(names)}", ours, theirs))
    headers = ["classifier", "archcheck s", "torchinfo s", "ratio", "without building s", "torchinfo s", "ratio"]
    table = tabulate(rows, headers, floatfmt=("", ".3f", ".3f", ".1f", ".3f", ".3f", ".1f"))
    return (
        f"archcheck: shapes, parameters and MACs at batch sizes {BATCH_SIZES}; torchinfo: summary at batch size "
        f"{BATCH_SIZES[0]}; {NUM_SLOWEST} slowest of ours, and all.\n\n{table}\n\n"
        f"peak memory above `import torch, torchvision`: {measure_peak_mib():.0f} MiB"
    )


def _comparison(
    title: str, ours: Mapping[str, tuple[float, float]], theirs: Mapping[str, tuple[float, float]]
) -> list[Any]:
    row: list[Any] = [title]
    for index in (0, 1):
        mine, other = (sum(times[index] for times in side.values()) for side in (ours, theirs))
        row += [mine, other, other / mine]
    return row


def measure_peak_mib() -> float:
    """Peak memory of tracing all classifiers in a fresh process and keeping every trace, above that of the imports."""
    here = __file__.rpartition("/")[0] or "."
    result = subprocess.run([sys.executable, "-c", _PEAK_MEMORY, here], capture_output=True, text=True, check=True)
    return float(result.stdout)


# ---------------------------------------------------------------------------------------------- published figures


def count_published() -> str:
    """How many classifiers' parameters and multiply-adds equal those that torchvision publishes with its weights."""
    rows, equal_params, equal_macs, total = [], 0, 0, 0
    for name in classifier_names():
        published = published_figures(name)
        if published is None:
            continue
        total += 1
        num_params, giga_macs = published
        trace, _ = trace_classifier(name)
        same_params, same_macs = trace.root.num_params == num_params, round(trace.macs / 1e9, 3) == giga_macs
        equal_params, equal_macs = equal_params + same_params, equal_macs + same_macs
        if not (same_params and same_macs):
            rows.append([name, trace.root.num_params, num_params, trace.macs / 1e9, giga_macs])
    text = f"of {total} classifiers with weights for 224 px: parameters equal {equal_params}, MACs equal {equal_macs}"
    table = tabulate(rows, ["differs", "parameters", "published", "GMACs", "published"], floatfmt=".3f", intfmt=",")
    return f"{text}\n\n{table}" if rows else text


def published_figures(name: str) -> tuple[int, float] | None:
    """Parameters and GMACs published with the first weights evaluated at 224 px."""
    import torchvision

    for weights in torchvision.models.get_model_weights(name):
        crop = getattr(weights.transforms, "keywords", {}).get("crop_size")
        if crop == IMAGE[-1]:
            return weights.meta["num_params"], weights.meta["_ops"]
    return None


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {
    "torchinfo": compare_with_torchinfo,
    "published": count_published,
    "collection": measure_collection,
    "cold-start": measure_cold_start,
    "plugin": measure_plugin_overhead,
}

if __name__ == "__main__":
    main(sys.argv[1:])
