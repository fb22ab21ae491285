"""Dimensions inferred from shapes that were seen at several sizes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archcheck.spec.dim_inference import infer_shape
from archcheck.spec.dims import parse_shape

sizes_of_all = st.fixed_dictionaries({name: st.integers(1, 300) for name in "BHW"})

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
