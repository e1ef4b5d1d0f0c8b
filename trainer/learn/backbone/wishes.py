"""How a backbone's file takes pixels: as flags say, or else the file's own metadata, or else as most do."""

from collections.abc import Mapping
from dataclasses import dataclass

from vouch.trainer.errors import TrainError

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_SCALE = (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's pixels, 0 to 255: 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225 times 255, as
torchvision's and timm's networks, and DINOv2, were trained with."""
RANGES = {
    "NominalRange_0_255": (0.0, 1.0),
    "Normalized_0_1": (0.0, 255.0),
    "Normalized_1_1": (127.5, 127.5),
}
"""Values of the key Image.NominalPixelRange, as ONNX defines it (docs/MetadataProps.md): mean and scale."""
MAX_PIXEL = 1e6


@dataclass(frozen=True)
class FileWishes:
    """What a person says of a backbone's file; None and empty leave it to the file."""

    mean: tuple[float, ...] = ()
    """Of pixels from 0 to 255: one number, or one for each of red, green and blue."""
    scale: tuple[float, ...] = ()
    """What they are divided by then."""
    size: tuple[int, int] | None = None
    """Height and width that it takes."""
    output: str | None = None
    """The value in its graph that the features are; any, not only an output."""
    licence: str | None = None


@dataclass(frozen=True)
class Taken:
    """How it takes pixels in the end."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    note: str
    """What a person should know of it; empty where there is nothing."""


def taken(wishes: FileWishes, metadata: Mapping[str, str], name: str) -> Taken:
    """Mean and scale of a file.

    Args:
        metadata: of the file: `vouch.mean` and `vouch.scale` as the flags, or ONNX's Image.NominalPixelRange.
        name: the file's, for errors.

    Raises:
        TrainError: a value is none that pixels can have, or the file says that it takes blue first.
    """
    if metadata.get("Image.BitmapPixelFormat", "Rgb8") != "Rgb8":
        raise TrainError(f"{name} says that it takes pixels as {metadata['Image.BitmapPixelFormat']}; expected Rgb8")
    mean = wishes.mean or _numbers(metadata, "vouch.mean", name)
    scale = wishes.scale or _numbers(metadata, "vouch.scale", name)
    ranged = metadata.get("Image.NominalPixelRange")
    note = ""
    if not mean and not scale:
        if ranged in RANGES:
            mean, scale = ((number,) for number in RANGES[ranged])
        else:
            mean, scale = IMAGENET_MEAN, IMAGENET_SCALE
            note = (
                f"{name} does not say how it takes pixels: mean and scale of ImageNet are taken, as most networks do; "
                "--backbone-mean and --backbone-scale say others"
            )
    mean, scale = mean or (0.0,), scale or (1.0,)
    _check("mean", mean, name)
    _check("scale", scale, name)
    return Taken(mean, scale, note)


def _numbers(metadata: Mapping[str, str], key: str, name: str) -> tuple[float, ...]:
    if key not in metadata:
        return ()
    try:
        return tuple(float(number) for number in metadata[key].split(","))
    except ValueError as err:
        raise TrainError(
            f"{name} has the {key} {metadata[key][:100]!r}; expected a number, or three with commas"
        ) from err


def _check(what: str, values: tuple[float, ...], name: str) -> None:
    if len(values) not in (1, 3) or not all(abs(value) < MAX_PIXEL for value in values):
        raise TrainError(f"the {what} of {name} is {values}; expected one number, or three, of pixels from 0 to 255")
    if what == "scale" and not all(value >= 1 for value in values):
        times = ",".join(f"{255 * value:g}" for value in values)
        raise TrainError(
            f"the scale of {name} is {values}; expected at least 1, for pixels are from 0 to 255. If it is meant for "
            f"pixels from 0 to 1, multiply both by 255: --backbone-scale {times}, and the mean likewise"
        )
