"""A frozen network for its users: a graph from raw pixels to features, and the source of its weights."""

from dataclasses import dataclass

from vouch.bundle.backbone import BackboneFacts
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import weights
from vouch.trainer.learn.backbone.graph import lite0_graph
from vouch.trainer.learn.backbone.lite0 import EARLIER, FEATURES, MEAN, SCALE, SIZE, Convolutions
from vouch.trainer.learn.backbone.pixels import check_channels

SMALLEST = 64
"""Least pixels per side; with fewer, only 2 x 2 places would be left."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that computes features of images and is not trained."""

    facts: BackboneFacts
    graph: bytes
    """An .onnx file: from `images`, uint8 (N, H, W) or (N, H, W, C), to `features`, float32 (N, D), and, if it has
    places, to `places`, float32 (N, D, h, w)."""
    has_places: bool
    """Whether the features are means over places of the image."""
    earlier: int = 0
    """Number of features that are not of the last layer; they come last."""


def lite0(image_shape: tuple[int, ...]) -> Backbone:
    """EfficientNet-Lite0, trained on ImageNet.

    Args:
        image_shape: (H, W) or (H, W, C), C 1 or 3, sides of at least 64 pixels.

    Raises:
        TrainError: its weights are not installed, or it cannot use such images.
    """
    check_lite0(image_shape)
    return lite0_of(weights.convolutions(), image_shape)


def check_lite0(image_shape: tuple[int, ...]) -> None:
    """Raises TrainError: lite0 cannot use images of this shape."""
    check_channels(image_shape)
    if min(image_shape[:2]) < SMALLEST:
        raise TrainError(
            f"the images have {image_shape[0]} x {image_shape[1]} pixels; lite0 needs at least {SMALLEST} x {SMALLEST}:"
            f" pass --size {SIZE[0]}, or --backbone none"
        )


def lite0_of(convolutions: Convolutions, image_shape: tuple[int, ...], fine_tuned: bool = False) -> Backbone:
    """As `lite0`, with these weights.

    Args:
        convolutions: of every layer, batch norms folded in.
        fine_tuned: whether they differ from the published ones.
    """
    facts = BackboneFacts(
        name="lite0",
        licence=weights.LICENCE,
        source=weights.SOURCE,
        weights_sha256=weights.FILE_SHA256,
        size=SIZE,
        mean=(MEAN,),
        scale=(SCALE,),
        features=FEATURES,
        output="the mean over all places of the last layer, and of the ends of the five blocks before it",
        fine_tuned=fine_tuned,
    )
    return Backbone(facts, lite0_graph(convolutions, image_shape), has_places=True, earlier=EARLIER)
