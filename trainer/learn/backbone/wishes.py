"""How a backbone's file takes pixels: by flags, otherwise by the file's metadata, otherwise like most networks."""

from collections.abc import Mapping
from dataclasses import dataclass

from vouch.trainer.errors import TrainError

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_SCALE = (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's pixels, 0 to 255: 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225 times 255.
torchvision's and timm's networks, and DINOv2, were trained with them."""
RANGES = {
    "NominalRange_0_255": (0.0, 1.0),
    "Normalized_0_1": (0.0, 255.0),
    "Normalized_1_1": (127.5, 127.5),
}
"""Values of the key Image.NominalPixelRange, as ONNX defines it (docs/MetadataProps.md): mean and scale."""
MAX_PIXEL = 1e6


@dataclass(frozen=True)
class FileWishes:
    """What flags state about a backbone's file; None and empty leave it to the file."""

    mean: tuple[float, ...] = ()
    """Of pixels from 0 to 255: one number, or one for each of red, green and blue."""
    scale: tuple[float, ...] = ()
    """The divisor after subtracting the mean."""
    size: tuple[int, int] | None = None
    """Height and width of its input."""
    output: str | None = None
    """The value in its graph with the features; any value, not only an output."""
    licence: str | None = None


@dataclass(frozen=True)
class Taken:
    """How the file takes pixels: (pixel - mean) / scale."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    note: str
    """A line to print about it; empty if there is none."""


def taken(wishes: FileWishes, metadata: Mapping[str, str], name: str) -> Taken:
    """Mean and scale of a file.

    Args:
        metadata: of the file: `vouch.mean` and `vouch.scale`, like the flags, or ONNX's Image.NominalPixelRange.
        name: of the file, for errors.

    Raises:
        TrainError: a value is impossible for pixels, or the file takes blue first.
    """
    if metadata.get("Image.BitmapPixelFormat", "Rgb8") != "Rgb8":
        raise TrainError(f"{name} takes pixels as {metadata['Image.BitmapPixelFormat']}; expected Rgb8")
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
                f"{name} does not state how it takes pixels: using mean and scale of ImageNet, like most networks; "
                "set others with --backbone-mean and --backbone-scale"
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
            f"{name} has the {key} {metadata[key][:100]!r}; expected one number, or three separated by commas"
        ) from err


def _check(what: str, values: tuple[float, ...], name: str) -> None:
    if len(values) not in (1, 3) or not all(abs(value) < MAX_PIXEL for value in values):
        raise TrainError(f"the {what} of {name} is {values}; expected one number, or three, of pixels from 0 to 255")
    if what == "scale" and not all(value >= 1 for value in values):
        times = ",".join(f"{255 * value:g}" for value in values)
        raise TrainError(
            f"the scale of {name} is {values}; expected at least 1, because pixels are from 0 to 255. If it is meant "
            f"for pixels from 0 to 1, multiply scale and mean by 255: --backbone-scale {times}"
        )
