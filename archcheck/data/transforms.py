"""Resizing, augmenting and normalising a batch of images on the device, all of its examples at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from archcheck.data.arguments import check_call_arguments
from archcheck.data.seeds import derive_seed
from archcheck.data.splits import ArraySplit, Split, is_image_batch
from archcheck.data.streaming import BatchRequest, fetch_batch, fetch_first_item
from archcheck.errors import DataError
from archcheck.spec.models import Named, Normalize
from archcheck.text.words import counted, did_you_mean, kind_of

MAX_MEASURED = 2000  # items of a streamed data set that its mean and standard deviation are measured on
_CHUNK = 4096

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


# ---------------------------------------------------------------------------------------------- augmentations


def horizontal_flip(images: Tensor, generator: torch.Generator, /, *, p: float = 0.5) -> Tensor:
    """Mirror each of the images left to right with probability p."""
    return _flip(images, generator, p, 3)


def vertical_flip(images: Tensor, generator: torch.Generator, /, *, p: float = 0.5) -> Tensor:
    """Mirror each of the images top to bottom with probability p."""
    return _flip(images, generator, p, 2)


def random_crop(images: Tensor, generator: torch.Generator, /, *, padding: int) -> Tensor:
    """Pad each of the images with `padding` black pixels on each side, and crop its size at a random place."""
    num_images, num_channels, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    padded_height, padded_width = padded.shape[2:]
    top, left = torch.randint(2 * padding + 1, (2, num_images, 1), generator=generator, device=images.device)
    # A row of the result is `width` pixels in a row of the padded images: where each of them starts, counted in pixels.
    planes = torch.arange(num_images * num_channels, device=images.device).view(num_images, num_channels)
    starts = (planes * padded_height + top) * padded_width + left  # (B, C)
    rows = torch.arange(height, device=images.device) * padded_width
    windows = padded.flatten().unfold(0, width, 1)  # a view
    return windows.index_select(0, (starts.unsqueeze(2) + rows).flatten()).view(images.shape)


def _flip(images: Tensor, generator: torch.Generator, p: float, dim: int) -> Tensor:
    num_images = len(images)
    chosen = torch.rand(num_images, generator=generator, device=images.device) < p
    both = torch.cat([images, images.flip(dim)])  # selecting whole images is three times as fast as torch.where
    return both.index_select(0, torch.arange(num_images, device=images.device) + chosen * num_images)


AUGMENTATIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"horizontal_flip": horizontal_flip, "vertical_flip": vertical_flip, "random_crop": random_crop}
)


# ---------------------------------------------------------------------------------------------- the transform


class BatchTransform:
    """Resizes, augments and normalises a batch on its device; a batch that is no uint8 images is returned unchanged.

    Call: (B, C, H, W) uint8 -> (B, C, height, width) float32, in [0, 1] before normalising. `generator` is on the
    images' device; nothing is drawn from it without augmentation.
    """

    def __init__(
        self,
        resize: tuple[int, int] | None = None,
        augmentations: Sequence[Augmentation] = (),
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        self.resize = resize
        self.augmentations = tuple(augmentations)
        self.mean = tuple(mean) if mean is not None else (0.0,)
        self.std = tuple(std) if std is not None else (1.0,)
        self._factors: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a batch."""
        if not is_image_batch(images):
            return images
        if self.resize is None or images.shape[2:] == self.resize:
            return self._normalized(self._augmented(images, generator))
        if not self.augmentations and self.resize[0] * self.resize[1] > images.shape[2] * images.shape[3]:
            # Pixels are averaged with weights that sum to 1, so that it's the same, on less data.
            return self._resized(self._normalized(images))
        return self._normalized(self._augmented(self._resized(images), generator))

    def _augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        # Flipping and cropping move pixels, so they are done on bytes where nothing was resized: a quarter of the work.
        for augmentation in self.augmentations:
            images = augmentation(images, generator)
        return images

    def _normalized(self, images: Tensor) -> Tensor:
        scale, shift = self._scale_and_shift(images.device)
        # (x / 255 - mean) / std as one multiply-add. One kernel for it is fastest on a GPU, but not on the CPU.
        if images.device.type != "cpu":
            return torch.addcmul(shift, images.float(), scale)
        scaled = images.float().mul_(scale)
        return scaled.add_(shift) if any(self.mean) else scaled

    def without_augmentation(self) -> BatchTransform:
        """Return the transform for the test set: the same without augmentation."""
        return BatchTransform(self.resize, (), self.mean, self.std)

    def _resized(self, images: Tensor) -> Tensor:
        assert self.resize is not None
        shrinks = self.resize[0] < images.shape[2] or self.resize[1] < images.shape[3]
        return F.interpolate(images.float(), self.resize, mode="bilinear", align_corners=False, antialias=shrinks)

    def _scale_and_shift(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._factors:
            mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (self.mean, self.std))
            scale, shift = 1 / (255 * std), -mean / std
            self._factors[device] = scale.float().to(device), shift.float().to(device)
        return self._factors[device]


def make_transform(
    resize: tuple[int, int] | None, augment: Sequence[Named], normalize: bool | Normalize, train: Split
) -> BatchTransform:
    """Return the transform of a recipe for batches of `train`; its `without_augmentation` is the one for the test set.

    Raises:
        DataError: as `check_transforms` raises it; or the data are no images, or have another number of channels than
            `normalize` gives.
    """
    check_transforms(resize, augment, normalize)
    inputs = train.inputs[:1] if isinstance(train, ArraySplit) else fetch_first_item(train)[0]
    asked = [key for key, value in (("resize", resize), ("augment", augment), ("normalize", normalize)) if value]
    if not isinstance(inputs, Tensor) or not is_image_batch(inputs):
        if asked:
            found = (
                f"{str(inputs.dtype)[6:]} of {inputs.ndim} dimensions"
                if isinstance(inputs, Tensor)
                else kind_of(inputs)
            )
            raise DataError(
                f"{asked[0]} is for images, (N, C, H, W) uint8; the data set's inputs are {found}", arg=asked[0]
            )
        return BatchTransform()
    mean, std = _normalization(normalize, train, inputs.shape[1])
    _check_padding(augment, resize or (inputs.shape[2], inputs.shape[3]))
    augmentations = [functools.partial(AUGMENTATIONS[each.name], **(each.model_extra or {})) for each in augment]
    return BatchTransform(resize, augmentations, mean, std)


def _normalization(
    normalize: bool | Normalize, train: Split, num_channels: int
) -> tuple[Sequence[float] | None, Sequence[float] | None]:
    if not normalize:
        return None, None
    if isinstance(normalize, Normalize):
        for name, values in (("mean", normalize.mean), ("std", normalize.std)):
            if len(values) not in (1, num_channels):
                has = f"the images have {counted(num_channels, 'channel')}"
                message = f"{has}, {name} has {counted(len(values), 'value')}"
                raise DataError(message, arg="normalize")
        return normalize.mean, normalize.std
    mean, std = measure_normalization(train)
    if not bool((std > 0).all()):
        raise DataError("a channel of the training images is the same everywhere", arg="normalize")
    return mean.tolist(), std.tolist()


# ---------------------------------------------------------------------------------------------- checking


def check_transforms(
    resize: tuple[int, int] | None, augment: Sequence[Named], normalize: bool | Normalize | None
) -> None:
    """Check the transforms of a recipe, without any data.

    Raises:
        DataError: one is invalid; `arg` is the key in the recipe and the place in it, such as `augment.1.padding`.
    """
    if resize is not None and min(resize) < 1:
        raise DataError(f"expected at least 1 pixel, found {resize[0]}x{resize[1]}", arg="resize")
    for index, each in enumerate(augment):
        _check_augmentation(each, f"augment.{index}")
    if isinstance(normalize, Normalize) and len(normalize.mean) != len(normalize.std):
        message = f"{counted(len(normalize.mean), 'value')} of mean, {len(normalize.std)} of std"
        raise DataError(message, arg="normalize")


def _check_augmentation(each: Named, place: str) -> None:
    if each.name not in AUGMENTATIONS:
        close = did_you_mean(each.name, AUGMENTATIONS)
        raise DataError(
            f"there is no augmentation {each.name!r}{close} (known are {', '.join(AUGMENTATIONS)})", arg=place
        )
    try:
        check_call_arguments(AUGMENTATIONS[each.name], each.model_extra or {}, each.name)
    except DataError as error:
        raise DataError(str(error), arg=f"{place}.{error.arg}") from error


def _check_padding(augment: Sequence[Named], size: tuple[int, int]) -> None:
    """Refuse padding beyond the image's own size: it would show nothing but black, and take any amount of memory."""
    for index, each in enumerate(augment):
        padding = (each.model_extra or {}).get("padding", 0)
        if padding > min(size):
            message = f"{each.name}: padding {padding} is more than the images' {size[0]}x{size[1]} pixels"
            raise DataError(message, arg=f"augment.{index}.padding")


# ---------------------------------------------------------------------------------------------- measuring


def measure_normalization(train: Split) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel's pixels, scaled to 0 to 1: two (C,) float64 tensors.

    An `ArraySplit` is measured as a whole, exactly; of a streamed data set, the first 2,000 items are.

    Raises:
        DataError: the data are no images, or images of different numbers of channels.
    """
    counts: Tensor | None = None
    for images in _image_chunks(train):
        found = _histogram(images)
        if counts is not None and len(found) != len(counts):
            message = f"images of {len(counts)} and of {len(found)} channels in one data set"
            raise DataError(message, arg="normalize")
        counts = found if counts is None else counts + found
    assert counts is not None
    values = torch.arange(256, dtype=torch.float64) / 255
    shares = counts.double() / counts.sum(1, keepdim=True)
    mean = shares @ values
    variance = shares @ values.square() - mean.square()
    return mean, variance.clamp_min(0).sqrt()


def _image_chunks(train: Split) -> Iterator[Tensor]:
    if isinstance(train, ArraySplit):
        chunks: Any = torch.split(train.inputs, _CHUNK)
    else:
        num_items = min(MAX_MEASURED, len(train))  # type: ignore[arg-type]  # map-style: it has a length
        asks = (BatchRequest([index], derive_seed("normalize", index)) for index in range(num_items))
        chunks = (fetch_batch(train, ask)[0] for ask in asks)  # one at a time, as sizes may differ
    for images in chunks:
        if not isinstance(images, Tensor) or not is_image_batch(images):
            raise DataError("normalize is for images, (N, C, H, W) uint8", arg="normalize")
        yield images


def _histogram(images: Tensor) -> Tensor:
    """Count each of the 256 values in each channel: (C, 256) int64."""
    channels = images.transpose(0, 1).flatten(1)  # (C, N * H * W)
    return torch.stack([torch.bincount(channel, minlength=256) for channel in channels]).cpu()
