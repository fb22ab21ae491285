"""A network through torch.export: captured with free dimensions, saved, loaded, and run at other sizes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from archcheck.deployment.agreement import difference, outputs_of
from archcheck.deployment.dynamo_state import GuardedLines, quiet_torch, refusal_of
from archcheck.deployment.free_sizes import arguments_at, free_axes, other_sizes
from archcheck.deployment.onnx_file import OnnxFile
from archcheck.deployment.own_networks import own_pair
from archcheck.deployment.records import ExportRecord
from archcheck.errors import NotMeasured
from archcheck.network.exceptions import one_line_with_place
from archcheck.network.signatures import signature_of
from archcheck.network.torch_state import default_torch_settings, seed_generators
from archcheck.spec.models import Spec
from archcheck.structure.meta.module_tree import set_training

_TOLERANCES: Final = {"float64": 1e-10, "float32": 1e-4}  # of the largest number
ONNX_TOLERANCE: Final = 1e-3

Outputs = list[tuple[str, Tensor]]


def measure_export(make: Callable[[], nn.Module], spec: Spec, free: Sequence[str], *, onnx: bool) -> ExportRecord:
    """Export a network in eval mode with some dimensions free, and run what was loaded at all sizes of these.

    In double precision, where the network bears that; ONNX in single precision.

    Raises:
        NotMeasured: the network doesn't run as it is.
        BuildError: it can't be built.
    """
    with default_torch_settings(), quiet_torch(), torch.no_grad():
        case = _Case.of(make, spec, free)
        record = case.exported()
        if onnx and record.refused is None:
            record = _Case(make, spec, free, "float32").with_onnx(record)
        return record


class _Case:
    """A network in one precision, what goes in at the sizes to try, and what comes out."""

    def __init__(self, make: Callable[[], nn.Module], spec: Spec, free: Sequence[str], precision: str) -> None:
        self._spec, self._free, self._precision = spec, free, precision
        self._network, _ = own_pair(make)
        if precision == "float64":
            self._network.double()
        set_training(self._network, False)
        base = spec.bindings()[0]
        self._sizes = [base, *other_sizes(spec, base, free)]
        self._expected = [self._outputs(self._network, sizes) for sizes in self._sizes]

    @classmethod
    def of(cls, make: Callable[[], nn.Module], spec: Spec, free: Sequence[str]) -> _Case:
        """Return the network in double precision, or else in single precision. Raises NotMeasured."""
        try:
            return cls(make, spec, free, "float64")
        except (RuntimeError, TypeError, ValueError, NotImplementedError):  # some code knows float32 only
            try:
                return cls(make, spec, free, "float32")
            except (Exception, SystemExit) as error:
                raise NotMeasured(f"the network doesn't run: {one_line_with_place(error)}") from None

    def _arguments(self, sizes: Mapping[str, int]) -> tuple[list[Any], dict[str, Any]]:
        return arguments_at(self._spec, sizes, precision=self._precision)

    def _outputs(self, call: Callable[..., Any], sizes: Mapping[str, int]) -> Outputs:
        args, kwargs = self._arguments(sizes)
        seed_generators(0)
        return outputs_of(call(*args, **kwargs))

    def _dynamic_shapes(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the free axes in the form of the arguments, by their names in `forward`."""
        leaves = tree_leaves((list(args), dict(kwargs)))
        free = free_axes(self._spec, self._sizes[0], self._free)
        axes = {id(leaf): one for leaf, one in zip(leaves, free, strict=False)}

        def of(leaf: Any) -> dict[int, Any] | None:
            found = axes.get(id(leaf)) if isinstance(leaf, Tensor) else None
            return dict.fromkeys(found, torch.export.Dim.DYNAMIC) if found else None

        bound = signature_of(self._network.forward).bind(*args, **kwargs).arguments
        return {name: tree_map(of, value) for name, value in bound.items()}

    def exported(self) -> ExportRecord:
        """Export, save, load and run."""
        record = ExportRecord(self._precision)
        args, kwargs = self._arguments(self._sizes[0])
        try:
            shapes = self._dynamic_shapes(args, kwargs) if self._free else None
            capture = partial(
                torch.export.export, self._network, tuple(args), kwargs, dynamic_shapes=shapes, strict=False
            )
            program = capture()
        except Exception as error:
            refused = refusal_of(error)
            return record.having(refused=refused if refused.where else replace(refused, where=_guarding_line(capture)))
        try:
            file = io.BytesIO()
            torch.export.save(program, file)
            file.seek(0)
            module = torch.export.load(file).module()
        except Exception as error:
            return record.having(unsaved=refusal_of(error))
        return record.having(differs=self._difference(module, _TOLERANCES[self._precision]))

    def _difference(self, call: Callable[..., Any], tolerance: float) -> str | None:
        """Say what comes out otherwise at the first sizes at which something does."""
        for sizes, expected in zip(self._sizes, self._expected, strict=True):
            shown = ", ".join(f"{name}={size}" for name, size in sizes.items())
            at = f" at {shown}" if shown else ""
            try:
                apart = difference(expected, self._outputs(call, sizes), tolerance)
            except Exception as error:
                return f"it stops{at}: {refusal_of(error)}"
            if apart is not None:
                return apart + at
        return None

    def with_onnx(self, record: ExportRecord) -> ExportRecord:
        """Write an ONNX file, run it, and add what that has shown."""
        args, kwargs = self._arguments(self._sizes[0])
        shapes = self._dynamic_shapes(args, kwargs) if self._free else None
        try:
            with OnnxFile(self._network, args, kwargs, shapes) as file:
                return record.having(onnx_differs=self._difference(file.run, ONNX_TOLERANCE))
        except Exception as error:
            return record.having(onnx_refused=refusal_of(error))


def _guarding_line(capture: Callable[[], Any]) -> str | None:
    """Capture once more, and return the last line that held a size to a number before it stopped."""
    guards = GuardedLines()
    with guards.watching(), contextlib.suppress(Exception):
        capture()
    return guards.lines[-1] if guards.lines else None
