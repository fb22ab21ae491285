"""Shape patterns: parsing, evaluating, inferring."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcheck.errors import DimError
from archcheck.spec.dim_inference import infer_shape
from archcheck.spec.dims import format_shape, parse_dim, parse_shape

SIZES = {"B": 2, "H": 30, "W": 8}


# ---------------------------------------------------------------------------------------------- evaluating


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (64, 64),
        (0, 0),
        ("64", 64),
        ("74_112", 74112),
        ("H", 30),
        ("H/2", 15),
        ("H / 2", 15),
        ("H/4*W/4", 15),
        ("(H/4)*(W/4)", 15),
        ("H/4*2", 15),
        ("H//4", 7),
        ("ceil(H/4)", 8),
        ("ceil(H//4)", 7),
        ("(H-1)//2", 14),
        ("(H+2)/W", 4),
        ("H-2-3", 25),
        ("H/2/3", 5),
        ("H-2*W", 14),
        ("-W+H", 22),
        ("H--W", 38),
        ("B*(H*W+1)", 482),
        ("ceil(-B/W)+1", 1),
    ],
)
def test_a_dimension_is_exact_arithmetic(text: int | str, expected: int) -> None:
    assert parse_dim(text).evaluate(SIZES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H/4", "H/4 is not a whole number at H=30"),
        ("W / H", "W/H is not a whole number at W=8, H=30"),
        ("3/2", "3/2 is not a whole number"),
        ("H-40", "H-40 is -10 at H=30: expected at least 1"),
        ("H//W-3", "H//W-3 is 0 at H=30, W=8: expected at least 1"),
        ("K*2", "unknown dimension K (known: B, H, W)"),
        ("H/(W-8)", "H/(W-8) divides by zero at H=30, W=8"),
        ("H//0", "H//0 divides by zero at H=30"),
        ("H*9223372036854775807", "H*9223372036854775807 is more than any tensor's size at H=30"),
        ("-H*9223372036854775807", "-H*9223372036854775807 is far below zero at H=30: expected at least 1"),
    ],
)
def test_a_dimension_without_a_value_says_why(text: str, message: str) -> None:
    with pytest.raises(DimError, match=f"^{re.escape(message)}$"):
        parse_dim(text).evaluate(SIZES)


def test_an_unknown_dimension_where_none_is_known() -> None:
    with pytest.raises(DimError, match=r"^unknown dimension K \(known: none\)$"):
        parse_dim("K").evaluate({})


def test_names_are_those_used() -> None:
    assert parse_dim("ceil(H/4)*B+H").names == {"B", "H"}
    assert parse_dim(64).names == set()


# ---------------------------------------------------------------------------------------------- parsing

OPERAND = "expected a whole number, a name, ceil(...) or parentheses"
TOKENS = "expected whole numbers, names, + - * / //, ceil() and parentheses"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H/", f"'H/': {OPERAND}, found the end"),
        ("", f"'': {OPERAND}, found the end"),
        ("*H", f"'*H': {OPERAND}, found '*'"),
        ("H**2", f"'H**2': {OPERAND}, found '*'"),
        ("()", f"'()': {OPERAND}, found ')'"),
        ("(H", "'(H': expected an operator or ), found the end"),
        ("H)", "'H)': expected an operator or the end, found ')'"),
        ("H 4", "'H 4': expected an operator or the end, found '4'"),
        ("a\nb", r"'a\nb': expected an operator or the end, found 'b'"),
        ("1.5", f"'1.5': {TOKENS}, found '1.5'"),
        ("7x", f"'7x': {TOKENS}, found '7x'"),
        ("1__0", f"'1__0': {TOKENS}, found '1__0'"),
        ("H%4", f"'H%4': {TOKENS}, found '%'"),
        ("²", f"'²': {TOKENS}, found '²'"),
        ("ceil H", "'ceil H': expected ( after ceil, found 'H'"),
        ("floor(H/2)", "'floor(H/2)': expected ceil as the only function, found 'floor'"),
        ("H.__class__", f"'H.__class__': {TOKENS}, found '.__class__'"),
        ("(" * 30 + "H", f"'{'(' * 30}H': nested too deeply: more than 20 levels"),
        ("-" * 30 + "H", f"'{'-' * 30}H': nested too deeply: more than 20 levels"),
        ("(" * 100_000, f"'{'(' * 59}…': expected at most 200 characters, found 100,000"),
        ("9" * 30, f"'{'9' * 30}': '{'9' * 30}' is more than any tensor's size"),
        (-1, "'-1': expected 0 or more"),
        (2**63, "a whole number that is more than any tensor's size"),
        (True, "expected a whole number or arithmetic on dimension names, found 'True'"),
        (1.0, "expected a whole number or arithmetic on dimension names, found '1.0'"),
        (None, "expected a whole number or arithmetic on dimension names, found 'None'"),
    ],
)
def test_what_is_no_dimension_says_what_was_expected(text: Any, message: str) -> None:
    with pytest.raises(DimError, match=f"^{re.escape(message)}$"):
        parse_dim(text)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_too_long_to_print_is_refused(sign: int) -> None:
    with pytest.raises(DimError, match=r"^(a whole number that is more than any tensor's size|expected 0 or more)$"):
        parse_dim(sign * 10**5000)


@given(st.text() | st.text("HWB0123456789_+-*/() ceil", max_size=30))
def test_any_text_is_a_dimension_or_a_dim_error(text: str) -> None:
    try:
        dim = parse_dim(text)
        value = dim.evaluate({"H": 30, "W": 8, "B": 2})
    except DimError as error:
        message = str(error)
        assert message.isprintable()
    else:
        assert value >= 0


# An expression, and what it is worth by Python's own fractions; None where it divides by zero.
Worth = tuple[str, Callable[[Mapping[str, int]], Fraction]]


def combined(operands: tuple[Worth, str, Worth]) -> Worth:
    (left, left_value), operator, (right, right_value) = operands
    apply: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "//": lambda a, b: Fraction(a // b),
    }
    return f"({left}) {operator} ({right})", lambda sizes: apply[operator](left_value(sizes), right_value(sizes))


def rounded_up(operand: Worth) -> Worth:
    text, value = operand
    return f"ceil({text})", lambda sizes: Fraction(math.ceil(value(sizes)))


def named(name: str) -> Worth:
    return name, lambda sizes: Fraction(sizes[name])


def whole(number: int) -> Worth:
    return str(number), lambda sizes: Fraction(number)


expressions: st.SearchStrategy[Worth] = st.recursive(
    st.sampled_from(["B", "H", "W"]).map(named) | st.integers(0, 40).map(whole),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//"]), inner).map(combined) | inner.map(rounded_up)
    ),
    max_leaves=6,
)
sizes_of_all = st.fixed_dictionaries({name: st.integers(1, 300) for name in "BHW"})


@given(expressions, sizes_of_all)
def test_evaluation_agrees_with_fractions(expression: Worth, sizes: dict[str, int]) -> None:
    text, worth = expression
    try:
        expected: Fraction | None = worth(sizes)
    except ZeroDivisionError:
        expected = None
    if expected is not None and expected.denominator == 1 and (expected >= 1 or text == "0"):
        assert parse_dim(text).evaluate(sizes) == expected
    else:
        with pytest.raises(DimError, match=r"divides by zero|is not a whole number|expected at least 1"):
            parse_dim(text).evaluate(sizes)


@given(expressions)
def test_what_is_formatted_parses_to_the_same(expression: Worth) -> None:
    dim = parse_dim(expression[0])
    assert parse_dim(str(dim)) == dim
    assert parse_dim(str(dim)).names == dim.names


def test_format_shape() -> None:
    assert format_shape(parse_shape(["B", 64, "H / 4", "ceil( W/4 )"])) == "[B, 64, H/4, ceil(W/4)]"
    assert format_shape(["B", 64]) == "[B, 64]"
    assert format_shape(()) == "[]"


# ---------------------------------------------------------------------------------------------- inferring

Shape = tuple[int, ...]
ZIPPED = [{"B": batch, "H": size, "W": size} for batch, size in product((2, 3), (224, 96))]
APART = [{"B": batch, "H": h, "W": w} for batch, (h, w) in product((2, 3), ((224, 160), (96, 224)))]
ODD = [{"B": batch, "H": h, "W": w} for batch, (h, w) in product((2, 3), ((225, 97), (99, 161), (131, 33)))]


def conv(kernel: int, stride: int, padding: int) -> Callable[[int], int]:
    return lambda size: (size + 2 * padding - kernel) // stride + 1


def alexnet(size: int) -> int:
    return conv(3, 2, 0)(conv(11, 4, 1)(size))


IMAGES: dict[str, tuple[Callable[[int, int, int], Shape], list[int | str]]] = {
    "image": (lambda b, h, w: (b, 3, h, w), ["B", 3, "H", "W"]),
    "resnet": (lambda b, h, w: (b, 64, h // 4, w // 4), ["B", 64, "H/4", "W/4"]),
    "channels last": (lambda b, h, w: (b, h // 4, w // 4, 96), ["B", "H/4", "W/4", 96]),
    "vit": (lambda b, h, w: (b, h // 16 * (w // 16) + 1, 192), ["B", "H/16*W/16+1", 192]),
    "patches": (lambda b, h, w: (b, 192, h // 16 * (w // 16)), ["B", 192, "H/16*W/16"]),
    "windows": (lambda b, h, w: (b * (h // 16) * (w // 16), 49, 96), ["B*H/16*W/16", 49, 96]),
    "attention": (lambda b, h, w: (b * 12, h * w // 16, h * w // 16), ["B*12", "H/4*W/4", "H/4*W/4"]),
    "flatten": (lambda b, h, w: (b, 3 * (h // 4) * (w // 4)), ["B", "3*H/4*W/4"]),
    "unpadded": (lambda b, h, w: (b, 1, h - 2, w - 2), ["B", 1, "H-2", "W-2"]),
    "lenet": (lambda b, h, w: (b, 16, (h // 2 - 4) // 2, (w // 2 - 4) // 2), ["B", 16, "H/4-2", "W/4-2"]),
    "upsampled": (lambda b, h, w: (b, 3, h * 2, w * 2), ["B", 3, "H*2", "W*2"]),
    "logits": (lambda b, h, w: (b, 6400), ["B", 6400]),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("sizes", [ZIPPED, APART], ids=["zipped", "apart"])
def test_infer_layers_of_image_networks(name: str, sizes: list[dict[str, int]]) -> None:
    shape, expected = IMAGES[name]
    assert infer_shape([shape(*binding.values()) for binding in sizes], sizes, ["H", "W"]) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (lambda b, h, w: (b, conv(3, 2, 1)(h), conv(3, 2, 1)(w)), ["B", "ceil(H/2)", "ceil(W/2)"]),
        (lambda b, h, w: (b, h // 2, w // 2), ["B", "H//2", "W//2"]),
        (lambda b, h, w: (b, (h - 1) // 2 - 3), ["B", "(H-7)/2"]),
        (lambda b, h, w: (b, -(-h // 4) * -(-w // 4), 96), ["B", "ceil(H/4)*ceil(W/4)", 96]),
        (lambda b, h, w: (b, 5 * (h // 4) * (w // 4) + 1), ["B", "5*(H//4)*(W//4)+1"]),
    ],
)
def test_infer_at_odd_sizes(shape: Callable[..., Shape], expected: list[int | str]) -> None:
    inferred = infer_shape([shape(*binding.values()) for binding in ODD], ODD, ["H", "W"])
    assert inferred == expected


def test_a_stack_of_strided_layers_is_one_rounding() -> None:
    sizes = [{"B": 2, "H": size} for size in range(63, 80)]
    assert infer_shape([(2, alexnet(binding["H"])) for binding in sizes], sizes) == [2, "(H-9)//8"]


SEQUENCES = [{"B": batch, "T": t, "S": s} for batch, (t, s) in product((2, 3), ((12, 9), (7, 10)))]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (lambda b, t, s: (b, t, 64), ["B", "T", 64]),
        (lambda b, t, s: (t, b, 64), ["T", "B", 64]),
        (lambda b, t, s: (b, 8, t, s), ["B", 8, "T", "S"]),
        (lambda b, t, s: (b * 8, t, t), ["B*8", "T", "T"]),
        (lambda b, t, s: (b, t + 1, 64), ["B", "T+1", 64]),
        (lambda b, t, s: (b, t + s, 64), ["B", "T+S", 64]),
        (lambda b, t, s: (b * t, 64), ["B*T", 64]),
        (lambda b, t, s: (b * (t - 1), 64), ["B*(T-1)", 64]),
        (lambda b, t, s: (b, t * t), ["B", "T*T"]),
        (lambda b, t, s: (2, 64), [2, 64]),
        (lambda b, t, s: (), []),
    ],
)
def test_infer_layers_of_sequence_networks(shape: Callable[..., Shape], expected: list[int | str]) -> None:
    assert infer_shape([shape(*binding.values()) for binding in SEQUENCES], SEQUENCES, ["T", "S"]) == expected


def test_names_of_the_same_sizes_go_by_their_place() -> None:
    assert infer_shape([(2, 8, 56), (3, 8, 24)], [ZIPPED[0], ZIPPED[3]], ["H", "W"]) == ["B", 8, "W/4"]
    assert infer_shape([(2, 56, 8), (3, 24, 8)], [ZIPPED[0], ZIPPED[3]], ["H", "W"]) == ["B", "H/4", 8]


def test_a_dimension_that_never_varies_is_its_size() -> None:
    assert infer_shape([(2, 56, 10_000)], [{"B": 2, "H": 224}]) == [2, 56, 10_000]


def test_no_pattern_fits() -> None:
    assert infer_shape([(2, 5), (3, 1), (4, 9)], [{"B": 2}, {"B": 3}, {"B": 4}]) is None
    assert infer_shape([(5,), (7,)], [{"B": 2}, {"B": 2}]) is None
    assert infer_shape([(2, 5), (3,)], [{"B": 2}, {"B": 3}]) is None
    assert infer_shape([], []) is None


@given(st.lists(st.tuples(sizes_of_all, st.lists(st.integers(0, 400), min_size=2, max_size=2)), min_size=1, max_size=5))
def test_what_is_inferred_gives_what_was_seen(seen: list[tuple[dict[str, int], list[int]]]) -> None:
    sizes, shapes = [binding for binding, _ in seen], [tuple(shape) for _, shape in seen]
    inferred = infer_shape(shapes, sizes, ["H", "W"])
    if inferred is not None:
        pattern = parse_shape(inferred)
        assert [tuple(dim.evaluate(binding) for dim in pattern) for binding in sizes] == shapes


@given(
    st.lists(sizes_of_all, min_size=2, max_size=6, unique_by=str), st.sampled_from([1, 2, 4, 7, 16]), st.integers(-1, 3)
)
def test_strided_layers_are_always_inferred(sizes: list[dict[str, int]], stride: int, shift: int) -> None:
    shapes = [(binding["B"], max(1, binding["H"] // stride + shift)) for binding in sizes]
    if all(binding["H"] // stride + shift >= 1 for binding in sizes):
        assert infer_shape(shapes, sizes, ["H", "W"]) is not None


# The sizes that a command line was given: two of each name, at which much fits by chance. B is tried at 2 and 3.
def at(*images: tuple[int, int], batches: tuple[int, ...] = (2, 3)) -> list[dict[str, int]]:
    return [{"B": batch, "H": h, "W": w} for h, w in images for batch in batches]


FEW = at((33, 33), (97, 65))
PYRAMID = at((97, 65), (161, 129))
MIXED = at((96, 65), (161, 128))
EVEN = at((64, 32), (96, 64))
MANY = at((64, 81), (97, 130), (171, 68), (202, 99))


def seen(shape: Callable[[int, int, int], Shape], sizes: list[dict[str, int]]) -> list[int | str] | None:
    return infer_shape([shape(*binding.values()) for binding in sizes], sizes, ["H", "W"])


def image(*layers: Callable[[int], int]) -> Callable[[int, int, int], Shape]:
    """The shape of 16 channels after these layers, the same in both directions."""

    def shape(b: int, h: int, w: int) -> Shape:
        for layer in layers:
            h, w = layer(h), layer(w)
        return b, 16, h, w

    return shape


# By hand: out = (H + 2p - k) // s + 1 = (H + 2p - k + s) // s, and floors of floors are one floor.
@pytest.mark.parametrize(
    ("layers", "sizes", "height"),
    [
        ([conv(3, 2, 1)], FEW, "ceil({}/2)"),  # 33, 97 -> 17, 49; W = 33, 65: not W-16
        ([conv(3, 2, 1), conv(3, 2, 1)], FEW, "ceil({}/4)"),  # -> 9, 25
        ([conv(2, 2, 0)], FEW, "{}//2"),  # -> 16, 48
        ([conv(3, 1, 0), conv(3, 1, 0)], FEW, "{}-4"),
        ([conv(4, 1, 2)], FEW, "{}+1"),
        ([conv(15, 1, 0)], FEW, "{}-14"),  # one large kernel
        ([conv(3, 2, 0), conv(3, 2, 0)], FEW, "{}//4-1"),  # (H-3)//4: 33, 97 -> 7, 23
        ([conv(3, 2, 0)], MIXED, "({}-1)//2"),  # 96, 161 -> 47, 80
        ([conv(3, 3, 1)], MIXED, "ceil({}/3)"),
        ([conv(7, 2, 3), conv(2, 2, 0), conv(3, 1, 0)], MANY, "({}-7)//4"),  # ((H+1)//2)//2 - 2 = (H-7)//4
        ([conv(3, 2, 1), conv(3, 2, 1), lambda size: 3 * size], PYRAMID, "3*ceil({}/4)"),  # 97 -> 49 -> 25 -> 75
        ([conv(2, 2, 0), conv(2, 2, 0), lambda size: 3 * size], PYRAMID, "3*({}//4)"),  # 97 -> 48 -> 24 -> 72
        ([conv(3, 2, 1), lambda size: 2 * size], MIXED, "2*ceil({}/2)"),  # 161 -> 81 -> 162
        ([conv(3, 2, 1), conv(3, 2, 1), lambda size: 2 * size - 1], MANY, "2*ceil({}/4)-1"),  # a transposed conv
        ([conv(2, 2, 0), conv(2, 2, 0), lambda size: 3 * size], EVEN, "{}*3/4"),
        ([lambda size: 2 * size + 1], MIXED, "{}*2+1"),  # a transposed conv, kernel 3, stride 2
    ],
)
def test_a_layer_is_told_by_the_name_in_its_place(
    layers: list[Callable[[int], int]], sizes: list[dict[str, int]], height: str
) -> None:
    expected = ["B", 16, height.format("H"), height.format("W")]
    assert seen(image(*layers), sizes) == expected
    assert seen(lambda b, h, w: image(*layers)(b, w, h), sizes) != expected  # as the names are apart


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [
        (lambda b, h, w: (b, conv(3, 2, 1)(h), conv(3, 2, 1)(w), 16), FEW, ["B", "ceil(H/2)", "ceil(W/2)", 16]),
        (lambda b, h, w: (b, 8, w, h), FEW, ["B", 8, "W", "H"]),
        (lambda b, h, w: (b, 8, h, 5), FEW, ["B", 8, "H", 5]),
        (lambda b, h, w: (b, h // 14 * (w // 14) + 5, 8), at((224, 224), (518, 448)), ["B", "H/14*W/14+5", 8]),
        (lambda b, h, w: (b, 12, h // 16 * (w // 16), 8), EVEN, ["B", 12, "H/16*W/16", 8]),
        (lambda b, h, w: (b, -(-h // 16) * -(-w // 16) + 5, 8), PYRAMID, ["B", "ceil(H/16)*ceil(W/16)+5", 8]),
        (lambda b, h, w: (b * (h // 16) * (w // 16), 7, 7, 8), PYRAMID, ["B*((H//16)*(W//16))", 7, 7, 8]),
        (lambda b, h, w: (b * h, 8, w), FEW, ["B*H", 8, "W"]),
    ],
)
def test_layouts_and_tokens(
    shape: Callable[[int, int, int], Shape], sizes: list[dict[str, int]], expected: list[int | str]
) -> None:
    assert seen(shape, sizes) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (lambda b, h: b, "B"),
        (lambda b, h: b * 12, "B*12"),
        (lambda b, h: b // 2, "B/2"),
        (lambda b, h: b * (h - 2), "B*(H-2)"),
        (lambda b, h: b * 4 * -(-h // 2), "B*4*ceil(H/2)"),
        (lambda b, h: 9, 9),
    ],
)
def test_the_batch_is_multiplied(rows: Callable[[int, int], int], expected: int | str) -> None:
    sizes = at((96, 65), (161, 128), batches=(2, 4))
    assert seen(lambda b, h, w: (rows(b, h), 7, 7, 7), sizes) == [expected, 7, 7, 7]


@pytest.mark.parametrize(
    "rows", [lambda b, h: b + 5, lambda b, h: b - 1, lambda b, h: b * 3 - 4, lambda b, h: h + b, lambda b, h: b * h + 1]
)
@pytest.mark.parametrize("position", range(4))
def test_what_depends_on_the_batch_otherwise_depends_on_the_data(
    rows: Callable[[int, int], int], position: int
) -> None:
    shapes = [[7, 7, 7, 7] for _ in FEW]
    for shape, binding in zip(shapes, FEW, strict=True):
        shape[position] = rows(binding["B"], binding["H"])
    assert infer_shape([tuple(shape) for shape in shapes], FEW, ["H", "W"]) is None


@pytest.mark.parametrize(
    "height", [lambda h: h - 21, lambda h: h + 40, lambda h: h * 5 // 7 + 30, lambda h: 2 * h - 30]
)
def test_two_sizes_prove_nothing_exotic(height: Callable[[int], int]) -> None:
    assert seen(lambda b, h, w: (b, 16, height(h), 4), FEW) is None


def test_more_sizes_prove_more() -> None:
    assert seen(lambda b, h, w: (b, 16, h - 21, w + 40), MANY) == ["B", 16, "H-21", "W+40"]


# The widths are primes out of the heights' reach, so that neither can stand in for the other.
heights = st.lists(st.integers(32, 300), min_size=2, max_size=3, unique=True)
layers_of = st.lists(st.builds(conv, st.integers(1, 7), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=4)


@given(layers_of, heights)
def test_any_chain_is_told_by_its_own_name(layers: list[Callable[[int], int]], sizes: list[int]) -> None:
    bindings = at(*zip(sizes, (1009, 1301, 2011), strict=False))
    shapes = [image(*layers)(*binding.values()) for binding in bindings]
    assume(all(min(shape) > 0 for shape in shapes))
    inferred = infer_shape(shapes, bindings, ["H", "W"])
    if inferred is not None:
        pattern = parse_shape(inferred)
        assert [tuple(dim.evaluate(binding) for dim in pattern) for binding in bindings] == shapes
        assert [dim.names for dim in pattern[:2]] == [{"B"}, set()]
        assert pattern[2].names <= {"H"}
        assert pattern[3].names <= {"W"}


halvings = st.sampled_from([conv(3, 1, 1), conv(1, 1, 0), conv(3, 2, 1), conv(2, 2, 0), conv(7, 2, 3), conv(4, 4, 0)])


@given(
    st.lists(halvings, min_size=1, max_size=3),
    st.lists(st.integers(1, 6), min_size=2, max_size=4, unique=True),
    st.integers(1, 40),
)
def test_chains_that_divide_the_sizes_hold_at_any_such_size(
    layers: list[Callable[[int], int]], multiples: list[int], unseen: int
) -> None:
    bindings = at(*((64 * size, 64 * (size + 1)) for size in multiples))
    inferred = seen(image(*layers), bindings)
    assert inferred is not None
    other = at((64 * unseen, 64 * unseen), batches=(5,))[0]
    assert tuple(dim.evaluate(other) for dim in parse_shape(inferred)) == image(*layers)(*other.values())
