"""Which validation images a published model answers right, in a form that can be matched with another model's."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from vouch.bundle.accuracy import COUNTING_BATCH, Accuracy
from vouch.bundle.answers import answers_of, names_of
from vouch.bundle.listed import MODEL
from vouch.bundle.opening import Bundle
from vouch.bundle.stated import Stated
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.graph import answers

Example = tuple[bytes, tuple[str, ...], int]
"""An image's digest, the names of its labels, and how many equal ones came before: a split may repeat an image."""


@dataclass(frozen=True)
class RightAnswers:
    """A model's answers to its validation images."""

    by_example: dict[Example, bool]
    """Whether the answer was right: the one label, or exactly all labels of the image."""

    @property
    def counted(self) -> Accuracy:
        """Right answers, counted as in the claim."""
        return Accuracy(correct=sum(self.by_example.values()), total=len(self.by_example))


def right_answers(bundle: Bundle) -> RightAnswers:
    """The answers stored in a bundle for its validation split; before format 3 none were stored, so the graph is run.
    All files are checked against the manifest's hashes.

    Raises:
        BundleError: a file is not the published one, or the claim does not follow from the answers.
        TrainError: the graph cannot be run, or does not return a probability for each label.
    """
    stated, names = Stated(bundle.manifest), bundle.manifest.labels
    counted = None if bundle.manifest.has_answers else _run(bundle)
    times: Counter[tuple[bytes, tuple[str, ...]]] = Counter()
    found: dict[Example, bool] = {}
    for piece in bundle.read_pieces(COUNTING_BATCH):
        if counted is None:
            assert piece.claimed is not None  # format 3 has answers
            stated.add(piece.claimed)
            right = piece.claimed.right
        else:
            right, counted = counted[: len(piece)], counted[len(piece) :]
        for image, labels, is_right in zip(piece.images, piece.labels, right.tolist(), strict=True):
            example = _digest(image), tuple(sorted(names_of(labels, names)))
            found[*example, times[example]] = is_right
            times[example] += 1
    if counted is None:
        stated.check()
    return RightAnswers(found)


def _digest(image: bytes | np.ndarray) -> bytes:
    content = image if isinstance(image, bytes) else np.ascontiguousarray(image).data
    return hashlib.blake2b(content, digest_size=16).digest()


def _run(bundle: Bundle) -> np.ndarray:
    """Which images the graph answers right: bool, shape (N,)."""
    validation = bundle.read_validation()
    probabilities = _probabilities(bundle, validation.images)
    return answers_of(validation.labels, probabilities, bundle.manifest.thresholds).right


def _probabilities(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    graph, path = bundle.read_model(), bundle.path / MODEL
    try:
        probabilities = answers(graph, images)
    except Exception as err:  # ONNX Runtime's exceptions have no common base class
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise TrainError(f"{path} cannot be run: {reason}") from err
    expected = (len(images), len(bundle.manifest.labels))
    if probabilities.shape != expected:
        raise TrainError(f"{path} returns probabilities of shape {probabilities.shape}; expected {expected}")
    if not np.isfinite(probabilities).all():
        raise TrainError(f"{path} returns probabilities that are not finite")
    return probabilities
