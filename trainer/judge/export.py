"""The fitted classifier as one ONNX file: raw pixels in, probabilities and logits out.

Whatever lies between a pixel and a probability is inside the graph, so no caller can do it differently.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vouch.sources.images import Images
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.graph import run_graph
from vouch.trainer.judge.head_graph import head_graph
from vouch.trainer.learn.backbone.joined import joined
from vouch.trainer.learn.backbone.origin import forget_origin
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier

OPSET = 20
CHECKED_BATCHES = (1, 2, 3, 64)
CHECKED_PHOTOS = (1, 2, 3, 8)
"""Likewise of a backbone, which takes longer for one image than a network of ours for a hundred."""
TOLERANCE = 1e-4
"""Largest difference in a probability between PyTorch and ONNX Runtime that is put down to rounding."""


class Served(nn.Module):
    """What the exported graph computes."""

    def __init__(self, classifier: Classifier, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            images: uint8, shape (N, H, W) or (N, H, W, C).

        Returns:
            probabilities and logits, float32, each of shape (N, K); softmax of the logits, with several labels the
            sigmoid of each, is the probabilities, so the temperature is in both.
        """
        logits = self.classifier(images) / self.temperature
        return self.classifier.probabilities(logits), logits


def export(classifier: Classifier, image_shape: tuple[int, ...], temperature: float = 1.0) -> bytes:
    """The .onnx file: opset 20, one file, a free batch axis, no trace of the machine that made it.

    Args:
        classifier: fitted, on the CPU, in evaluation mode.
        image_shape: (H, W) or (H, W, C).
        temperature: what scores are divided by.
    """
    if isinstance(classifier, FrozenClassifier):
        return joined(classifier.backbone, head_graph(classifier, temperature))
    example = torch.zeros(2, *image_shape, dtype=torch.uint8)  # a batch of 1 would be taken for a constant
    with quiet_libraries():
        program = torch.onnx.export(
            Served(classifier, temperature).eval(),
            (example,),
            input_names=["images"],
            output_names=["probabilities", "logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def check_agreement(classifier: Classifier, graph: bytes, images: Images, temperature: float = 1.0) -> float:
    """Holds the exported graph against PyTorch at several batch sizes.

    Args:
        images: uint8, shape (N, ...); real ones, repeated where there are fewer than a batch has.

    Returns:
        the largest difference in a probability.

    Raises:
        TrainError: they differ by more than rounding explains.
    """
    worst = 0.0
    for size in CHECKED_PHOTOS if isinstance(classifier, FrozenClassifier) else CHECKED_BATCHES:
        batch = images[np.arange(size) % len(images)]
        with torch.no_grad():
            expected = Served(classifier, temperature)(torch.from_numpy(batch))[0].numpy()
        worst = float(np.maximum(worst, np.abs(run_graph(graph, batch) - expected).max()))  # NaN stays NaN
    if not worst <= TOLERANCE:
        raise TrainError(
            f"the exported graph's probabilities differ from PyTorch's by {worst:.2g}; nothing is published"
        )
    return worst


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """The exporter prints its progress and warns about its own internals; so does the quantizer."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
