"""What a fit tells of itself: after a step, after an epoch, at its end. Values alone, for whoever reports them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """How it stood after an epoch; epoch 0 is before training."""

    number: int
    fit_loss: float
    """Mean over the epoch's images, as trained: with augmentation and label smoothing. NaN for epoch 0."""
    fit_accuracy: float
    """0 to 1, likewise: each image answered just before the step that learns from it. NaN for epoch 0."""
    tune_loss: float
    tune_loss_calibrated: float
    """At the best temperature, which is what will be exported; the best epoch is the one where it is lowest."""
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


@dataclass(frozen=True)
class Fitted:
    """A finished fit; the classifier, on the CPU again, holds the weights of the best epoch."""

    epochs: tuple[Epoch, ...]
    best: Epoch
    """The one with the lowest calibrated loss on tune."""
    seconds: float
    """All of it, with measuring; of a resumed fit, all its parts together."""
