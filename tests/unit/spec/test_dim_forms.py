"""The forms that a dimension may have: each yields the texts that may give what was seen."""

from __future__ import annotations

import pytest

from archcheck.spec.dim_forms import FORMS, PROPORTIONAL, SIMPLE, TOKENS, of_two, products


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ((224, 96), (224, 96), "H"),
        ((224, 96), (56, 24), "H/4"),
        ((12, 7), (24, 14), "H*2"),
        ((33, 97), (17, 49), "ceil(H/2)"),
        ((33, 97), (16, 48), "H//2"),
        ((224, 96), (168, 72), "H*3/4"),
        ((28, 12), (26, 10), "H-2"),
        ((28, 12), (5, 1), "H/4-2"),
        ((33, 97), (6, 22), "H//4-2"),
        ((33, 97), (27, 75), "3*ceil(H/4)"),
        ((64, 96), (50, 82), "H-14"),
    ],
)
def test_one_of_the_forms_fits(column: tuple[int, ...], values: tuple[int, ...], text: str) -> None:
    assert text in [found for form in FORMS for found in form("H", column, values)]


def test_multiples_come_first_and_lines_after_shifts() -> None:
    assert [list(form("H", (224, 96), (56, 24))) for form in FORMS[:PROPORTIONAL]] == [["H/4"]]
    assert list(FORMS[SIMPLE - 1]("H", (28, 12), (24, 8))) == ["H-4"]
    assert list(FORMS[SIMPLE]("H", (28, 12), (5, 1))) == ["H/4-2"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((197, 37), "H/16*W/16+1"),  # 14 * 14 and 6 * 6 patches of 16 pixels, and a class token
        ((196, 36), "H/16*W/16"),
        ((50_176, 9_216), "H*W"),
    ],
)
def test_patches_are_products_of_two_names(values: tuple[int, ...], text: str) -> None:
    columns = (("H", (224, 96)), ("W", (224, 96)))
    assert text in list(products(values, columns, (0, *TOKENS), square=True))


def test_two_sequences_are_a_sum() -> None:
    assert next(of_two((21, 17), (("T", (12, 7)), ("S", (9, 10))))) == "T+S"


def test_patches_that_do_not_divide_the_sizes_are_rounded() -> None:
    columns = (("H", (225, 99)), ("W", (97, 161)))  # 15 * 7 and 7 * 11 patches of 16, the last ones incomplete
    assert "ceil(H/16)*ceil(W/16)" in list(of_two((105, 77), columns))
