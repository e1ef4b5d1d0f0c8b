"""Exports the fitted classifier as one ONNX file: raw pixels in, probabilities and logits out.

Every step from a pixel to a probability is inside the graph, so no caller can do it differently.
"""

import numpy as np
import torch

from vouch.sources.images import Images
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.graph import run_graph
from vouch.trainer.judge.head_graph import head_graph
from vouch.trainer.judge.network_graph import network_graph
from vouch.trainer.learn.backbone.joined import joined
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier

CHECKED_BATCHES = (1, 2, 3, 64)
"""Batch sizes at which the graph is compared with PyTorch."""
CHECKED_PHOTOS = (1, 2, 3, 8)
"""The same for a backbone, which takes longer for one image than our networks for a hundred."""
TOLERANCE = 1e-4
"""Largest difference in a probability between PyTorch and ONNX Runtime that counts as rounding."""


def export(classifier: Classifier, image_shape: tuple[int, ...], temperature: float = 1.0) -> bytes:
    """The .onnx file: opset 20, one file, a dynamic batch axis, nothing about the machine that made it.

    Args:
        classifier: fitted, on the CPU, in evaluation mode.
        image_shape: (H, W) or (H, W, C).
        temperature: what scores are divided by.
    """
    if isinstance(classifier, FrozenClassifier):
        return joined(classifier.backbone, head_graph(classifier, temperature))
    return network_graph(classifier, image_shape, temperature)


def check_agreement(classifier: Classifier, graph: bytes, images: Images, temperature: float = 1.0) -> float:
    """Compares the exported graph with PyTorch at several batch sizes.

    Args:
        images: uint8, shape (N, ...); repeated if there are fewer than a batch needs.

    Returns:
        the largest difference in a probability.

    Raises:
        TrainError: they differ by more than rounding explains.
    """
    worst = 0.0
    for size in CHECKED_PHOTOS if isinstance(classifier, FrozenClassifier) else CHECKED_BATCHES:
        batch = images[np.arange(size) % len(images)]
        with torch.no_grad():
            logits = classifier(torch.from_numpy(batch)) / temperature
            expected = classifier.probabilities(logits).numpy()
        worst = float(np.maximum(worst, np.abs(run_graph(graph, batch) - expected).max()))  # NaN stays NaN
    if not worst <= TOLERANCE:
        raise TrainError(
            f"the exported graph's probabilities differ from PyTorch's by {worst:.2g}; nothing is published"
        )
    return worst
