"""The claim: right answers of the exported graph, in ONNX Runtime, on images that were never seen."""

import numpy as np
import onnxruntime as ort

from bundle.accuracy import COUNTING_BATCH, Tally
from bundle.manifest import Claim
from bundle.validation import Validation


def count_claim(graph: bytes, validation: Validation, classes: int) -> Claim:
    """Runs the validation split once.

    Args:
        graph: the .onnx file's content.
        classes: K.
    """
    session = _session(graph)
    tally = Tally(classes)
    for start in range(0, len(validation), COUNTING_BATCH):
        rows = slice(start, start + COUNTING_BATCH)
        (probabilities,) = session.run(["probabilities"], {"images": validation.images[rows]})
        tally.add(validation.labels[rows], probabilities)
    return Claim.of(tally)


def run_graph(graph: bytes, images: np.ndarray) -> np.ndarray:
    """Probabilities of one batch, float32, shape (N, K)."""
    probabilities: np.ndarray = _session(graph).run(["probabilities"], {"images": images})[0]
    return probabilities


def _session(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
