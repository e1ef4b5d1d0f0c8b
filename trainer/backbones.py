"""The backbone that the settings name: which one it is, which images it accepts, and the network itself."""

from functools import lru_cache
from pathlib import Path

from vouch.cli.console import say
from vouch.trainer.learn.backbone.backbone import SMALLEST, Backbone, check_lite0, lite0
from vouch.trainer.learn.backbone.lite0 import FEATURES, SIZE
from vouch.trainer.learn.backbone.onnx_file import BackboneFile, open_file
from vouch.trainer.learn.backbone.pixels import check_channels
from vouch.trainer.learn.backbone.weights import FILE_SHA256, available
from vouch.trainer.learn.backbone.wishes import FileWishes
from vouch.trainer.settings import TrainSettings

FEATURES_OF_A_FILE = 2048
"""Assumed for memory estimates before the file has run; a ResNet-50 has this number."""


def cannot_be_had(settings: TrainSettings, files: bool, shape: tuple[int, ...]) -> str:
    """Why no backbone is chosen automatically for these images; empty if one can be.

    Args:
        files: whether the images are files, which are resized.
        shape: of one image, (H, W) or (H, W, C).
    """
    channels = settings.channels or (shape[2] if len(shape) == 3 else 1)
    if channels not in (1, 3):
        return f"a backbone takes images with 1 or 3 channels, these have {channels}"
    if not files and min(shape[:2]) < SMALLEST:
        return f"a backbone needs images of at least {SMALLEST} x {SMALLEST} pixels"
    return "" if available() else "no backbone is installed; install one with pip install vouch-onnx[backbone]"


def size_of(settings: TrainSettings) -> tuple[int, int]:
    """Height and width of the images that the backbone was trained on."""
    if settings.backbone_file is None:
        return SIZE
    return settings.backbone_image_size or opened(settings).size


def features_of(settings: TrainSettings) -> int:
    """Approximate number of features per image."""
    return FEATURES_OF_A_FILE if settings.backbone_file else FEATURES


def digest_of(settings: TrainSettings) -> str:
    """SHA-256 of the file with its weights."""
    return opened(settings).sha256 if settings.backbone_file else FILE_SHA256


def check_images(settings: TrainSettings, image_shape: tuple[int, ...]) -> None:
    """Raises TrainError: the backbone cannot use images of this shape, (H, W) or (H, W, C)."""
    if settings.backbone_file:
        check_channels(image_shape)
        opened(settings).check_sides(image_shape)
    else:
        check_lite0(image_shape)


def backbone_for(settings: TrainSettings, image_shape: tuple[int, ...]) -> Backbone:
    """The backbone that the settings name.

    Args:
        image_shape: (H, W) or (H, W, C).

    Raises:
        TrainError: it is missing, unreadable, or cannot use such images.
    """
    if settings.backbone_file is None:
        return lite0(image_shape)
    file = opened(settings)
    if file.pixels.note:
        say(file.pixels.note)
    return file.backbone(image_shape)


def opened(settings: TrainSettings) -> BackboneFile:
    """The file that the settings name, read once. Raises TrainError."""
    return _opened(Path(settings.backbone), wishes_of(settings))


@lru_cache(maxsize=1)
def _opened(path: Path, wishes: FileWishes) -> BackboneFile:
    return open_file(path, wishes)


def wishes_of(settings: TrainSettings) -> FileWishes:
    """What the settings state about a backbone's file."""
    return FileWishes(
        mean=_numbers(settings.backbone_mean),
        scale=_numbers(settings.backbone_scale),
        size=settings.backbone_image_size,
        output=settings.backbone_output or None,
        licence=settings.backbone_licence or None,
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(",")) if text else ()
