"""Seeds derived from others."""

from __future__ import annotations

from archcheck.data.seeds import derive_seed


def test_a_seed_is_that_of_its_parts_and_purpose() -> None:
    seeds = [derive_seed(0, 0, "order"), derive_seed(0, 1, "order"), derive_seed(1, 0, "order"), derive_seed(0, 0, "x")]
    assert len(set(seeds)) == 4
    assert seeds[0] == derive_seed(0, 0, "order")
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_parts_are_kept_apart() -> None:
    assert derive_seed(1, 11) != derive_seed(11, 1)
