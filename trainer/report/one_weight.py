"""Data for the script with which readers change one weight of the last layer and see the scores change.

The last layer is a sum: each input times its weight, plus a bias. The inputs of a single layer are the pixels; those of
other models are the features that the layers before it compute.
"""

import base64
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np
import torch
from torch import nn

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.networks import Linear as SingleLayer
from vouch.trainer.learn.one_thread import one_thread
from vouch.trainer.report.finished import Run
from vouch.trainer.report.pictures import image_tile
from vouch.trainer.report.wording import short

MOST_IMAGES, MOST_CLASSES = 3, 12
WHOLE_GRID = 1024
"""Images with up to this many pixels are shown with all weights; otherwise only some weights are shown."""
SOME, SOME_COLUMNS = 64, 8
"""Number of shown inputs, those with the largest effect on the scores, and of columns; the others are one number."""
CHANGES = 100
"""Steps of the slider in each direction."""
SIDE = 64
"""CSS pixels of an image to choose."""


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The inputs, weights and biases of a model's last layer for some images."""

    inputs: np.ndarray
    """float32, shape (N, D)."""
    weights: np.ndarray
    """float32, shape (K, D); with two classes and one score, the first has weights of 0."""
    biases: np.ndarray
    """float32, shape (K,)."""

    @property
    def scores(self) -> np.ndarray:
        """float64, shape (N, K), before division by the temperature."""
        found: np.ndarray = self.inputs.astype(np.float64) @ self.weights.T + self.biases
        return found


@torch.no_grad()
def last_layer(classifier: Classifier, images: np.ndarray) -> LastLayer:
    """The last layer of a classifier, with its inputs for these images.

    Args:
        classifier: fitted, on the CPU, in evaluation mode.
        images: uint8, shape (N, H, W) or (N, H, W, C): only a few.
    """
    inputs, last = classifier.normalised(torch.from_numpy(images)), classifier.network
    if isinstance(last, nn.Sequential):
        inputs, last = last[:-1](inputs), last[-1]
    assert isinstance(last, nn.Linear | SingleLayer), "every network ends in a sum"
    weights, biases = last.weight.numpy(), last.bias.numpy()
    if len(weights) == 1 and classifier.task == "single_label":
        weights, biases = (np.concatenate([np.zeros_like(values), values]) for values in (weights, biases))
    return LastLayer(inputs.flatten(1).numpy(), weights, biases)


def one_weight(run: Run) -> dict[str, Any]:
    """What the template and its script need."""
    part, names = run.splits.validation, run.splits.classes
    rows = chosen_rows(run.exam.probabilities, run.several)
    images = part.images[rows]
    with one_thread():  # only a few images are answered
        layer = last_layer(run.classifier, images)
    classes = _classes(layer.scores, part.labels[rows])
    shown = _Shown.of(run, layer, classes)
    fixed = [0] if len(names) == 2 and not run.several else []
    true = [[place for place, k in enumerate(classes) if _is_true(part.labels[row], k)] for row in rows]
    changeable = [place for place, k in enumerate(classes) if k not in fixed]
    return {
        "tiles": [image_tile(image, f"validation image {row}", SIDE) for row, image in zip(rows, images, strict=True)],
        "classes": [names[k] for k in classes],
        "changeable": [(place, names[classes[place]]) for place in changeable],
        "pixels": shown.pixels,
        "count": len(shown.inputs),
        "all": layer.inputs.shape[1],
        "temperature": run.exam.calibration.temperature,
        "changes": CHANGES,
        "data": {
            "columns": shown.columns,
            "inputs": shown.names,
            "temperature": run.exam.calibration.temperature,
            "thresholds": [run.exam.thresholds[k] for k in classes] if run.exam.thresholds else None,
            "scale": [float(run.classifier.mean.flatten()[0]), float(run.classifier.scale.flatten()[0])],
            "classes": [
                {
                    "name": short(names[k]),
                    "bias": float(layer.biases[k]),
                    "weights": None if k in fixed else _packed(layer.weights[k, shown.inputs]),
                }
                for k in classes
            ],
            "images": _images(run, layer, classes, shown.inputs, true),
            "limits": [_limit(layer.weights[classes]), _limit(layer.inputs[:, shown.inputs])],
            "step": _step(layer),
            "first": {
                "k": next((place for place in true[0] if place in changeable), changeable[0]),
                "input": int(np.abs(layer.inputs[0, shown.inputs]).argmax()),
            },
        },
    }


def chosen_rows(probabilities: np.ndarray, several: bool) -> np.ndarray:
    """Rows of the validation images to show: the one with the least confident answer, and the first ones.

    Args:
        probabilities: shape (N, K).
        several: whether an image may have several labels.
    """
    sure = np.abs(probabilities - 0.5).min(axis=1) if several else probabilities.max(axis=1)
    return np.array(list(dict.fromkeys([int(sure.argmin()), *range(len(sure))]))[:MOST_IMAGES])


def _classes(scores: np.ndarray, labels: np.ndarray) -> list[int]:
    """The shown classes: all if they are few, otherwise the most probable ones and the labels of each image."""
    count = scores.shape[1]
    if count <= MOST_CLASSES:
        return list(range(count))
    best = np.argsort(-scores, axis=1, kind="stable")
    true = np.nonzero(labels)[1].tolist() if labels.ndim == 2 else labels.tolist()
    return sorted(list(dict.fromkeys([*best[:, :2].flatten().tolist(), *true, *best[0].tolist()]))[:MOST_CLASSES])


@dataclass(frozen=True, eq=False)
class _Shown:
    """The inputs whose weights can be changed, and their layout."""

    inputs: np.ndarray
    """Their places in the last layer."""
    columns: int
    names: list[str] | None
    """Names of the inputs; None if they are all pixels of a grey image."""
    pixels: bool

    @classmethod
    def of(cls, run: Run, layer: LastLayer, classes: list[int]) -> "_Shown":
        shape, count = run.splits.validation.images.shape[1:], layer.inputs.shape[1]
        pixels = isinstance(run.classifier.network, SingleLayer) and not isinstance(run.classifier, FrozenClassifier)
        if pixels and len(shape) == 2 and count <= WHOLE_GRID:
            return cls(np.arange(count), shape[1], None, pixels)
        effects = np.abs(layer.inputs).max(axis=0) * np.abs(layer.weights[classes]).max(axis=0)
        largest = np.argsort(-effects, kind="stable")[:SOME]
        names = [_pixel_name(int(place), shape) if pixels else f"{place + 1:,}" for place in largest]
        return cls(largest, SOME_COLUMNS, names, pixels)


def _pixel_name(place: int, shape: tuple[int, ...]) -> str:
    """The place of a number of a flattened image, which has one channel after the other."""
    channel, row, column = np.unravel_index(place, (shape[2] if len(shape) == 3 else 1, *shape[:2]))
    return f"row {row + 1}, column {column + 1}" + (f", channel {channel + 1}" if len(shape) == 3 else "")


def _is_true(label: np.ndarray, k: int) -> bool:
    return bool(label[k]) if label.ndim else int(label) == k


def _images(
    run: Run, layer: LastLayer, classes: list[int], inputs: np.ndarray, true: list[list[int]]
) -> list[dict[str, Any]]:
    """For each image: its inputs, the part of each class's score from hidden inputs, and the hidden classes' share."""
    scores = layer.scores
    known = layer.inputs[:, inputs].astype(np.float64) @ layer.weights[classes][:, inputs].T + layer.biases[classes]
    others = np.delete(scores, classes, axis=1) / run.exam.calibration.temperature
    return [
        {
            "inputs": _packed(layer.inputs[row, inputs]),
            "rest": (scores[row, classes] - known[row]).tolist(),
            "others": None if run.several or not others.size else float(np.logaddexp.reduce(others[row])),
            "true": true[row],
        }
        for row in range(len(scores))
    ]


def _step(layer: LastLayer) -> float:
    """The change of a weight per step of the slider; its full range is enough to change any image's answer."""
    best = np.sort(layer.scores, axis=1)
    needed = (best[:, -1] - best[:, -2]) / np.abs(layer.inputs).max(axis=1).clip(min=1e-6)
    least = max(float(needed.max()), _limit(layer.weights)) / CHANGES
    power = 10.0 ** floor(log10(least)) if least > 0 else 1e-3
    return float(next(digit * power for digit in (1, 2, 5, 10, 20) if digit * power >= least))


def _limit(values: np.ndarray) -> float:
    """The value that gets full colour: a high quantile."""
    return float(np.quantile(np.abs(values), 0.995)) or 1.0


def _packed(values: np.ndarray) -> str:
    """Exactly these float32 numbers, in base64 for a script."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode()
