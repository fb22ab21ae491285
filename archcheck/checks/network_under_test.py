"""A spec's network, built and traced once for all the checks of the spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archcheck.deployment.records import DeviceRecord
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Mismatch, build_failure
from archcheck.function.records import FunctionRecord
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.records import FlowRecord, StructureTrace
from archcheck.system.memory import available_bytes

if TYPE_CHECKING:
    from torch import nn

    from archcheck.function.fingerprint.config import FingerprintConfig


@dataclass(slots=True)
class NetworkUnderTest:
    """A network that could be built.

    trace: its structure. flow: sees where what its layers take comes from, anew each time. make: builds it anew, or
    copies the live network that it is (`is_live`). device: where it is run with values, if that computes in double
    precision, else it's the CPU. placed: where a live network is, if not on the CPU.
    """

    trace: StructureTrace
    make: Callable[[], nn.Module]
    flow: Callable[[], FlowRecord | None]
    is_live: bool = False
    device: str = "cpu"
    placed: str = "cpu"
    _devices: DeviceRecord | None = None
    _function: tuple[FingerprintConfig, FunctionRecord] | None = None
    _hints: dict[str | None, str | None] = field(default_factory=dict)

    def require_forward(self) -> None:
        """Raise NotMeasured where the forward stopped when it was traced."""
        if self.trace.died is not None:
            raise NotMeasured(f"the forward stopped at {describe_crash(self.trace.died[1])}")

    def function_of(self, spec_file: SpecFile) -> tuple[FingerprintConfig, FunctionRecord]:
        """Run the network with fixed weights, as its spec says how; once for all the checks that ask.

        Raises:
            BuildError: the network can't be built for real.
            NotMeasured: it can't be filled or run, or the device isn't there.
        """
        from archcheck.function.measure import measure_function
        from archcheck.network.devices import CPU, choose_device, has_float64

        if self._function is None:
            device = choose_device(self.device)
            device = device if has_float64(device) else CPU
            self._function = measure_function(spec_file, self.make, self.trace, device, is_live=self.is_live)
        return self._function

    def device_of(self, spec_file: SpecFile) -> DeviceRecord:
        """Run the network as on a GPU; once for all that ask. A network that stops on any device isn't looked at.

        Raises:
            BuildError: the network can't be built for real.
        """
        from archcheck.deployment.device_probe import probe_device

        if self._devices is None:
            reason = self._unmoved()
            if reason is not None:
                self._devices = DeviceRecord(unseen=(reason,) if reason else ())
            else:
                self._devices = probe_device(self.make, spec_file.spec, needs_values=self.trace.device != "meta")
        return self._devices

    def _unmoved(self) -> str | None:
        """Return why the network can't be run as on a GPU; "" where its trace says enough, None where it can."""
        if self.trace.died is not None or self.trace.uninitialized:
            return ""
        if self.placed != "cpu":
            return f"a live network on {self.placed} isn't moved to another device to see whether it runs there"
        num_bytes, free = 4 * self.trace.root.num_params, available_bytes()
        if free is not None and num_bytes > free:
            return f"not known on another device: {num_bytes / 2**30:.0f} GiB of parameters"
        return None

    def domain_hint(self, spec_file: SpecFile, error: str | None) -> str | None:
        """Say with what values the network runs, where it raised `error` (or isn't finite) with those it was given."""
        from archcheck.function.measure import domain_hint

        if error not in self._hints:
            config = None if self._function is None else self._function[0]
            self._hints[error] = domain_hint(spec_file.spec, self.make, error, config)
        return self._hints[error]

    def with_domain_hint(self, spec_file: SpecFile, mismatches: Sequence[Mismatch]) -> tuple[Mismatch, ...]:
        """Add to the first mismatch of a forward that stopped with what values it would not have."""
        died = self.trace.died
        if not mismatches or died is None or self.trace.device == "meta":
            return tuple(mismatches)
        hint = self.domain_hint(spec_file, died[1].error)
        if hint is None:
            return tuple(mismatches)
        first, *rest = mismatches
        return (replace(first, notes=(*first.notes, ("values", hint))), *rest)


def build_and_trace(
    spec_file: SpecFile, rootdir: Path | None = None, model: nn.Module | None = None, device: str = "cpu"
) -> NetworkUnderTest | Mismatch:
    """Build the spec's network (or take `model`) and trace it at every size; the mismatch says why it can't be built.

    `rootdir` is put on `sys.path`.
    """
    from archcheck.function.measure import network_factory
    from archcheck.structure.flow import trace_flow, trace_model_flow
    from archcheck.structure.meta.module_tree import parameters_of
    from archcheck.structure.trace import trace_model, trace_structure

    spec = spec_file.spec
    inputs, one_example = spec.forward_inputs(), spec.one_example()
    try:
        make = network_factory(spec_file, rootdir, model)
        if model is not None:
            placed = next((str(one.device) for one in parameters_of(model) if one.device.type != "cpu"), "cpu")
            trace = trace_model(model, inputs, one_example)
            flow = partial(trace_model_flow, model, inputs, trace)
            return NetworkUnderTest(trace, make, flow, is_live=True, device=device, placed=placed)
        trace = trace_structure(make, inputs, one_example)
        return NetworkUnderTest(trace, make, partial(trace_flow, make, inputs, trace), device=device)
    except BuildError as error:
        return build_failure(spec.args, ("args",), error)
