"""The claim: right answers of the exported graph, in ONNX Runtime, on images that were never seen."""

import numpy as np
import onnxruntime as ort

from bundle.accuracy import COUNTING_BATCH, Tally
from bundle.claims import Claim


def answers(graph: bytes, images: np.ndarray) -> np.ndarray:
    """The exported graph's probabilities for a split, run in batches as the server runs its recount.

    Args:
        graph: the .onnx file's content.
        images: uint8, shape (N, H, W) or (N, H, W, C).

    Returns:
        float32, shape (N, K).
    """
    session = _session(graph)
    batches = (images[start : start + COUNTING_BATCH] for start in range(0, len(images), COUNTING_BATCH))
    return np.concatenate([session.run(["probabilities"], {"images": batch})[0] for batch in batches])


def count_claim(probabilities: np.ndarray, labels: np.ndarray) -> Claim:
    """The claim that these answers to the validation split make.

    Args:
        probabilities: floats, shape (N, K).
        labels: integers, shape (N,).
    """
    tally = Tally(probabilities.shape[1])
    tally.add(labels, probabilities)
    return Claim.of(tally)


def run_graph(graph: bytes, images: np.ndarray) -> np.ndarray:
    """Probabilities of one batch, float32, shape (N, K)."""
    probabilities: np.ndarray = _session(graph).run(["probabilities"], {"images": images})[0]
    return probabilities


def _session(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
