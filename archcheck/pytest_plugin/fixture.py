"""The object that the `archcheck` fixture hands to a test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archcheck.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

    from archcheck.layer_summary import Summary
    from archcheck.verification import Verification


class Archcheck:
    """`verify` and `summary` with paths that don't depend on where pytest was started."""

    def __init__(self, folder: Path, rootdir: Path) -> None:
        self._folder = folder
        self._rootdir = rootdir

    def verify(self, spec: str | os.PathLike[str], model: nn.Module | None = None) -> Verification:
        """Call `archcheck.verify`; a relative path counts from the test's folder, or else from pytest's rootdir."""
        from archcheck.spec.spec_file import read_spec
        from archcheck.verification import verify_spec

        __tracebackhide__ = True
        beside = self._folder / spec
        path = beside if beside.exists() else self._rootdir / spec
        try:
            spec_file = read_spec(path, os.path.relpath(path), self._rootdir)
        except SpecError as error:
            raise SpecError(error.problems) from None  # without the frames of the parser
        return verify_spec(spec_file, self._rootdir, model)

    def summary(self, model: nn.Module, input: Any, **options: Any) -> Summary:  # noqa: A002 - as in archcheck.summary
        """Call `archcheck.summary`."""
        from archcheck.layer_summary import summary

        return summary(model, input, **options)
