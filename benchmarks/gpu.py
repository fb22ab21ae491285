"""Everything that only a real accelerator can tell, in a quarter of an hour: `python benchmarks/gpu.py`, see `--help`.

Six steps, the most valuable first, each in a process of its own with a time limit of its own. Whatever a step has found
is in `--out` at once: `gpu.md` (tables), `gpu.json` (the same as data, with the environment) and `log.txt`; a step that
fails, or is stopped at its limit, keeps its rows, and the others run. `--steps` runs some of them, and keeps what the
others have left there.

function: `function` and `health` of all specs, on the device, held against what was recorded on CPUs.
rate: steps of each published recipe in several settings, beside the same step on one batch that lies there, and d2l's.
train: each published recipe to its end, in the fastest setting of `rate`, beside the published accuracy and rate.
gate: both speed gates, asked of networks that are alike, and of one that is 15 % slower.
memory: what `cost` tells without a device, beside what the device's allocator held.
tests: the tests of this repository that need an accelerator.

It needs torch 2.11 or newer, and no network: `--wheels` is a folder of wheels of what isn't installed (pydantic,
pydantic-core, annotated-types, typing-inspection, tabulate, jinja2, pytest-benchmark, ...), `--data` one that has the
four files of Fashion-MNIST. `--rehearse` does a little of each step on the CPU, on the data that comes with archcheck.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    import torch

    from archcheck.training.recipe import Recipe
    from archcheck.training.trainer import Trainer

ROOT: Final = Path(__file__).resolve().parents[1]
GRACE_SEC: Final = 5.0  # from being asked to end to being killed
Row: TypeAlias = dict[str, Any]
Task = TypeVar("Task")

TURN_SEC: Final = 0.25  # of each side of `rate`
NUM_TURNS: Final = 5
D2L_SEC: Final = 3.0
PLANTED: Final = 15.0  # percent
NUM_ROUNDS: Final = 15  # of two networks that are alike and a slower one; fewer where the step's time is over
NUM_STARTED: Final = 12  # processes of each kind that wait for their turn to be measured
MEMORY_NETWORKS: Final = "resnet18 vgg11 mobilenet_v2 vit_b_16 densenet121 swin_t efficientnet_b0 convnext_tiny alexnet"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, and for a step when it has to have ended, by `perf_counter`."""

    out: Path
    data: Path | None
    device: str
    rehearse: bool
    rows: tuple[str, ...]
    ends_at: float = math.inf

    def selects(self, title: str) -> bool:
        """Whether `--rows` asks for this one."""
        return not self.rows or any(one.lower() in title.lower() for one in self.rows)


@dataclass(frozen=True, slots=True)
class Step:
    """A step: what it tells, how many seconds it gets (and how many in a rehearsal), and what yields its rows."""

    title: str
    seconds: float
    rehearsal_sec: float
    run: Callable[[Options], Iterator[Row]]


# ---------------------------------------------------------------------------------------------- function, tests


def verify_recorded(options: Options) -> Iterator[Row]:
    """Yield what failed or was skipped, and how many passed."""
    from archcheck.network.devices import choose_device

    device = str(choose_device(options.device))  # by name: otherwise they run on the CPU
    command = [
        *_pytest(), "--archcheck", "--archcheck-device", device, "--archcheck-train", "off",
        "-m", "archcheck_function or archcheck_health", "-v", "-rfs", "-p", "no:cacheprovider", *_in_processes(options),
    ]  # fmt: skip
    yield from _outcomes_of([*command, *(["specs/lenet5.arch.yaml"] if options.rehearse else ["specs"])])


def run_tests(_: Options) -> Iterator[Row]:
    """Yield what failed or was skipped, and how many passed."""
    folders = [f"tests/unit/{room}" for room in ("data", "network", "throughput", "training")]
    yield from _outcomes_of([*_pytest(), "-m", "accelerator", "-v", "-rfs", "-p", "no:cacheprovider", *folders])


def _pytest() -> list[str]:
    installed = {one.name for one in importlib.metadata.entry_points(group="pytest11")}
    plugin = [] if "archcheck" in installed else ["-p", "archcheck.plugin"]
    return [sys.executable, "-m", "pytest", "-p", "no:randomly", *plugin]


def _in_processes(options: Options) -> list[str]:
    """Spread the specs over a few processes on the one device; a network takes little of it."""
    has_xdist = any(one.name == "xdist" for one in importlib.metadata.entry_points(group="pytest11"))
    number = min(8, (os.cpu_count() or 1) // 2)
    return ["-n", str(number)] if has_xdist and number > 1 and not options.rehearse else []


def _outcomes_of(command: Sequence[str]) -> Iterator[Row]:
    """Run pytest, and yield a row for each failure and each reason to skip, as they are told, and the counts."""
    counts = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0, "ERROR": 0}
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _say(line.rstrip())
            first, _, rest = line.strip().partition(" ")
            if first in ("FAILED", "ERROR", "SKIPPED") and (" - " in rest or rest.startswith("[")):  # its summary
                yield {"outcome": first.lower(), "what": rest}
            elif "::" in line:
                for outcome in counts.keys() & set(line.split()):
                    counts[outcome] += 1
    told = ", ".join(f"{count} {outcome.lower()}" for outcome, count in counts.items() if count)
    what = f"{told or 'nothing ran'} in {time.perf_counter() - began:.0f} s, exit status {process.returncode}"
    yield {"outcome": "all", "what": what}


# ---------------------------------------------------------------------------------------------- rate


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to compute a step: the keys of a recipe, and of torch's settings whether TF32 may be used."""

    name: str
    keys: dict[str, Any]
    tf32: bool = True

    @contextmanager
    def set(self) -> Iterator[None]:
        """Set torch as this variant has it."""
        import torch

        from archcheck.network.torch_state import default_torch_settings

        with default_torch_settings():
            torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = self.tf32
            yield


_BF16: Final = {"precision": "bf16"}
_LAST: Final = {**_BF16, "memory_format": "channels_last"}
VARIANTS: Final = (
    Variant("fp32", {}, tf32=False),
    Variant("tf32", {}),
    Variant("bf16", _BF16),
    Variant("bf16, channels_last", _LAST),
)
GRAPHED: Final = Variant("bf16, channels_last, graph", {**_LAST, "graph": True})  # its limit has none
COMPILED: Final = Variant("bf16, channels_last, compiled", {**_LAST, "compile": True})


def measure_rates(options: Options) -> Iterator[Row]:
    """Yield a row for each recipe and setting; compilation, which takes long, comes last."""
    plain = VARIANTS[-1:] if options.rehearse else VARIANTS
    for variants in (plain,) if options.rehearse else (plain, (COMPILED,)):
        for title, trainer, recipe in _published(options):
            for variant in (*variants, GRAPHED) if variants is plain and trainer.has_graphs else variants:
                yield {"network": title, "setting": variant.name, **_guarded(_rate, trainer, recipe, variant)}
            if variants is plain:
                yield {"network": title, "setting": "d2l's loop", **_guarded(_d2l_rate, trainer, recipe)}


def _published(options: Options) -> Iterator[tuple[str, Trainer, Recipe]]:
    """Yield the published recipes with their data; the quick ones in a rehearsal."""
    from training import PUBLISHED, SPECS

    from archcheck.spec.spec_file import read_spec
    from archcheck.training.options import RunOptions
    from archcheck.training.recipe import resolve_recipe
    from archcheck.training.trainer import DatasetCache, Trainer

    store, run = DatasetCache(2), RunOptions(device=options.device, data_dir=options.data)
    for published in PUBLISHED:
        if options.selects(f"{published.title} {published.spec}"):
            spec_file = read_spec(SPECS / f"{published.spec}.arch.yaml", published.spec)
            recipe = resolve_recipe(spec_file.spec, "quick" if options.rehearse else "full")
            yield published.title, Trainer(spec_file, recipe, run, store=store), recipe


def _rate(trainer: Trainer, recipe: Recipe, variant: Variant) -> Row:
    """Return the rates of our steps on the data set, and of the same step on one batch, turn by turn."""
    from functools import partial
    from statistics import median

    from training import Limit

    from archcheck.network.devices import release

    recipe = replace(recipe, **variant.keys)
    assert trainer._data is not None
    with variant.set():
        began = time.perf_counter()
        ours = trainer.prepare_step(recipe)
        ours()
        trainer.synchronize()
        first_sec = time.perf_counter() - began
        limit = Limit(trainer.spec_file, recipe, trainer._data, trainer.device)
        sides: list[Callable[[int], float]] = [partial(_time_steps, ours, trainer.synchronize), limit.time_steps]
        for side in sides:
            side(3)
        number = max(1, round(TURN_SEC / max(sides[1](3) / 3, 1e-6)))
        turns = [[side(number) / number for side in sides] for _ in range(NUM_TURNS)]
    ours_sec, limit_sec = (median(one) for one in zip(*turns, strict=True))
    del ours, limit, sides
    release(trainer.device)
    return {
        "examples/s": round(recipe.batch_size / ours_sec), "limit/s": round(recipe.batch_size / limit_sec),
        "of limit": round(limit_sec / ours_sec, 3), "build and first step s": round(first_sec, 2), "": "",
    }  # fmt: skip


def _time_steps(step: Callable[[], None], synchronize: Callable[[], None], number: int) -> float:
    synchronize()
    start = time.perf_counter()
    for _ in range(number):
        step()
    synchronize()
    return time.perf_counter() - start


def _d2l_rate(trainer: Trainer, recipe: Recipe) -> Row:
    """Return the rate of d2l's loop by wall clock, whatever it waits for."""
    from training import D2l, Network, write_for_torchvision

    assert trainer._data is not None
    lr = float((recipe.optimizer.model_extra or {}).get("lr", 0.05))
    pixels = recipe.resize[0] if recipe.resize is not None else 28
    network = Network("", trainer.spec_file.spec.build, recipe.args, pixels, recipe.batch_size, lr)
    with tempfile.TemporaryDirectory() as folder:
        write_for_torchvision(trainer._data, Path(folder))
        d2l = D2l(network, Path(folder), trainer.device)
        step_sec = min(d2l.time_turns(1, 2))
        turns = d2l.time_turns(max(1, round(D2L_SEC / 3 / step_sec)), 3)
    number = max(1, round(D2L_SEC / 3 / step_sec))
    return {"examples/s": round(recipe.batch_size * number / sorted(turns)[1])}


# ---------------------------------------------------------------------------------------------- train


def train_published(options: Options) -> Iterator[Row]:
    """Yield a row for each published recipe, trained to its end."""
    from training import PUBLISHED

    published = {one.title: one for one in PUBLISHED}
    for title, trainer, recipe in _published(options):
        variant = _fastest(options.out, title)
        recipe = replace(recipe.to_the_end(), **variant.keys)
        if options.rehearse:
            recipe = replace(recipe, epochs=1, steps_per_epoch=3)
        theirs = published[title]
        known = {"published accuracy": theirs.test_accuracy, "published/s": theirs.examples_per_sec}
        yield {"network": title, "setting": variant.name, **_guarded(_train, trainer, recipe, variant), **known}


def _train(trainer: Trainer, recipe: Recipe, variant: Variant) -> Row:
    began = time.perf_counter()
    with variant.set():
        record = trainer.train(recipe)
    if record.fault is not None:
        return {"problem": record.fault.message}
    last = record.epochs[-1]
    return {
        "epochs": len(record.epochs), "loss": round(last.loss or 0.0, 4),
        "train accuracy": round(last.train_accuracy or 0.0, 4), "test accuracy": round(last.test_accuracy, 4),
        "examples/s": round(record.examples_per_sec or 0), "first step s": round(record.epochs[0].first_step_sec, 2),
        "all s": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _fastest(out: Path, title: str) -> Variant:
    """Return the setting in which a recipe was fastest in `rate`; bf16 and channels_last where that hasn't run."""
    rates = {
        row["setting"]: row["examples/s"]
        for row in _read_rows(out, "rate")
        if row.get("network") == title and isinstance(row.get("examples/s"), int)
    }
    known = [one for one in (*VARIANTS, GRAPHED, COMPILED) if one.name in rates]
    return max(known, key=lambda one: rates[one.name], default=VARIANTS[-1])


# ---------------------------------------------------------------------------------------------- gate


def ask_gates(options: Options) -> Iterator[Row]:
    """Yield what both gates say of networks that are alike, and of one that is slower, in turns: two and one.

    It ends by itself when time is over; the last row says how many there were.
    """
    import gate

    from archcheck.network.devices import choose_device

    device, network = str(choose_device(options.device)), "lenet" if options.rehearse else "large"
    with ExitStack() as stack:
        base, slower = (stack.enter_context(gate.new_project(network, has_history=False)) for _ in range(2))
        stack.enter_context(_started_beforehand(1 if options.rehearse else NUM_STARTED))
        (level,) = gate.calibrate(base.repo, [PLANTED], device, 0.5 if options.rehearse else 3.0)["levels"]
        slower.plant(level["images"])
        saved = gate.ask_gate2(base, None, device)[1]
        alike, planted = (base, 0.0), (slower, float(level["measured"]))
        turns, num_done = [alike, planted] if options.rehearse else [alike, alike, planted] * NUM_ROUNDS, [0, 0]
        for project, percent in while_in_time(turns, options.ends_at - GRACE_SEC):
            first = gate.ask_paired(project, base, device)
            second = gate.ask_gate2(project, saved, device)[0]
            for name, told in (("against a revision", first), ("against a saved run", second)):
                yield {
                    "gate": name, "planted %": round(percent, 2), "verdict": told.verdict or told.trouble,
                    "change %": None if told.ratio is None else round(100 * (told.ratio - 1), 2),
                    "s": round(told.seconds, 1),
                }  # fmt: skip
            num_done[percent > 0] += 1
        yield {
            "gate": "each",
            "verdict": f"asked {num_done[0]} times of equal networks, {num_done[1]} times of the slower",
        }


def while_in_time(
    tasks: Iterable[Task], ends_at: float, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Task]:
    """Yield tasks one after the other, as long as one that takes as long as the longest so far still ends in time."""
    longest_sec = 0.0
    for task in tasks:
        began = clock()
        if began + longest_sec > ends_at:
            return
        yield task
        longest_sec = max(longest_sec, clock() - began)


@contextmanager
def _started_beforehand(number: int) -> Iterator[None]:
    """Have the processes that measure started so many at a time, before any of them is measured.

    Each is as fresh as when it's started alone; starting takes longer than measuring, and the others wait idly.
    """
    from unittest import mock

    from archcheck.throughput.regression.workers import Worker

    waiting: dict[str, list[Worker]] = {}

    @contextmanager
    def started_workers(*requests: Any) -> Iterator[list[Worker]]:
        keys = [replace(one, cpu=None).as_json() for one in requests]
        for key, request in zip(keys, requests, strict=True):
            if len(waiting.setdefault(key, [])) < keys.count(key):
                waiting[key] += _all_ready([Worker(replace(request, cpu=None)) for _ in range(max(number, 2))])
        taken = [waiting[key].pop() for key in keys]
        try:
            yield taken
        finally:
            for worker in taken:
                worker.close()

    try:
        with mock.patch("archcheck.throughput.regression.paired_benchmark.started_workers", started_workers):
            yield
    finally:
        for worker in [one for some in waiting.values() for one in some]:
            worker.close()


def _all_ready(workers: list[Any]) -> list[Any]:
    """Wait until each process has built its network and taken some steps, or has ended."""
    while any(one._answers.qsize() < 2 and one._process.poll() is None for one in workers):
        time.sleep(0.05)
    return workers


# ---------------------------------------------------------------------------------------------- memory


def compare_memory(options: Options) -> Iterator[Row]:
    """Yield what `cost` tells of a step, beside what the allocator held."""
    import torch
    from cost import STEPS, prepared, torchvision_spec

    from archcheck.cost.measure import measure_without_values
    from archcheck.network.devices import choose_device

    device = choose_device(options.device)
    one = torch.ones(8, 8, device=device)
    one @ one  # libraries take their workspace
    for name in MEMORY_NETWORKS.split()[: 1 if options.rehearse else None]:
        for step in STEPS[:: 2 if options.rehearse else 1]:
            size, batch = (64, 2) if options.rehearse else (224, 32)
            make, plan = prepared(torchvision_spec(name, size), {**step, "batch_size": batch})
            how = f"{step.get('mode', 'train')}, {step.get('precision', 'fp32')}"
            told = measure_without_values(make, plan).memory
            yield {
                "network": name,
                "step": how,
                "cost MiB": round(told / 2**20, 1),
                **_guarded(_held, make, plan, device, told),
            }


def _held(make: Any, plan: Any, device: torch.device, told: int) -> Row:
    from archcheck.cost.step import Inference, Training, build
    from archcheck.network.devices import counts_peak_memory, peak_memory_bytes, reset_peak_memory
    from archcheck.network.isolation import isolated_user_code
    from archcheck.throughput.peak_memory import measure_peak_memory_bytes
    from archcheck.throughput.workload import make_batch

    before = 0
    if counts_peak_memory(device):
        reset_peak_memory(device)
        before = peak_memory_bytes(device)
    with isolated_user_code():
        network = build(make, plan, has_values=True)
        kind = Training if plan.speed.mode == "train" else Inference
        inputs = make_batch(plan.inputs).to(device)
        step = kind(network, plan, inputs, None, device=device)
        step.run()
        network.zero_grad()  # as a step does at its start
        held = [*network.parameters(), *network.buffers(), *(step.held() if isinstance(step, Training) else [inputs])]
        measured = measure_peak_memory_bytes(step.run, device, held)
    if measured is None:
        return {"problem": "the device doesn't count"}
    real = measured - before
    return {"held MiB": round(real / 2**20, 1), "cost / held": round(told / real, 3)}


# ---------------------------------------------------------------------------------------------- the steps


STEPS: Final[dict[str, Step]] = {
    "function": Step("function and health on the device, recorded on CPUs", 130, 60, verify_recorded),
    "rate": Step("examples per second of a step", 200, 60, measure_rates),
    "train": Step("the published recipes", 190, 60, train_published),
    "gate": Step("the speed gates", 150, 120, ask_gates),
    "memory": Step("what a step holds, as cost tells it and on the device", 50, 40, compare_memory),
    "tests": Step("the tests that need an accelerator", 50, 60, run_tests),
}


def _guarded(measure: Callable[..., Row], *args: Any) -> Row:
    """Return the figures of a measurement, or in one line what stopped it."""
    try:
        return measure(*args)
    except Exception as error:  # the next one may work
        traceback.print_exc()
        return {"problem": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


def run_step(name: str, options: Options) -> None:
    """Run one step in this process; each row is written when it is known."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as with Ctrl-C, what it started ends, too
    with (options.out / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        for row in STEPS[name].run(options):
            file.write(json.dumps(row) + "\n")
            file.flush()
            _say(json.dumps(row))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended."""

    how: str
    seconds: float


def start_step(name: str, options: Options, limit_sec: float, environment: dict[str, str]) -> Ended:
    """Run one step in a process of its own, for at most so long."""
    command = [sys.executable, str(Path(__file__).resolve()), "--step", name, "--limit", str(limit_sec)]
    command += _as_arguments(options)
    began = time.perf_counter()
    with (options.out / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"\n===== {name}\n")
        log.flush()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait(limit_sec)
            how = "done" if status == 0 else f"ended with status {status}, see log.txt"
        except subprocess.TimeoutExpired:
            how = f"stopped at its limit of {limit_sec:.0f} s"
        finally:
            _end(process)
    return Ended(how, time.perf_counter() - began)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, then killed."""
    for number, patience in ((signal.SIGTERM, GRACE_SEC), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def _as_arguments(options: Options) -> list[str]:
    given = ["--out", str(options.out), "--device", options.device]
    given += ["--data", str(options.data)] if options.data is not None else []
    given += ["--rehearse"] if options.rehearse else []
    return given + (["--rows", *options.rows] if options.rows else [])


# ---------------------------------------------------------------------------------------------- what is written


def _read_rows(out: Path, name: str) -> list[Row]:
    path = out / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def write_results(out: Path, environment: Row, ended: dict[str, Ended]) -> None:
    """Write all that is known by now."""
    parts, data = [_format_environment(environment)], dict[str, Any]()
    for name, how in ended.items():
        rows = _read_rows(out, name)
        parts.append(f"## {name}: {STEPS[name].title}\n\n{how.how}, {how.seconds:.0f} s\n\n{_format_table(rows)}")
        data[name] = {"ended": how.how, "seconds": round(how.seconds, 1), "rows": rows}
    for path, text in (
        ("gpu.md", "\n\n".join(parts)),
        ("gpu.json", json.dumps({**environment, "steps": data}, indent=1)),
    ):
        temporary = out / f".{path}"
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(out / path)


def _ended_before(out: Path, steps: Sequence[str]) -> dict[str, Ended]:
    """Return how other steps ended, whose results lie there from before."""
    if not (out / "gpu.json").exists():
        return {}
    known = json.loads((out / "gpu.json").read_text("utf-8"))["steps"]
    return {name: Ended(one["ended"], one["seconds"]) for name, one in known.items() if name not in steps}


def _format_environment(environment: Row) -> str:
    lines = "\n".join(f"{key}: {value}" for key, value in environment.items())
    return f"# On a real device\n\n```text\n{lines}\n```"


def _format_table(rows: Sequence[Row]) -> str:
    """Format rows as a table in Markdown, with every column that one of them has."""
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if name]
    if not columns:
        return "(nothing)"
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def describe_environment(options: Options) -> Row:
    """Return the device, the driver and the versions."""
    import torch

    from archcheck.network.devices import choose_device, device_name

    device = choose_device(options.device)
    found: Row = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "device": f"{device} ({device_name(device)})",
        "driver": _first_line(["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]),
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "processors": os.cpu_count(),
        "commit": _first_line(["git", "-C", str(ROOT), "rev-parse", "HEAD"]),
        "rehearsal": options.rehearse,
    }
    return {key: value for key, value in found.items() if value is not None}


def _first_line(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else None


# ---------------------------------------------------------------------------------------------- command line


def main(arguments: Sequence[str]) -> int:
    """Run the steps one after the other, or in a process of its own one of them; return the exit status."""
    args = _parser().parse_args(arguments)
    device = "cpu" if args.rehearse else args.device
    options = Options(args.out.resolve(), args.data and args.data.resolve(), device, args.rehearse, tuple(args.rows))
    if args.step is not None:
        run_step(args.step, replace(options, ends_at=time.perf_counter() + args.limit))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name in args.steps:
        (options.out / f"{name}.jsonl").unlink(missing_ok=True)
    environment = _environment_with(args.wheels, options.out)
    command = [sys.executable, "-c", _TELL_ENVIRONMENT, *_as_arguments(options)]
    asked = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, check=False)
    if asked.returncode != 0:
        return 1
    told = json.loads(asked.stdout.splitlines()[-1])
    ended, began = _ended_before(options.out, args.steps), time.perf_counter()
    for name in args.steps:
        left = args.seconds - (time.perf_counter() - began)
        limit = min(args.limit or (STEPS[name].rehearsal_sec if args.rehearse else STEPS[name].seconds), left)
        ended[name] = start_step(name, options, limit, environment) if limit > 0 else Ended("no time was left", 0.0)
        write_results(options.out, told, ended)
        _say(f"{name}: {ended[name].how} ({ended[name].seconds:.0f} s)")
    return 0 if all(one.how == "done" for one in ended.values()) else 1


_TELL_ENVIRONMENT: Final = """
import json, sys
sys.path.insert(0, "benchmarks")
import gpu
args = gpu._parser().parse_args(sys.argv[1:])
options = gpu.Options(args.out, args.data, args.device, args.rehearse, ())
from archcheck.errors import ArchcheckError
try:
    print(json.dumps(gpu.describe_environment(options)))
except ArchcheckError as error:
    sys.exit(str(error))
"""


def _environment_with(wheels: Path | None, out: Path) -> dict[str, str]:
    """Return the environment of the steps: with this repository, and the packages of some wheels, to import from."""
    paths = [str(ROOT)]
    if wheels is not None:
        target = out / ".site"
        files = sorted(map(str, wheels.glob("*.whl")))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--upgrade"]
        subprocess.run([*command, "--target", str(target), *files], check=True)
        paths.append(str(target))
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results are written")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where Fashion-MNIST's four files are")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheels of packages that aren't installed")
    parser.add_argument("--device", default="auto", help="auto, or any that torch knows: cuda, cuda:1")
    parser.add_argument("--steps", type=lambda text: text.split(","), default=list(STEPS), metavar="NAME,...",
                        help=f"only these: {', '.join(STEPS)}")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=800.0, metavar="N", help="for all of it")
    parser.add_argument("--limit", type=float, metavar="N", help="seconds for each step, instead of its own limit")
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="TEXT", help="rate, train: only rows with one of these"
    )
    parser.add_argument("--rehearse", action="store_true", help="a little of everything, on the CPU")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
