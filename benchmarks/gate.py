"""How often the speed gates are wrong: `python benchmarks/gate.py --log runs.jsonl`, see `--help`.

A network is made slower by a known share of its training step, or not at all, and both gates are asked: gate 1, against
a revision, as users run it; gate 2, against the last saved run, by the functions behind it. Beside them stands what
pytest-benchmark's own `--benchmark-compare-fail=median:10%` would have said of the same runs.

The planted work is convolutions in the forward pass: a busy machine slows them as it slows real work. Levels take
turns, run by run, so that a drift hits all alike. Saved runs are the last unplanted one, each run's own medians too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

from structure import describe_machine
from tabulate import tabulate

import archcheck
from archcheck.spec.spec_file import read_spec
from archcheck.throughput.regression.gate import VERDICT_TEXTS
from archcheck.throughput.regression.interval import change_interval, judge
from archcheck.throughput.regression.paired_benchmark import (
    MIN_PROCESSES,
    ReferenceResult,
    run_against_reference,
    run_paired,
)
from archcheck.throughput.regression.workers import MALLOC_SETTINGS, WorkerFailed, WorkerRequest
from archcheck.throughput.session import SpeedSession
from archcheck.training.options import RunOptions

_WORKERS: Final = "archcheck.throughput.regression.workers"
MAX_REGRESSION: Final = 0.075
PEER_LIMIT: Final = 1.10  # the `median:10%` that pytest-benchmark's manual shows
PYTEST_SEC: Final = 1200.0  # after which a run of gate 1 counts as hanging
OF_TORCH: Final = "torchinductor_"  # a cache that importing torch makes in any temporary folder

TURN_SEC: Final = 0.05
CALIBRATION_SEC: Final = 20.0  # for a look at all levels; a tenth of it for a trial
FIRST_TRIAL: Final = 64  # images
LEAST_TRIAL: Final = 10.0  # percent
CORRECTIONS: Final = 3
NEAR: Final = 0.4  # percentage points that nobody corrects
FAR: Final = 2.0  # and those that make every verdict worthless

NETWORKS: Final = {
    "lenet": ("archcheck.zoo.lenet", "lenet_bn", 28, 64),
    "resnet": ("archcheck.zoo.resnet", "resnet18_d2l", 32, 64),
    "large": ("archcheck.zoo.resnet", "resnet18_d2l", 96, 256),  # a step that keeps a GPU busy
}

_NETS: Final = """\
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from {module} import {function}

IMAGES = {images}  # that a forward pass convolves besides
CHUNK = 8


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = {function}(in_channels=1, num_classes=10)
        self.register_buffer("chunk", torch.full((CHUNK, 16, 14, 14), 0.5), persistent=False)
        self.register_buffer("kernel", torch.full((16, 16, 3, 3), 0.1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(x)
        with torch.no_grad():
            for _ in range(IMAGES // CHUNK):
                conv2d(self.chunk, self.kernel, padding=1)
            if IMAGES % CHUNK:
                conv2d(self.chunk[: IMAGES % CHUNK], self.kernel, padding=1)
        return y
"""

_SPEC: Final = """\
name: net
source: written for a benchmark
build: nets:Net
input: [B, 1, {pixels}, {pixels}]
throughput: {{batch_size: {batch_size}, max_regression: {max_regression:.1%}}}
"""

_CALIBRATE: Final = """
import json, sys
from pathlib import Path
from gate import calibrate
print(json.dumps(calibrate(Path(sys.argv[1]), json.loads(sys.argv[2]))))
"""

_NEIGHBOUR: Final = """
import os, torch
torch.set_num_threads(1)
image, kernel = torch.rand(16, 32, 56, 56), torch.rand(32, 32, 3, 3)
matrix, large = torch.rand(512, 512), torch.zeros(32 << 20)
parent = os.getppid()
with torch.no_grad():
    while os.getppid() == parent:
        for _ in range(10):
            torch.nn.functional.conv2d(image, kernel, padding=1)
            matrix @ matrix
        large += 1.0
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one level: a line of the log. Verdicts are `slower`, `not slower`, `can't tell`; None for no verdict.

    planted: the share of a step's time that was added, in percent; planted_measured: when it was calibrated.
    gate1_sec: of all of pytest, figures and start included; gate2_sec: of the comparison alone.
    median_sec, median_then_sec: pytest-benchmark's, of this run and of the last unplanted one.
    """

    time: str
    network: str
    busy: bool
    planted: float
    planted_measured: float
    gate1: str | None
    gate1_ratio: float | None
    gate1_sec: float
    gate2: str | None
    gate2_ratio: float | None
    gate2_sec: float
    gate2_processes: int
    peer: bool | None
    median_sec: float | None
    median_then_sec: float | None
    trouble: str = ""


# ---------------------------------------------------------------------------------------------- the network


@dataclass(frozen=True, slots=True)
class Project:
    """A repository with one network, committed as the tag `base`."""

    folder: Path
    network: str

    @property
    def repo(self) -> Path:
        """Where the network and its spec are."""
        return self.folder / "repo"

    @property
    def spec(self) -> Path:
        """The spec, from the repository."""
        return Path("specs", "net.arch.yaml")

    @property
    def temporary(self) -> Path:
        """Where pytest puts what it should clear away."""
        return self.folder / "tmp"

    def make(self, *, has_history: bool = True) -> None:
        """Write everything, and commit it where there is to be a history."""
        for folder in (self.temporary, self.repo / "specs"):
            folder.mkdir(parents=True)
        self.plant(0)
        _, _, pixels, batch_size = NETWORKS[self.network]
        text = _SPEC.format(pixels=pixels, batch_size=batch_size, max_regression=MAX_REGRESSION)
        (self.repo / self.spec).write_text(text)
        (self.repo / "pytest.ini").write_text("[pytest]\n")
        if not has_history:
            return
        self._git("init", "--quiet")
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "A network")
        self._git("tag", "base")

    def plant(self, images: int) -> None:
        """Have the forward pass do so much more."""
        module, function, *_ = NETWORKS[self.network]
        (self.repo / "nets.py").write_text(_NETS.format(module=module, function=function, images=images))
        shutil.rmtree(self.repo / "__pycache__", ignore_errors=True)  # it knows versions by the second and the size

    def _git(self, *args: str) -> None:
        author = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(self.repo), *author, *args], check=True)


@contextmanager
def new_project(network: str, *, has_history: bool = True) -> Iterator[Project]:
    """A project for as long as it is measured."""
    with tempfile.TemporaryDirectory(prefix="archcheck-gate-", ignore_cleanup_errors=True) as folder:
        project = Project(Path(folder).resolve(), network)
        project.make(has_history=has_history)
        yield project


# ---------------------------------------------------------------------------------------------- the planted work


@dataclass(frozen=True, slots=True)
class Level:
    """A slowdown in percent of the step: as asked for, in images, and as it was then measured."""

    percent: float
    images: int
    measured: float


def calibrate_apart(project: Project, percents: Sequence[float]) -> list[Level]:
    """What to plant for each slowdown, found in a fresh process that runs as the gates' own do."""
    here = str(Path(__file__).resolve().parent)
    environment = {**os.environ, **MALLOC_SETTINGS, "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    command = [sys.executable, "-c", _CALIBRATE, str(project.repo), json.dumps(list(percents))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    listed = ", ".join(f"{one['measured']:.1f} % ({one['images']} images)" for one in found["levels"])
    _say(f"a step takes {found['step_sec'] * 1e3:.2f} ms; planted {listed}")
    levels = [Level(**one) for one in found["levels"]]
    if any(abs(one.measured - one.percent) > FAR for one in levels):
        raise SystemExit("what is planted isn't what was asked for: the machine is too restless to find out; try again")
    return levels


def calibrate(
    repo: Path, percents: Sequence[float], device_name: str = "cpu", seconds: float = CALIBRATION_SEC
) -> dict[str, Any]:
    """The images that make a step slower by so many percent each; in this process, with one thread."""
    import torch

    from archcheck.network.torch_state import seeded
    from archcheck.throughput.plan import resolve_plan
    from archcheck.throughput.speed_measurement import num_timing_threads
    from archcheck.throughput.workload import Workload

    spec_file = read_spec(repo / "specs" / "net.arch.yaml", "specs/net.arch.yaml")
    plan, device = resolve_plan(spec_file.spec, "quick"), torch.device(device_name)
    with seeded(plan.recipe.seed, device, num_timing_threads(device)):
        workload = Workload(spec_file, plan, device, repo)
        step_sec = workload.warm_up()[1]
        nets: Any = sys.modules["nets"]
        number = max(1, round(TURN_SEC / step_sec))

        def turn(images: int) -> float:
            nets.IMAGES = images
            return workload.run(number) / number

        trial, (slowdown,) = FIRST_TRIAL, _slowdowns(turn, [FIRST_TRIAL], seconds / 10)
        while slowdown < LEAST_TRIAL:  # too little to tell how much it is
            trial *= 4
            (slowdown,) = _slowdowns(turn, [trial], seconds / 10)
        images = [round(percent / slowdown * trial) for percent in percents]
        found = _slowdowns(turn, images, seconds)
        for _ in range(CORRECTIONS):
            if all(abs(is_ - ask) < NEAR for ask, is_ in zip(percents, found, strict=True) if ask):
                break
            images = [round(n * ask / is_) if ask else 0 for n, ask, is_ in zip(images, percents, found, strict=True)]
            found = _slowdowns(turn, images, seconds)
    levels = [asdict(Level(*one)) for one in zip(percents, images, found, strict=True)]
    return {"step_sec": step_sec, "levels": levels}


def _slowdowns(turn: Callable[[int], float], images: Sequence[int], seconds: float) -> list[float]:
    """Percent by which each makes a step slower, turn by turn with the step as it is."""
    ratios: list[list[float]] = [[] for _ in images]
    began = time.perf_counter()
    while len(ratios[0]) < 5 or time.perf_counter() - began < seconds:
        for one, found in zip(images, ratios, strict=True):
            before = turn(0)
            between = turn(one) + turn(one)
            found.append(between / (before + turn(0)))
    return [(statistics.median(found) - 1) * 100 for found in ratios]


# ---------------------------------------------------------------------------------------------- gate 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one gate said, and how long it took."""

    verdict: str | None
    ratio: float | None
    seconds: float
    trouble: str = ""


def ask_gate1(project: Project) -> tuple[Outcome, float | None]:
    """The tree as it is against `base`, as users ask; and pytest-benchmark's median of the tree's step."""
    stored, report = project.folder / "out.json", project.folder / "out.xml"
    for file in (stored, report):
        file.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "pytest", "--archcheck", str(project.spec), "-k", "throughput",
        "--archcheck-against", "base", "--benchmark-json", str(stored), "--junitxml", str(report),
        "-o", "junit_family=xunit1", "-q", "-p", "no:cacheprovider",
    ]  # fmt: skip
    began = time.perf_counter()
    status, text = _run_to_its_end(command, project)
    seconds = time.perf_counter() - began
    try:
        verdict, ratio = _read_report(report)
        median = float(json.loads(stored.read_text())["benchmarks"][0]["stats"]["median"])
    except (OSError, LookupError, ValueError, ElementTree.ParseError) as error:
        return Outcome(None, None, seconds, f"pytest ended with {status} ({error!r}): {text[-2000:]}"), None
    is_odd = status != (1 if verdict == "slower" else 0)
    return Outcome(verdict, ratio, seconds, f"pytest ended with {status}: {text[-2000:]}" if is_odd else ""), median


def _run_to_its_end(command: Sequence[str], project: Project) -> tuple[int, str]:
    """Ctrl-C reaches pytest too: it gets the time to clear away."""
    environment = {**os.environ, "TMPDIR": str(project.temporary)}
    with subprocess.Popen(
        command, cwd=project.repo, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            text, _ = process.communicate(timeout=PYTEST_SEC)
        except BaseException as error:
            if not isinstance(error, subprocess.TimeoutExpired):
                with suppress(subprocess.TimeoutExpired):
                    process.send_signal(signal.SIGINT)
                    process.wait(30)
            process.kill()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            text, _ = process.communicate()
    return process.returncode, text


def _read_report(report: Path) -> tuple[str, float]:
    properties = {one.get("name"): one.get("value") for one in ElementTree.parse(report).iter("property")}
    return str(properties["archcheck_verdict"]), 1 / float(str(properties["archcheck_speedup"]))


# ---------------------------------------------------------------------------------------------- gate 2


def request_of(project: Project, device: str) -> WorkerRequest:
    """What a process is asked that times a project's network as it is."""
    speed = SpeedSession(RunOptions(device=device), project.repo)
    spec_file = read_spec(project.repo / project.spec, str(project.spec))
    return speed.request(spec_file, speed.plan(spec_file))


def ask_paired(project: Project, base: Project, device: str) -> Outcome:
    """A project as it is against another one, by the function behind gate 1."""
    began = time.perf_counter()
    try:
        found = run_paired(request_of(project, device), request_of(base, device), 1 + MAX_REGRESSION)
    except WorkerFailed as failed:
        return Outcome(None, None, time.perf_counter() - began, str(failed))
    return Outcome(VERDICT_TEXTS[found.verdict], found.interval.ratio, time.perf_counter() - began)


def ask_gate2(
    project: Project, then: ReferenceResult | None, device: str = "cpu"
) -> tuple[Outcome, ReferenceResult | None]:
    """The tree as it is against a saved run, without verdict where there's none; and what would be saved of it."""
    request = request_of(project, device)
    began, limit = time.perf_counter(), 1 + MAX_REGRESSION
    try:
        if then is None:
            now = run_against_reference(request, None)
        else:
            now = run_against_reference(request, then.reference, then.log_ratios, limit)
    except WorkerFailed as failed:
        return Outcome(None, None, time.perf_counter() - began, str(failed)), None
    seconds = time.perf_counter() - began
    if not now.log_ratios:
        return Outcome(None, None, seconds, now.problem), None
    if then is None:
        return Outcome(None, None, seconds), now
    interval = change_interval(now.log_ratios, then.log_ratios)
    return Outcome(VERDICT_TEXTS[judge(interval, limit)], interval.ratio, seconds), now


# ---------------------------------------------------------------------------------------------- memory


def measure_spread(network: str, number: int) -> str:
    """How far fresh processes that run the same step are apart, with their memory kept and as glibc has it."""
    with new_project(network) as project:
        speed = SpeedSession(RunOptions(device="cpu"), project.repo)
        spec_file = read_spec(project.repo / project.spec, str(project.spec))
        request, found = speed.request(spec_file, speed.plan(spec_file)), dict[str, list[float]]()
        text = run_against_reference(request, None).reference
        for _ in range(math.ceil(number / MIN_PROCESSES)):
            for title, kept in (("kept", MALLOC_SETTINGS), ("as glibc has it", {})):
                with mock.patch(f"{_WORKERS}.MALLOC_SETTINGS", kept):
                    found.setdefault(title, []).extend(run_against_reference(request, text).log_ratios)
    rows = [[title, len(logs), f"{100 * statistics.stdev(logs):.2f}"] for title, logs in found.items()]
    return tabulate(rows, ["memory", "processes", "std % of step / reference"], tablefmt="github")


# ---------------------------------------------------------------------------------------------- starts


def measure_starts(network: str, number: int) -> str:
    """How far two processes that run the same step are apart, and how long a pair takes, forked and started anew."""
    with new_project(network) as project:
        speed = SpeedSession(RunOptions(device="cpu"), project.repo)
        spec_file = read_spec(project.repo / project.spec, str(project.spec))
        request = speed.request(spec_file, speed.plan(spec_file))
        logs, seconds = dict[str, list[float]](), dict[str, float]()
        for _ in range(math.ceil(number / MIN_PROCESSES)):
            for title in ("forks", "new processes"):
                with ExitStack() as stack:
                    if title == "new processes":
                        stack.enter_context(mock.patch(f"{_WORKERS}._fork_server", return_value=None))
                    pairs = run_paired(request, request, limit=1.0, budget_sec=0.0)
                logs.setdefault(title, []).extend(pairs.log_ratios)
                seconds[title] = seconds.get(title, 0.0) + pairs.duration_sec
    rows = [
        [
            title, len(found), f"{100 * statistics.mean(found):+.2f}", f"{100 * statistics.stdev(found):.2f}",
            f"{seconds[title] / len(found):.1f}",
        ]
        for title, found in logs.items()
    ]  # fmt: skip
    columns = ["started as", "pairs", "mean % of one side / the other", "std %", "s a pair"]
    return f"{describe_machine()}\n{tabulate(rows, columns, tablefmt='github')}"


# ---------------------------------------------------------------------------------------------- runs


class Bench:
    """Runs, one after the other, with what the last unplanted one left to compare with."""

    def __init__(self, project: Project, busy: bool) -> None:
        self._project, self._busy = project, busy
        self._saved: ReferenceResult | None = None
        self._median_sec: float | None = None

    def run(self, level: Level) -> Run:
        """Ask both gates and the peer once."""
        self._project.plant(level.images)
        first, median = ask_gate1(self._project)
        leftovers = [one.name for one in self._project.temporary.iterdir() if not one.name.startswith(OF_TORCH)]
        second, now = ask_gate2(self._project, self._saved)
        then = self._median_sec
        if level.images == 0:
            self._saved, self._median_sec = now or self._saved, median or then
        troubles = [first.trouble, second.trouble, f"left behind: {', '.join(leftovers)}" if leftovers else ""]
        return Run(
            time=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", network=self._project.network, busy=self._busy,
            planted=level.percent, planted_measured=level.measured,
            gate1=first.verdict, gate1_ratio=first.ratio, gate1_sec=first.seconds,
            gate2=second.verdict, gate2_ratio=second.ratio, gate2_sec=second.seconds,
            gate2_processes=len(now.log_ratios) if now else 0,
            peer=median > PEER_LIMIT * then if median and then else None, median_sec=median, median_then_sec=then,
            trouble="; ".join(filter(None, troubles)),
        )  # fmt: skip


def measure(
    network: str, percents: Sequence[float], rounds: int, neighbour: str | None, keep: Callable[[Run], None]
) -> None:
    """Run every level once a round, and hand each run over at once."""
    with ExitStack() as stack:
        project = stack.enter_context(new_project(network))
        levels = calibrate_apart(project, percents)
        if neighbour == "ours":
            stack.enter_context(_neighbour())
        bench = Bench(project, neighbour is not None)
        for number in range(1, rounds + 1):
            for level in levels:
                run = bench.run(level)
                keep(run)
                _say(f"{number} of {rounds}: {_describe(run)}")


@contextmanager
def _neighbour() -> Iterator[None]:
    """Something else that the machine is busy with. It ends by itself, too, when its parent is gone."""
    process = subprocess.Popen([sys.executable, "-c", _NEIGHBOUR], start_new_session=True)
    try:
        yield
        if process.poll() is not None:
            raise SystemExit("the neighbour process died: these runs had none beside them")
    finally:
        process.kill()
        process.wait()


def _describe(run: Run) -> str:
    peer = {None: "-", True: "slower", False: "not slower"}[run.peer]
    return (
        f"planted {run.planted:g} %: gate 1 {run.gate1} ({_change(run.gate1_ratio)}, {run.gate1_sec:.1f} s), "
        f"gate 2 {run.gate2} ({_change(run.gate2_ratio)}, {run.gate2_sec:.1f} s), median:10% {peer}"
        + (f"\n  {run.trouble}" if run.trouble else "")
    )


def _change(ratio: float | None) -> str:
    return "-" if ratio is None else f"{(ratio - 1) * 100:+.1f} %"


# ---------------------------------------------------------------------------------------------- tables


GATES: Final = ("gate 1", "gate 2", "median:10%")


@dataclass(frozen=True, slots=True)
class Tally:
    """What one gate said of all runs of one kind. Runs without a verdict aren't in `verdicts`."""

    gate: str
    verdicts: tuple[str, ...]
    num_silent: int
    ratios: tuple[float, ...]
    seconds: tuple[float, ...]

    def share(self, verdict: str) -> float:
        """Percent of the verdicts."""
        return 100 * self.verdicts.count(verdict) / len(self.verdicts)

    def row(self) -> list[str]:
        """Its cells of the table."""
        logs = [math.log(ratio) for ratio in self.ratios]
        return [
            self.gate,
            str(len(self.verdicts)),
            f"{self.share('slower'):.1f}" if self.verdicts else "-",
            f"{self.share(VERDICT_TEXTS['open']):.1f}" if self.verdicts else "-",
            str(self.num_silent),
            f"{math.expm1(statistics.fmean(logs)) * 100:+.2f}" if logs else "-",
            f"{statistics.stdev(logs) * 100:.2f}" if len(logs) > 1 else "-",
            f"{statistics.median(self.seconds):.1f}" if self.seconds else "-",
            f"{max(self.seconds):.1f}" if self.seconds else "-",
        ]


def tally(gate: str, runs: Sequence[Run]) -> Tally:
    """Count one gate's verdicts. A run that found nothing saved was none of gate 2's and none of the peer's."""
    if gate == GATES[0]:
        told = [(one.gate1, one.gate1_ratio, one.gate1_sec) for one in runs]
    elif gate == GATES[1]:
        told = [(one.gate2, one.gate2_ratio, one.gate2_sec) for one in runs if one.gate2 or not one.gate2_processes]
    else:
        known = [one for one in runs if one.peer is not None]
        ratios = [(one.median_sec or math.nan) / (one.median_then_sec or math.nan) for one in known]
        verdicts = tuple("slower" if one.peer else "not slower" for one in known)
        return Tally(gate, verdicts, 0, tuple(ratios), ())
    return Tally(
        gate,
        tuple(verdict for verdict, _, _ in told if verdict),
        sum(verdict is None for verdict, _, _ in told),
        tuple(ratio for _, ratio, _ in told if ratio),
        tuple(seconds for verdict, _, seconds in told if verdict),
    )


def format_report(runs: Sequence[Run]) -> str:
    """The table of all runs, and whether the promised limits hold."""
    rows, promises = list[list[str]](), list[str]()
    for (network, busy, planted), group in sorted(_grouped(runs).items()):
        kind = [network, "busy" if busy else "idle", f"{planted:g}"]
        for gate in GATES:
            told = tally(gate, group)
            rows.append([*kind, *told.row()])
            kept = _promise(told, planted)
            promises += [f"{network}, {kind[1]}, planted {planted:g} %, {gate}: {kept}"] if kept else []
    headers = [
        "network", "machine", "planted %", "gate", "verdicts", "slower %", "can't tell %", "none", "change %", "std %",
        "median s", "max s",
    ]  # fmt: skip
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    about = (
        "change, std: mean and standard deviation of the ratios' logarithms. Seconds: gate 1 all of pytest, with its "
        "start and the figures of its table; gate 2 the comparison alone. none: runs that should have had a verdict."
    )
    troubles = [f"{one.time} {_describe(one)}" for one in runs if one.trouble]
    return "\n".join([table, "", about, "", *(promises or ["no promises at these levels"]), *troubles])


def _grouped(runs: Sequence[Run]) -> Mapping[tuple[str, bool, float], list[Run]]:
    groups: dict[tuple[str, bool, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.network, run.busy, run.planted), []).append(run)
    return groups


def _promise(told: Tally, planted: float) -> str:
    """Whether a gate's alarms are as few or as many as they have to be; empty where nothing is promised."""
    least = {15.0: {"gate 1": 95.0, "gate 2": 90.0}, 30.0: {"gate 1": 100.0, "gate 2": 100.0}}.get(planted, {})
    if not told.verdicts or (planted != 0 and told.gate not in least) or told.gate not in GATES[:2]:
        return ""
    share = told.share("slower")
    due = "at most 1 %" if planted == 0 else f"at least {least[told.gate]:g} %"
    holds = share <= 1 if planted == 0 else share >= least[told.gate]
    return f"{share:.1f} % slower, due {due}: {'holds' if holds else 'BROKEN'}"


# ---------------------------------------------------------------------------------------------- command line


def main() -> None:
    """Measure, or show what was measured."""
    args = _parser().parse_args()
    if args.report is not None:
        print(_shown(_read_log(args.report)))
        return
    if args.memory is not None:
        print(measure_spread(args.network, args.memory))
        return
    if args.starts is not None:
        print(measure_starts(args.network, args.starts))
        return
    if 0 not in args.planted:
        raise SystemExit("--planted must hold 0: planted runs are compared with the last unplanted one")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as with Ctrl-C, processes and folders are cleared away
    runs = list[Run]()

    def keep(run: Run) -> None:
        runs.append(run)
        if args.log is not None:
            with args.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")

    _say(f"archcheck from {Path(archcheck.__file__).parent}")
    interrupted = False
    try:
        neighbour = "ours" if args.busy else "another" if args.busy_already else None
        measure(args.network, args.planted, args.runs, neighbour, keep)
    except KeyboardInterrupt:
        interrupted = True
    if runs:
        print(_shown(_read_log(args.log) if args.log is not None else runs))
    if interrupted:
        raise SystemExit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, metavar="N", help="rounds; in each, every level runs once")
    parser.add_argument(
        "--planted", type=_percents, default=[0.0, 15.0, 30.0], metavar="PERCENT,...", help="default: 0,15,30"
    )
    parser.add_argument("--busy", action="store_true", help="with a neighbour process that computes all the while")
    parser.add_argument(
        "--busy-already", action="store_true", help="the neighbour is there: another copy of this benchmark, say"
    )
    parser.add_argument("--network", choices=NETWORKS, default="lenet")
    parser.add_argument(
        "--memory", type=int, metavar="N", help="only: the spread of N fresh processes, with memory kept and without"
    )
    parser.add_argument(
        "--starts",
        type=int,
        metavar="N",
        help="only: the spread of N pairs of equal processes, forked and started anew",
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="append each run; the table shows all that is there")
    parser.add_argument("--report", type=Path, metavar="FILE", help="measure nothing: the table of such a log")
    return parser


def _percents(text: str) -> list[float]:
    return sorted({float(one) for one in text.split(",")})


def _read_log(log: Path) -> list[Run]:
    return [Run(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]


def _shown(runs: Sequence[Run]) -> str:
    return f"```text\n{describe_machine()}\n```\n\n{format_report(runs)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
