"""Resizing, augmenting and normalising batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import TensorDataset
from torchvision.transforms.v2 import functional as v2f

from archcheck.data.splits import ArraySplit
from archcheck.data.transforms import BatchTransform, check_transforms, make_transform, measure_normalization
from archcheck.errors import DataError
from archcheck.spec.models import Named, Normalize


def images(num: int = 20, channels: int = 3, size: tuple[int, int] = (6, 8)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (num, channels, *size), dtype=torch.uint8, generator=generator)


def named(name: str, **args: Any) -> Named:
    return Named(**{"name": name, **args})


def split(inputs: Tensor) -> ArraySplit:
    return ArraySplit(inputs, torch.zeros(len(inputs), dtype=torch.int64))


def transformed(inputs: Tensor, *augment: Named, seed: int = 0, **kwargs: Any) -> Tensor:
    arguments = {"resize": None, "normalize": False, **kwargs}
    transform = make_transform(arguments["resize"], augment, arguments["normalize"], split(inputs))
    return transform(inputs, torch.Generator().manual_seed(seed))


def test_pixels_become_floats_from_0_to_1() -> None:
    torch.testing.assert_close(transformed(images()), v2f.to_dtype(images(), torch.float32, scale=True))


@pytest.mark.parametrize("values", [([0.5, 0.4, 0.3], [0.1, 0.2, 0.3]), ([0.2], [0.4])])
def test_normalized_as_torchvision_normalizes(values: tuple[list[float], list[float]]) -> None:
    mean, std = values
    expected = v2f.normalize(v2f.to_dtype(images(), torch.float32, scale=True), mean, std)
    found = transformed(images(), normalize=Normalize(mean=mean, std=std))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [(12, 16), (3, 4), (3, 16), (6, 9)])
def test_resized_as_torchvision_resizes(size: tuple[int, int]) -> None:
    expected = v2f.resize(v2f.to_dtype(images(), torch.float32, scale=True), list(size), antialias=True)
    torch.testing.assert_close(transformed(images(), resize=size), expected)


def test_enlarging_is_plain_bilinear() -> None:
    expected = F.interpolate(images().float() / 255, (9, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(transformed(images(), resize=(9, 9)), expected)


class Written(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many numbers each operation writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.sizes.append(result.numel())
        return result


@pytest.mark.parametrize("size", [(64, 64), (8, 8)])
def test_what_is_large_is_written_once(size: tuple[int, int]) -> None:
    """Bandwidth is what preparing a batch costs on an accelerator: enlarged images are normalised before they are."""
    transform = BatchTransform(size, (), (0.4,), (0.2,))
    batch = torch.randint(0, 256, (20, 1, 16, 16), dtype=torch.uint8)
    generator = torch.Generator()
    transform(batch, generator)  # factors are made once
    with Written() as written:
        found = transform(batch, generator)
    large = max(found.numel(), batch.numel())
    assert written.sizes.count(large) == 1
    shrinks = size < (16, 16)
    resized = F.interpolate(batch.double() / 255, size, mode="bilinear", align_corners=False, antialias=shrinks)
    torch.testing.assert_close(found.double(), (resized - 0.4) / 0.2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip"])
@pytest.mark.parametrize("resize", [None, (12, 10)])
def test_each_image_is_flipped_or_not(name: str, resize: tuple[int, int] | None) -> None:
    plain = transformed(images(), resize=resize)
    flipped = getattr(v2f, name)(plain)
    found = transformed(images(), named(name), resize=resize)
    is_flipped = [torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(found, flipped, strict=True)]
    is_plain = [torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(found, plain, strict=True)]
    assert [not each for each in is_plain] == is_flipped
    assert 0 < sum(is_flipped) < 20


def test_probabilities_of_a_flip() -> None:
    assert torch.equal(transformed(images(), named("horizontal_flip", p=0.0)), transformed(images()))
    assert torch.equal(transformed(images(), named("horizontal_flip", p=1)), transformed(images()).flip(3))


@pytest.mark.parametrize("resize", [None, (5, 7)])
def test_each_image_is_cropped_somewhere(resize: tuple[int, int] | None) -> None:
    plain = transformed(images(200), resize=resize)
    height, width = plain.shape[2:]
    found = transformed(images(200), named("random_crop", padding=2), resize=resize)
    seen = set()
    for image, crop in zip(plain, found, strict=True):
        places = [(top, left) for top in range(5) for left in range(5)]
        padded = v2f.pad(image, [2])
        matching = [at for at in places if torch.equal(v2f.crop(padded, *at, height, width), crop)]
        assert len(matching) == 1
        seen.add(matching[0])
    assert len(seen) == 25


def test_black_of_a_crop_is_normalized_too() -> None:
    found = transformed(images(), named("random_crop", padding=6), normalize=Normalize(mean=[0.5], std=[0.25]))
    assert found.min() == -2


def test_only_the_generator_decides() -> None:
    augment = [named("horizontal_flip"), named("random_crop", padding=2)]
    state = torch.random.get_rng_state()
    first, second = transformed(images(), *augment), transformed(images(), *augment)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not torch.equal(first, transformed(images(), *augment, seed=1))


def test_testing_is_without_augmentation_and_draws_nothing() -> None:
    transform = make_transform((4, 4), [named("vertical_flip", p=1.0)], True, split(images()))
    generator = torch.Generator().manual_seed(0)
    found = transform.without_augmentation()(images(), generator)
    assert torch.equal(found, transformed(images(), resize=(4, 4), normalize=True))
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_the_images_themselves_stay_as_they_are() -> None:
    inputs = images()
    transformed(inputs, named("horizontal_flip"), named("random_crop", padding=1), normalize=True)
    assert torch.equal(inputs, images())


@pytest.mark.parametrize("inputs", [torch.rand(3, 2), torch.rand(3, 3, 4, 4), torch.ones(3, 5, dtype=torch.uint8)])
def test_what_are_no_images_goes_through(inputs: Tensor) -> None:
    assert transformed(inputs) is inputs
    assert BatchTransform()(inputs, torch.Generator()) is inputs


@pytest.mark.parametrize(
    ("arguments", "arg"),
    [
        ({"resize": (4, 4)}, "resize"),
        ({"augment": [named("vertical_flip")]}, "augment"),
        ({"normalize": True}, "normalize"),
    ],
)
def test_images_are_asked_for(arguments: dict[str, Any], arg: str) -> None:
    asked = {"resize": None, "augment": [], "normalize": False, **arguments}
    message = rf"{arg} is for images, \(N, C, H, W\) uint8; the data set's inputs are float32 of 2 dimensions"
    with pytest.raises(DataError, match=message) as raised:
        make_transform(**asked, train=split(torch.rand(3, 2)))
    assert raised.value.arg == arg


# ------------------------------------------------------------------------------------------- measuring


def test_mean_and_std_of_the_training_set() -> None:
    inputs = images(5000, size=(3, 3))  # more than one chunk
    mean, std = measure_normalization(split(inputs))
    pixels = inputs.double() / 255
    torch.testing.assert_close(mean, pixels.mean((0, 2, 3)))
    torch.testing.assert_close(std, pixels.std((0, 2, 3), correction=0))


def test_mean_and_std_of_a_streamed_set_are_of_its_beginning() -> None:
    inputs = images(2500, size=(2, 2))
    mean, std = measure_normalization(TensorDataset(inputs, torch.zeros(2500)))
    expected = measure_normalization(split(inputs[:2000]))
    assert torch.equal(mean, expected[0])
    assert torch.equal(std, expected[1])


def test_normalized_by_what_was_measured() -> None:
    found = transformed(images(500), normalize=True)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3), correction=0), torch.ones(3))


def test_a_channel_without_variation() -> None:
    with pytest.raises(DataError, match=r"a channel of the training images is the same everywhere"):
        transformed(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), normalize=True)


# ------------------------------------------------------------------------------------------- checking


@pytest.mark.parametrize(
    ("augment", "arg", "message"),
    [
        (
            [named("horizontal_flop")],
            "augment.0",
            r"no augmentation 'horizontal_flop': did you mean 'horizontal_flip'\?",
        ),
        ([named("vertical_flip"), named("random_crop")], "augment.1.padding", r"random_crop is missing .* 'padding'"),
        ([named("random_crop", pad=3)], "augment.0.pad", r"random_crop accepts no argument 'pad': did you mean 'pad"),
        ([named("random_crop", padding=1.5)], "augment.0.padding", r"expected a whole number as padding, found 1.5"),
        ([named("random_crop", padding=0)], "augment.0.padding", r"expected a number of pixels, at least 1 as padding"),
        ([named("vertical_flip", p=2)], "augment.0.p", r"expected a probability, from 0 to 1 as p, found 2"),
        ([named("vertical_flip", images=2)], "augment.0.images", r"vertical_flip accepts no argument 'images'"),
    ],
)
def test_augmentations_asked_for_wrongly(augment: list[Named], arg: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        check_transforms(None, augment, False)
    assert raised.value.arg == arg


def test_mean_and_std_of_different_lengths() -> None:
    with pytest.raises(DataError, match=r"1 value of mean, 3 of std"):
        check_transforms(None, [], Normalize(mean=[0.5], std=[1.0, 1.0, 1.0]))


def test_values_for_other_channels_than_the_images_have() -> None:
    with pytest.raises(DataError, match=r"the images have 1 channel, mean has 3 values"):
        transformed(images(channels=1), normalize=Normalize(mean=[0.5] * 3, std=[1.0] * 3))


def test_padding_beyond_the_image() -> None:
    with pytest.raises(DataError, match=r"random_crop: padding 7 is more than the images' 6x8 pixels"):
        transformed(images(), named("random_crop", padding=7))
