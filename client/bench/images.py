"""Which images are sent, and what each of them was answered alone: what every later answer is held against."""

from dataclasses import dataclass

import numpy as np

from vouch.cli.console import say
from vouch.client.client import Client
from vouch.client.labelled import examples_to_count
from vouch.client.messages import Prediction
from vouch.client.models import ModelVersion
from vouch.sources.load import load_as

COUNT = 64
"""Images that are sent again and again."""
SEED = 0
"""Of the random images."""
TOO_CLOSE = 1e-4
"""Probabilities no further apart than this may change places with the batch size: sums are rounded otherwise."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Images with the answer to each, from a call with this image alone."""

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C), 1 <= N."""
    answers: tuple[tuple[str, ...], ...]
    """For each image its label, or for a multi-label model its labels in the order of their names."""

    @property
    def distinct(self) -> int:
        """How many answers differ from each other."""
        return len(set(self.answers))


def take_reference(client: Client, model: ModelVersion, data: str) -> Reference:
    """Calls the server with one image after another.

    Args:
        model: the version that is called.
        data: labelled images, as `vouch evaluate --data` takes them; empty for random pixels.

    Raises:
        CallFailed: a call failed.
        SourceError: there are no such images.
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
    """The label, or all labels of a multi-label model's answer in the order of their names."""
    return (prediction.label,) if prediction.label_set is None else tuple(sorted(prediction.label_set))


def _random(model: ModelVersion) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (COUNT, *model.input_shape), dtype=np.uint8)


def _labelled(data: str, model: ModelVersion) -> np.ndarray:
    """From all over the data: they may be in the order of their labels."""
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
