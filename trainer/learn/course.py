"""What a fit tells of itself: after a step, after an epoch, at its end. Values alone, for whoever reports them."""

from dataclasses import dataclass

from vouch.bundle.backbone import BackboneFacts, HeadFacts
from vouch.bundle.training import Recipe
from vouch.trainer.learn.judges import Judge


@dataclass(frozen=True)
class Epoch:
    """How it stood after an epoch; epoch 0 is before training."""

    number: int
    fit_loss: float
    """Mean over the epoch's images, as trained: with augmentation and label smoothing. NaN for epoch 0."""
    fit_accuracy: float
    """0 to 1, likewise: each image answered just before the step that learns from it. NaN for epoch 0."""
    tune_loss: float
    """NaN, as the two below, where there is no tune split."""
    tune_loss_calibrated: float
    """At the best temperature."""
    tune_accuracy: float
    """0 to 1."""
    images: int
    """Gone through in it."""
    seconds: float
    """Its steps alone, without measuring."""
    note: str = ""
    """What changed with it, as a sentence; nothing where all is as it was."""


@dataclass(frozen=True)
class Step:
    """What a finished step tells."""

    number: int
    """From 1; 0 is before the first step."""
    rate: float
    """The step size; of Muon's weights it is another one, in a fixed proportion to this."""
    loss: float
    """Before the step, as trained. NaN for step 0."""
    epoch: Epoch | None = None
    """Where one has ended with this step; epoch 0 for step 0."""
    of: int | None = None
    """Steps of the whole fit, as far as is known by now; None: nothing changed that."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A finished fit; the classifier, on the CPU again, holds the weights that were kept."""

    epochs: tuple[Epoch, ...]
    best: Epoch
    """The one whose weights were kept: the last, unless tune chose another."""
    seconds: float
    """All of it, with measuring; of a resumed fit, all its parts together."""
    recipe: Recipe | None = None
    """By which, where it is not the one that the fit began with: the images turned out to be hard."""
    backbone: BackboneFacts | None = None
    """What gave the features, where the network is not our own."""
    head: HeadFacts | None = None
    """How the head on it was chosen, where the backbone stayed as it was."""
    folds: tuple[Judge, ...] = ()
    """Models that were fitted to all but a fold of fit, each with that fold; none where nobody asked for them."""
