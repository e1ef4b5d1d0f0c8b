"""Records a fit for the report. Reads the model, never changes it.

The record is bounded: a copy of the first weights, and for some epochs the answer to one image and small pictures.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vouch.bundle.training import Loss
from vouch.trainer.learn.course import Epoch, Step
from vouch.trainer.learn.losses import Criterion
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.report.looks import probabilities_of, shown_classes, templates
from vouch.trainer.report.series import Thinned
from vouch.trainer.splits.split import Splits

MAX_STEPS = 1024
MAX_MOMENTS = 256
MAX_PICTURED = 8


@dataclass(frozen=True)
class Moment:
    """How the model answered the first image after an epoch; epoch 0 is before training."""

    epoch: int
    probabilities: list[float]
    """Of the shown classes, in their order."""
    truth: float
    """The probability of the image's label; multi-label: the mean of its labels."""
    answer: int
    """The most probable class."""
    loss: float
    """Of only this image, without label smoothing."""


@dataclass(frozen=True)
class FirstStep:
    """The effect of the run's first step."""

    rate: float
    loss: float
    """Of the first image, after it."""
    truth: float
    """The probability of the first image's label, after it."""
    relative_change: float
    """Length of the step divided by the length of the weights, all as one vector."""


class Recorder:
    """Receives every step of a fit; its state is stored with the fit's, so a resumed fit has a complete report."""

    def __init__(
        self,
        classifier: Classifier,
        splits: Splits,
        loss: Loss,
        target: int,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> None:
        """
        Args:
            classifier: with its first weights, about to be fitted.
            splits: the first image of fit is followed.
            loss: as trained.
            target: a class that must be among the shown ones.
            on_epoch: called after every epoch.
        """
        self.on_epoch = on_epoch
        self.image = torch.from_numpy(np.array(splits.fit.images[:1]))
        """uint8, shape (1, H, W) or (1, H, W, C)."""
        self.label = torch.from_numpy(np.array(splits.fit.labels[:1]))
        """int64 of shape (1,), or bool of shape (1, K)."""
        self.loss = loss
        self.shown = shown_classes(len(splits.classes), (*true_classes(self.label)[:3], target), self.several)
        """Classes that have pictures."""
        self._model = classifier
        self._copy = deepcopy(classifier)  # used for answers: on the CPU, uncompiled, always in evaluation mode
        self._begin()

    def _begin(self) -> None:
        """Clears the record, also when a fit restarts."""
        self.first_weights: dict[str, Tensor] = {}
        """The model's whole state before the first step, on the CPU."""
        self.first_step: FirstStep | None = None
        self.steps: Thinned[tuple[int, float, float]] = Thinned(MAX_STEPS)
        """Number, rate and loss of steps."""
        self.moments: Thinned[Moment] = Thinned(MAX_MOMENTS)
        self.pictured: Thinned[tuple[int, Tensor]] = Thinned(MAX_PICTURED)
        """Epochs, with their first layer as pictures: float32, shape (M, h, w)."""

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.label.ndim == 2

    def __call__(self, step: Step) -> None:
        """Records a step; expensive only for the first step and at the end of an epoch."""
        if step.number == 0:
            self._begin()
            self._read_weights()
            self.first_weights = {name: value.clone() for name, value in self._copy.state_dict().items()}
        else:
            self.steps.append((step.number, step.rate, step.loss))
        if step.number == 1:
            self._read_weights()
            after = self._moment(0)
            self.first_step = FirstStep(step.rate, after.loss, after.truth, self._relative_change())
        if step.epoch:
            self._read_weights()
            self.moments.append(self._moment(step.epoch.number))
            shape = tuple(self.image.shape[1:])
            self.pictured.append((step.epoch.number, torch.from_numpy(templates(self._copy, shape, self.shown))))
            self.on_epoch(step.epoch)

    def with_first_weights(self) -> Classifier:
        """A copy of the model from before the first step."""
        self._copy.load_state_dict(self.first_weights)
        return self._copy.eval()

    def state_dict(self) -> dict[str, Any]:
        """The record as tensors, numbers and lists."""
        return {
            "first_weights": self.first_weights,
            "first_step": asdict(self.first_step) if self.first_step else None,
            "steps": [self.steps.state(), list(self.steps)],
            "moments": [self.moments.state(), [asdict(moment) for moment in self.moments]],
            "pictured": [self.pictured.state(), list(self.pictured)],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the record; the model must have its state already."""
        self._read_weights()
        self.first_weights = state["first_weights"]
        self.first_step = FirstStep(**state["first_step"]) if state["first_step"] else None
        self.steps = Thinned.restored(*state["steps"])
        kept, moments = state["moments"]
        self.moments = Thinned.restored(kept, [Moment(**moment) for moment in moments])
        self.pictured = Thinned.restored(*state["pictured"])

    def _read_weights(self) -> None:
        if _shapes(self._copy) != _shapes(self._model):  # the fit restarted with other layers
            self._copy.network = deepcopy(self._model.network).to("cpu")
        self._copy.load_state_dict({name: value.detach().cpu() for name, value in self._model.state_dict().items()})

    @torch.no_grad()
    def _moment(self, epoch: int) -> Moment:
        self._copy.eval()
        scores = self._copy(self.image)
        probabilities = probabilities_of(scores, self.several)[0]
        return Moment(
            epoch=epoch,
            probabilities=probabilities[list(self.shown)].tolist(),
            truth=float(probabilities[true_classes(self.label)].mean()) if true_classes(self.label) else 0.0,
            answer=int(probabilities.argmax()),
            loss=Criterion(self.loss)(scores, self.label).item(),
        )

    def _relative_change(self) -> float:
        pairs = [(self.first_weights[name], weights) for name, weights in self._copy.named_parameters()]
        moved = sum(float(((after.detach() - before) ** 2).sum()) for before, after in pairs) ** 0.5
        length = sum(float((before**2).sum()) for before, _ in pairs) ** 0.5
        return moved / length if length else 0.0


def _shapes(classifier: Classifier) -> dict[str, torch.Size]:
    return {name: weights.shape for name, weights in classifier.named_parameters()}


def true_classes(label: Tensor) -> list[int]:
    """The classes of one example's label.

    Args:
        label: int64 of shape (1,), or bool of shape (1, K).
    """
    found: list[int] = label[0].nonzero().flatten().tolist() if label.ndim == 2 else label.tolist()
    return found
