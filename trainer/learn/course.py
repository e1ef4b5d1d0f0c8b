"""What a fit reports: after a step, after an epoch, at its end. Only values."""

from dataclasses import dataclass

from vouch.bundle.backbone import BackboneFacts, HeadFacts
from vouch.bundle.training import Recipe
from vouch.trainer.learn.judges import Judge


@dataclass(frozen=True)
class Epoch:
    """The state of a fit after an epoch; epoch 0 is before training."""

    number: int
    fit_loss: float
    """Mean over the epoch's images, as trained: with augmentation and label smoothing. NaN for epoch 0."""
    fit_accuracy: float
    """0 to 1, as trained: each image is answered just before the step that learns from it. NaN for epoch 0."""
    tune_loss: float
    """NaN, as the two below, if there is no tune split."""
    tune_loss_calibrated: float
    """At the best temperature."""
    tune_accuracy: float
    """0 to 1."""
    images: int
    """Number of images in the epoch."""
    seconds: float
    """Time of its steps, without measuring."""
    note: str = ""
    """What changed with it, as a sentence; empty if nothing did."""


@dataclass(frozen=True)
class Step:
    """A finished step."""

    number: int
    """From 1; 0 is before the first step."""
    rate: float
    """The learning rate; that of Muon's weights is in a fixed proportion to it."""
    loss: float
    """Before the step, as trained. NaN for step 0."""
    epoch: Epoch | None = None
    """The epoch that ended with this step, if one did; epoch 0 for step 0."""
    of: int | None = None
    """Steps of the whole fit, as far as known; None: unchanged."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A finished fit; the classifier is on the CPU again and has the weights that were kept."""

    epochs: tuple[Epoch, ...]
    best: Epoch
    """The epoch whose weights were kept: the last, unless tune chose another."""
    seconds: float
    """Time of the whole fit, with measuring; for a resumed fit, of all its parts together."""
    recipe: Recipe | None = None
    """The recipe for hard images, if the fit restarted with it."""
    backbone: BackboneFacts | None = None
    """The backbone, if there is one."""
    head: HeadFacts | None = None
    """How the head was chosen, if the backbone is frozen."""
    folds: tuple[Judge, ...] = ()
    """Models that were fitted to all but one fold of fit, each with that fold; empty if there are none."""
