"""Loss functions: how far the scores are from the labels, which training minimises."""

from dataclasses import dataclass
from math import log, nan

import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Loss
from vouch.trainer.learn.demand import demand_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import Pixels
from vouch.trainer.learn.temperature import calibrated_loss


@dataclass(frozen=True)
class Criterion:
    """A loss with its settings."""

    loss: Loss = "cross-entropy"
    """`cross-entropy`: minus the logarithm of the true class's probability; for two classes and one output this is
    binary cross-entropy, and so it is for every label of a multi-label model. `mse`: the mean squared difference
    between probabilities and 1 for what is true, 0 for the rest."""
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over all classes (multi-label: over yes and no)."""
    weights: Tensor | None = None
    """float32, shape (K,). Single-label: the weight of an example of each class. Multi-label: the weight of a label's
    presence relative to its absence. None: all the same."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch: the weighted mean of the losses from `each`; arguments as `each`."""
        return self.total(self.each(logits, labels), labels) / self.weight(labels)

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each answer, without weights.

        Args:
            logits: float32, shape (N, K).
            labels: int64, shape (N,); multi-label: bool, shape (N, K).

        Returns:
            shape (N,); multi-label: (N, K).
        """
        if labels.ndim == 2:
            return self._of_several(logits, labels.to(logits.dtype))
        if self.loss == "cross-entropy":
            return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        wanted = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
        return ((logits.softmax(dim=1) - wanted) ** 2).mean(dim=1)

    def total(self, losses: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses from `each`, each multiplied by the weight of its label.

        Torch's own `weight` and `pos_weight` are not used: they multiply the smoothed part of the target by the other
        classes' weights, so that the loss of a common class is smallest if a rare one is answered.
        """
        if self.weights is None:
            return losses.sum()
        return (losses * (self.weights[labels] if labels.ndim == 1 else self._of_presence(labels))).sum()

    def weight(self, labels: Tensor) -> Tensor:
        """The total weight of the images with these labels, by which a sum is divided to give the mean."""
        if self.weights is None or labels.ndim == 2:
            return torch.full((), float(labels.numel()), device=labels.device)  # on the device, so nothing waits
        return self.weights[labels].sum()

    def left(self, loss: float, classes: int, several: bool) -> float:
        """The share of what there was to learn that is left at a mean loss: 1 for uniform answers, 0 at the minimum.

        NaN if weights make the minimum different for every batch.
        """
        if several and self.weights is not None:
            return nan
        sides = 2 if several else classes
        if self.loss == "mse":
            return loss / (0.25 if several else (classes - 1) / classes**2)
        other = self.label_smoothing / sides
        true = 1 - (sides - 1) * other
        lowest = -true * log(true) - ((sides - 1) * other * log(other) if other else 0.0)
        return (loss - lowest) / (log(sides) - lowest)

    def _of_presence(self, labels: Tensor) -> Tensor:
        assert self.weights is not None
        return torch.where(labels, self.weights, 1.0)

    def _of_several(self, logits: Tensor, wanted: Tensor) -> Tensor:
        if self.loss == "cross-entropy":
            wanted = wanted * (1 - self.label_smoothing) + self.label_smoothing / 2
            return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return (logits.sigmoid() - wanted) ** 2

    def to(self, device: torch.device) -> "Criterion":
        """The same on a device."""
        return Criterion(self.loss, self.label_smoothing, None if self.weights is None else self.weights.to(device))


def answered_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each answer is right, bool, shape (N,): the label has the highest score; multi-label: every logit has the
    right sign.
    """
    if labels.ndim == 2:
        return ((logits > 0) == labels).all(dim=1)
    return logits.argmax(dim=1) == labels


def right_answers(logits: Tensor, labels: Tensor) -> int:
    """Number of right answers."""
    return int(answered_right(logits, labels).sum())


@dataclass(frozen=True)
class Measured:
    """Loss and accuracy on a split."""

    loss: float
    """Mean cross-entropy."""
    calibrated_loss: float
    """The same at the best temperature."""
    accuracy: float
    """0 to 1."""


@torch.no_grad()
def logits_of(model: Classifier, images: Pixels) -> Tensor:
    """The scores of all images, shape (N, K), with the current weights, computed in batches."""
    model.eval()
    most = demand_of(model, images.shape[1:]).measuring_batch()
    scores, done = torch.empty(0), 0
    for batch in images.batches(most):
        found = model(batch)
        if not done:  # written directly into the result, to save memory
            scores = found.new_empty((len(images), *found.shape[1:]))
        scores[done : done + len(batch)] = found
        done += len(batch)
    return scores


def measure(model: Classifier, images: Pixels, labels: Tensor) -> Measured:
    """Loss and accuracy on all images, with the current weights.

    Args:
        labels: as `Criterion` takes them.
    """
    return measured(logits_of(model, images), labels)


def measured(logits: Tensor, labels: Tensor) -> Measured:
    """Loss and accuracy of these scores; arguments as `Criterion` takes them."""
    loss = Criterion()(logits, labels).item()
    return Measured(loss, calibrated_loss(logits, labels), right_answers(logits, labels) / len(labels))
