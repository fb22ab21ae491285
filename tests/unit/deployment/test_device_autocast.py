"""Autocast on meta is off while a network runs as on a GPU, and torch is as before after it."""

from __future__ import annotations

import pytest
import torch

from archcheck.deployment.device_autocast import autocast_on_meta


def test_autocast_on_meta_is_off() -> None:
    with autocast_on_meta(), torch.autocast("meta", torch.bfloat16):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32


def test_autocast_on_the_cpu_is_what_it_was() -> None:
    with autocast_on_meta(), torch.autocast("cpu", torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16


def test_meta_has_no_autocast_after_it_even_where_a_network_raises() -> None:
    with pytest.raises(ValueError, match="mine"), autocast_on_meta():
        raise ValueError("mine")
    assert not torch.amp.is_autocast_available("meta")
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'meta'"):
        torch.autocast("meta", torch.bfloat16)
