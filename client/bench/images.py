"""The images that are sent, and the answer to each when sent alone: the reference for all later answers."""

from dataclasses import dataclass

import numpy as np

from vouch.cli.console import say
from vouch.client.client import Client
from vouch.client.labelled import examples_to_count
from vouch.client.messages import Prediction
from vouch.client.models import ModelVersion
from vouch.sources.load import load_as

COUNT = 64
"""At most this many images are sent, again and again."""
SEED = 0
"""Seed of the random images."""
TOO_CLOSE = 1e-4
"""Two probabilities this close may swap ranks with the batch size: sums are rounded differently."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Images, with the answer to each from a call with only this image."""

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C), 1 <= N."""
    answers: tuple[tuple[str, ...], ...]
    """For each image its label, or for a multi-label model its labels, sorted by name."""

    @property
    def distinct(self) -> int:
        """The number of different answers."""
        return len(set(self.answers))


def take_reference(client: Client, model: ModelVersion, data: str) -> Reference:
    """The reference, from calls to the server with one image each.

    Args:
        model: the version that is called.
        data: labelled images, as `vouch evaluate --data` takes them; empty for random pixels.

    Raises:
        CallFailed: a call failed.
        SourceError: `data` does not give such images.
    """
    images = _labelled(data, model) if data else _random(model)
    answers: list[tuple[str, ...]] = []
    clear: list[int] = []
    for row in range(len(images)):
        one = client.predict(images[row : row + 1], model.name, model.version, top_k=len(model.labels))[0]
        answers.append(answer_of(one))
        if _is_clear(one, model):
            clear.append(row)
    kept = clear or range(len(images))
    return Reference(images[list(kept)], tuple(answers[row] for row in kept))


def answer_of(prediction: Prediction) -> tuple[str, ...]:
    """The label, or all labels of a multi-label model's answer, sorted by name."""
    return (prediction.label,) if prediction.label_set is None else tuple(sorted(prediction.label_set))


def _random(model: ModelVersion) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (COUNT, *model.input_shape), dtype=np.uint8)


def _labelled(data: str, model: ModelVersion) -> np.ndarray:
    """Evenly spaced over the data, which may be sorted by label."""
    source = load_as(data, model.pixels)
    for line in source.left_out.warnings():
        say(f"warning: {line}")
    examples = examples_to_count(source)
    rows = np.unique(np.linspace(0, len(examples) - 1, COUNT).astype(np.int64))
    return examples.images[rows]


def _is_clear(one: Prediction, model: ModelVersion) -> bool:
    """Whether rounding cannot change the answer."""
    if one.label_set is None:
        (_, first), *others = one.top
        return not others or first - others[0][1] > TOO_CLOSE
    thresholds = dict(zip(model.labels, model.thresholds, strict=True))
    return all(abs(probability - thresholds[label]) > TOO_CLOSE for label, probability in one.top)
