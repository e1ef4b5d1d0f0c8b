"""What the report is told about a finished training, as values; whoever calls it has them at hand."""

from dataclasses import dataclass

import numpy as np

from bundle.accuracy import Accuracy
from bundle.manifest import Calibration, Training
from trainer.fit import Fitted
from trainer.models import Classifier
from trainer.recipes import Recipe
from trainer.splits import Splits


@dataclass(frozen=True)
class Digests:
    """SHA-256 of one thing before and after the fit."""

    before: str
    after: str


@dataclass(frozen=True)
class Int8:
    """The smaller graph beside the float one, on tune."""

    differing: int
    """Tune images that they answer differently."""
    float_tune: Accuracy
    tune: Accuracy


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training."""

    name: str
    """Of the model."""
    classifier: Classifier
    """With the weights that were kept, on the CPU."""
    splits: Splits
    recipe: Recipe
    fitted: Fitted
    training: Training
    probabilities: np.ndarray
    """float32, shape (N, K): the exported graph's answers to validation, the very ones the claim counts."""
    claim: Accuracy
    images: Digests
    """Of all splits' images and labels."""
    weights: Digests
    onnx_difference: float | None = None
    """Largest difference of a probability between PyTorch and the exported graph."""
    calibration: Calibration | None = None
    int8: Int8 | None = None
    thresholds: np.ndarray | None = None
    """floats, shape (K,), where an image may have several labels: each is answered from its threshold on. None: 0.5."""

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.splits.validation.labels.ndim == 2
