"""The defaults for training each network: a table of presets, each for one kind of images.

Chosen on fit images of several data sets, never on a validation split. Results: docs/how-to/train.md.
"""

from collections.abc import Collection
from dataclasses import asdict, replace
from math import prod, radians

from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.kinds import ModelKind, PresetName
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.demand import multiply_adds
from vouch.trainer.learn.effort import (
    ENOUGH_STEPS,
    FEW,
    USUAL,
    Bounds,
    Effort,
    effort_for,
    hard_epochs_for,
    settled_for,
)
from vouch.trainer.learn.networks import Layers, depth_for
from vouch.trainer.learn.precision import precision_for
from vouch.trainer.learn.regression import MAX_ITERATIONS

FEW_PHOTOS = 5_000
"""With fewer fit images, a pretrained backbone is better than training from scratch."""
VARIED = ("rotation", "scaling", "shear", "shift", "bend", "zoom", "colour")
"""Numbers that define the strength of an augmentation; if a flag sets one, the strength is not reduced in training."""
NO_VARIANTS = Augmentation(rotation=0.0, scaling=0.0, shear=0.0, shift=0.0)
_AUGMENT = Augmentation(crop=6 / 7, bend=0.05, find_flip=True, find_strength=True)
_CNN = Recipe(
    epochs=7,
    batch_size=128,
    learning_rate=8e-3,
    optimizer="muon",
    muon_rate=0.06,
    weight_decay=0.05,
    label_smoothing=0.1,
    augment=_AUGMENT,
    focus=0.8,
    hard_epochs=13,
)
_SMALL = Augmentation(rotation=0.1, crop=6 / 7, flip=True, colour=0.1, find_flip=True, find_strength=True)
_PHOTOS = Augmentation(
    rotation=0.1,
    scaling=0.1,
    shear=0.0,
    shift=0.0,
    crop=0.75,
    zoom=0.3,
    colour=0.2,
    flip=True,
    find_flip=True,
    find_strength=True,
)
_LINEAR = Recipe(epochs=7, batch_size=256, learning_rate=5e-3, optimizer="adamw")
_MLP = Recipe(
    epochs=5,
    batch_size=256,
    learning_rate=3e-3,
    optimizer="adamw",
    weight_decay=0.05,
    label_smoothing=0.1,
    focus=0.8,
)
_HEAD = Recipe(
    epochs=MAX_ITERATIONS,
    batch_size=1,
    learning_rate=1.0,
    optimizer="lbfgs",
    augment=replace(NO_VARIANTS, flip=True, find_flip=True),
)
"""Every iteration uses all images; the penalty on the weights is chosen by cross-validation, unless a flag sets it."""
_FINE_TUNED = Recipe(
    epochs=3,
    batch_size=16,
    learning_rate=2e-5,
    optimizer="adamw",
    augment=replace(NO_VARIANTS, zoom=0.3, flip=True, find_flip=True),
    preset="backbone",
    model="backbone",
)
"""Used after the head's fit; smoothing, balance and flips apply to both."""
_TABLE: dict[PresetName, dict[ModelKind, Recipe]] = {
    "digits": {"cnn": _CNN, "mlp": _MLP, "linear": _LINEAR},
    "best": {"cnn": replace(_CNN, width=96)},
    "small": {"cnn": replace(_CNN, augment=_SMALL), "mlp": _MLP, "linear": _LINEAR},
    "photos": {"cnn": replace(_CNN, augment=_PHOTOS, dropout=0.2), "mlp": _MLP, "linear": _LINEAR},
    "backbone": {"backbone": _HEAD},
}
PRESETS: dict[tuple[PresetName, ModelKind], Recipe] = {
    (preset, model): replace(recipe, preset=preset, model=model, settled=1.0)
    for preset, models in _TABLE.items()
    for model, recipe in models.items()
}
"""Recipes of the presets, before they are adapted to the images."""
_OF_FEW: dict[PresetName, Recipe] = {
    "digits": replace(_CNN, augment=replace(_AUGMENT, crop=1.0)),
    "small": replace(_CNN, augment=replace(_SMALL, crop=1.0)),
}
"""The cnn with fewer than FEW images: trained on whole images, as in evaluation, because there is time for it."""
_NARROW: dict[PresetName, int] = {"digits": 48}
"""Channels with few images, if ENOUGH_STEPS with the usual number would be too much work."""
SMALL_BATCH_SHARE = 1 / 60
"""A batch is at most this share of the fit images, so that a small data set has enough steps."""
MIN_BATCH_SIZE = 32
_BOUNDS: dict[PresetName, Bounds] = {
    "digits": Bounds(work=40_000_000_000, rounds=7),
    "photos": replace(USUAL, work=20 * USUAL.work),
}
"""Limits with few images. Digits of 28 x 28 are learned in 400 steps; photographs from scratch take minutes, not
seconds."""
MIN_CROP = 16
"""Least side of a crop in pixels; smaller images are not cropped."""
PIXELS_A_THREAD: dict[ModelKind, int] = {"cnn": 40_000, "mlp": 100_000, "linear": 1_000_000, "backbone": 40_000}
"""Pixels of a step per thread: with fewer, threads wait for each other longer than they work. The less work per pixel,
the more pixels are needed."""


def recipe_for(asked: Asked, shape: tuple[int, ...], cores: int = 1, flags: Collection[str] = ()) -> Recipe:
    """The preset's recipe, adapted to the images, with the requested values.

    Args:
        shape: of the fit images, (N, H, W) or (N, H, W, C).
        cores: per process. The number of threads depends on counts, never on measured times: a fit must be repeatable.
        flags: the instructions of the processor that fits.
    """
    count, *image = shape
    base = _base(asked, count)
    if asked.fine_tune:
        asked = replace(asked, epochs=asked.epochs or base.epochs, batch_size=asked.batch_size or base.batch_size)
    elif asked.model == "backbone":
        asked = replace(asked, epochs=base.epochs, batch_size=count)
    batch_size = asked.batch_size or max(MIN_BATCH_SIZE, min(base.batch_size, int(count * SMALL_BATCH_SHARE)))
    rate = asked.learning_rate or base.learning_rate
    smoothing = _or(asked.label_smoothing, base.label_smoothing)
    usual_focus = 0.0 if asked.doubtful or asked.balance else base.focus
    depth = asked.depth or depth_for(min(image[:2]))
    layers = Layers(base.width, depth, _or(asked.dropout, base.dropout))
    layers = replace(layers, width=asked.width or _width(asked, shape, batch_size, layers))
    return replace(
        base,
        **asdict(_effort(asked, base, shape, batch_size, layers)),
        batch_size=batch_size,
        settled=settled_for(count, asked.best_epoch),
        learning_rate=rate,
        muon_rate=base.muon_rate * (rate / base.learning_rate),  # keeps its proportion to the other
        weight_decay=_or(asked.weight_decay, base.weight_decay),
        label_smoothing=smoothing if asked.loss == "cross-entropy" else 0.0,
        augment=_augmentation(asked, base.augment, min(image[:2])),
        focus=_or(asked.focus, usual_focus),
        width=layers.width,
        depth=layers.depth,
        dropout=layers.dropout,
        loss=asked.loss,
        balance=asked.balance,
        seed=asked.seed,
        precision=precision_for(asked.precision, asked.model, flags),
        threads=asked.threads or threads_for(asked.model, batch_size * prod(image), cores),
    )


def _base(asked: Asked, count: int) -> Recipe:
    """The preset's recipe for this number of fit images."""
    if asked.fine_tune:
        return _FINE_TUNED
    usual = PRESETS[asked.preset, asked.model]
    if asked.model == "cnn" and count < FEW and asked.preset in _OF_FEW:
        return replace(_OF_FEW[asked.preset], preset=usual.preset, model=usual.model)
    return usual


def _width(asked: Asked, shape: tuple[int, ...], batch_size: int, usual: Layers) -> int:
    """The default number of channels."""
    if asked.model != "cnn" or asked.preset not in _NARROW or shape[0] >= FEW:
        return usual.width
    work = ENOUGH_STEPS * batch_size * multiply_adds(asked.model, shape[1:], usual)
    return _NARROW[asked.preset] if work > _BOUNDS[asked.preset].work else usual.width


def _effort(asked: Asked, base: Recipe, shape: tuple[int, ...], batch_size: int, layers: Layers) -> Effort:
    if asked.epochs or asked.model == "backbone":
        return Effort(asked.epochs or base.epochs, passes=1, enough=0.0)
    cost = multiply_adds(asked.model, shape[1:], layers)
    effort = effort_for(shape[0], batch_size, base.epochs, cost, _BOUNDS.get(asked.preset, USUAL))
    if any(value not in (None, 0) for value in (asked.width, asked.depth, asked.crop, asked.focus, asked.batch_size)):
        return effort  # requested values are kept; hard images would need others
    return replace(effort, hard_epochs=hard_epochs_for(shape[0], effort.epochs, base.hard_epochs, cost))


def threads_for(model: ModelKind, pixels_a_step: int, cores: int) -> int:
    """As many threads as have enough work, at most one per core."""
    return max(1, min(cores, pixels_a_step // PIXELS_A_THREAD[model]))


def _augmentation(asked: Asked, usual: Augmentation | None, side: int) -> Augmentation | None:
    """The preset's augmentation with the requested values; None if it changes no image."""
    base = usual or NO_VARIANTS
    augment = Augmentation(
        rotation=base.rotation if asked.rotation is None else radians(asked.rotation),
        scaling=_or(asked.scaling, base.scaling),
        shear=_or(asked.shear, base.shear),
        shift=_or(asked.shift, base.shift),
        bend=_or(asked.bend, base.bend),
        crop=_or(asked.crop, max(base.crop, min(1.0, MIN_CROP / side))),
        zoom=_or(asked.zoom, base.zoom),
        flip=base.flip if asked.flip is None else asked.flip,
        colour=_or(asked.colour, base.colour),
        find_flip=base.find_flip and asked.flip is None,
        find_strength=base.find_strength and not any(getattr(asked, name) for name in VARIED),
    )
    return None if replace(augment, find_strength=False) == NO_VARIANTS else augment


def _or(asked: float | None, usual: float) -> float:
    return usual if asked is None else asked
