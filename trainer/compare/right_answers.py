"""Which images of its own validation split a published model answers rightly, known again among those of another."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.digest import image_digests
from vouch.bundle.manifest import MODEL, Manifest
from vouch.bundle.multi_label import decide
from vouch.bundle.store import Bundle
from vouch.bundle.validation import Validation
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.graph import answers

Example = tuple[bytes, tuple[str, ...], int]
"""An image's digest, the names of its labels, and how many like it came before: a split may hold it several times."""


@dataclass(frozen=True)
class RightAnswers:
    """A model's answers to the images that it was validated on."""

    by_example: dict[Example, bool]
    """Whether the image was answered rightly: its one label, or all of its several and no others."""

    @property
    def counted(self) -> Accuracy:
        """All of them, as the claim counts."""
        return Accuracy(correct=sum(self.by_example.values()), total=len(self.by_example))


def right_answers(bundle: Bundle) -> RightAnswers:
    """Runs a bundle's graph on the bundle's own validation split, both held against the manifest's hashes.

    Raises:
        BundleError: a file is not the published one.
        TrainError: the graph cannot be run, or does not answer with a probability for each label.
    """
    validation = bundle.read_validation()
    right = _are_right(_probabilities(bundle, validation.images), validation, bundle.manifest)
    digests = [digest.tobytes() for digest in image_digests(validation.images)]
    names = _label_names(validation, bundle.manifest.labels)
    times: Counter[tuple[bytes, tuple[str, ...]]] = Counter()
    found: dict[Example, bool] = {}
    for digest, of_image, is_right in zip(digests, names, right.tolist(), strict=True):
        found[digest, of_image, times[digest, of_image]] = is_right
        times[digest, of_image] += 1
    return RightAnswers(found)


def _probabilities(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    graph, path = bundle.read_model(), bundle.path / MODEL
    try:
        probabilities = answers(graph, images)
    except Exception as err:  # ONNX Runtime's exceptions have no common base of their own
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise TrainError(f"{path} cannot be run: {reason}") from err
    expected = (len(images), len(bundle.manifest.labels))
    if probabilities.shape != expected:
        raise TrainError(f"{path} answers with probabilities of shape {probabilities.shape}; expected {expected}")
    if not np.isfinite(probabilities).all():
        raise TrainError(f"{path} answers with probabilities that are not finite")
    return probabilities


def _are_right(probabilities: np.ndarray, validation: Validation, manifest: Manifest) -> np.ndarray:
    """Bool, shape (N,)."""
    if manifest.thresholds is None:
        return np.asarray(probabilities.argmax(axis=1) == validation.labels)
    return np.asarray((decide(probabilities, manifest.thresholds) == validation.labels).all(axis=1))


def _label_names(validation: Validation, labels: tuple[str, ...]) -> list[tuple[str, ...]]:
    """By name, because another bundle may have the same labels in another order."""
    if validation.labels.ndim == 1:
        return [(labels[label],) for label in validation.labels.tolist()]
    return [tuple(sorted(labels[k] for k in np.flatnonzero(row))) for row in validation.labels]
