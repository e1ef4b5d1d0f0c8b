"""The claim: right answers of the exported graph in ONNX Runtime, on images not used in training."""

import numpy as np
import onnxruntime as ort

from vouch.bundle.accuracy import counting_batch
from vouch.bundle.claims import Claim, MultiLabelClaim, claim_from
from vouch.bundle.multi_label import MultiLabelTally
from vouch.bundle.tally import Tally
from vouch.sources.images import Images, batches
from vouch.trainer.errors import TrainError


def answers(graph: bytes, images: Images) -> np.ndarray:
    """The exported graph's probabilities for a split, run in batches as the server runs its recount.

    Args:
        graph: the .onnx file's content.
        images: uint8, shape (N, H, W) or (N, H, W, C).

    Returns:
        float32, shape (N, K).
    """
    return outputs_of(graph, images, "probabilities")[0]


def answers_and_logits(graph: bytes, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """As `answers`, with the logits; both float32, shape (N, K)."""
    probabilities, logits = outputs_of(graph, images, "probabilities", "logits")
    return probabilities, logits


def outputs_of(graph: bytes, images: Images, *names: str) -> list[np.ndarray]:
    """Outputs of the graph, by name, float32 of shape (N, ...); run in batches as `answers`.

    Batches are written directly into the result: with thousands of classes, a second copy would need too much memory.
    """
    session, wholes, done = _session(graph), list[np.ndarray](), 0
    for batch in batches(images, most=counting_batch(images.shape[1:])):
        found = session.run(list(names), {"images": batch})
        wholes = wholes or [np.empty((len(images), *one.shape[1:]), one.dtype) for one in found]
        for whole, part in zip(wholes, found, strict=True):
            whole[done : done + len(batch)] = part
        done += len(batch)
    return wholes


def check_finite(split: str, *outputs: np.ndarray) -> None:
    """Checks that outputs are finite numbers.

    Args:
        outputs: of the graph for this split, shape (N, K) each.

    Raises:
        TrainError: some are NaN or infinite; they give no answer, and a server refuses such a version.
    """
    finite = np.logical_and.reduce([np.isfinite(output).all(axis=1) for output in outputs])
    if not finite.all():
        raise TrainError(
            f"the exported graph gives values that are not finite for {np.count_nonzero(~finite):,} of "
            f"{len(finite):,} {split} images; nothing is published"
        )


def count_claim(
    probabilities: np.ndarray, labels: np.ndarray, thresholds: tuple[float, ...] | None = None
) -> Claim | MultiLabelClaim:
    """The claim, from the answers to the validation split.

    Args:
        probabilities: float32, shape (N, K).
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        thresholds: K of them, for a multi-label model.
    """
    tally = Tally() if thresholds is None else MultiLabelTally(thresholds)
    tally.add(labels, probabilities)
    return claim_from(tally)


def run_graph(graph: bytes, images: np.ndarray) -> np.ndarray:
    """Probabilities of one batch, float32, shape (N, K)."""
    probabilities: np.ndarray = _session(graph).run(["probabilities"], {"images": images})[0]
    return probabilities


def _session(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised anyway; the log would print the graph's names unescaped
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other programs may need the cores
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never guess the format, which was checked
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
