"""The opposite of training: the weights stay, and gradient descent changes the image until the answer is a given class.

Nothing is learned; it shows which patterns a network uses to recognise that class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vouch.trainer.learn.networks import Classifier
from vouch.trainer.report.looks import probabilities_of

LARGEST_CHANGE, FASTEST_CHANGE = 4.0, 16.0
"""Change of the most important pixel per step, in grey levels of 255: for small images, and the most for large ones."""
MAX_CHANGES, MIN_CHANGES = 250, 30
WORK = 9_000_000
"""Pixel values processed in all: images with more than 36,000 of them get fewer and larger changes."""
SURE = 0.99
MAX_FRAMES = 10


@dataclass(frozen=True, eq=False)
class Frame:
    """The image after some changes."""

    change: int
    """Number of steps made; 0 is the blank image."""
    image: np.ndarray
    """uint8, shape (H, W) or (H, W, C)."""
    probability: float
    """Of the wanted class."""
    answer: int


@dataclass(frozen=True, eq=False)
class Opposite:
    """How a blank image was changed until the answer was the wanted class."""

    wanted: int
    frames: tuple[Frame, ...]
    """Some of the images, including the first and the last."""
    course: tuple[float, ...]
    """The wanted class's probability after each change, the blank image first."""
    called_after: int | None
    """Number of changes after which it first was the answer; None if it never was."""
    most: int
    """Limit for the number of changes."""
    largest: float
    """Change of the most important pixel in one step, in grey levels."""

    @property
    def sure(self) -> bool:
        """Whether the final probability is at least 99 %."""
        return self.frames[-1].probability >= SURE


def wanted_class(classes: tuple[str, ...]) -> int:
    """The target class for the blank image: 3, if there is one, otherwise the fourth, otherwise the last."""
    return classes.index("3") if "3" in classes else min(3, len(classes) - 1)


def opposite_experiment(model: Classifier, image_shape: tuple[int, ...], wanted: int, several: bool) -> Opposite:
    """Changes a black image step by step towards a class; the model stays unchanged.

    The answers are for the image rounded to whole grey levels, as it could be stored and sent.

    Args:
        image_shape: (H, W) or (H, W, C).
        several: whether the model is multi-label.
    """
    model.eval()
    image = torch.zeros(1, *image_shape)
    most = max(MIN_CHANGES, min(MAX_CHANGES, WORK // image.numel()))
    step = min(FASTEST_CHANGE, LARGEST_CHANGE * MAX_CHANGES / most)
    frames: list[Frame] = []
    while True:
        frame, slope = _look(model, image, wanted, len(frames), several)
        frames.append(frame)
        if frame.probability >= SURE or len(frames) > most:
            break
        inside = ((slope < 0) & (image < 255)) | ((slope > 0) & (image > 0))  # a black pixel cannot become darker
        largest = (slope.abs() * inside).max()
        if largest == 0:
            break
        image = (image - slope / largest * step).clamp(0, 255)
    called = (frame.change for frame in frames if _is_called(frame, wanted, several))
    return Opposite(
        wanted=wanted,
        frames=_some(frames),
        course=tuple(frame.probability for frame in frames),
        called_after=next(called, None),
        most=most,
        largest=step,
    )


def _is_called(frame: Frame, wanted: int, several: bool) -> bool:
    return frame.probability > 0.5 if several else frame.answer == wanted


def _look(model: Classifier, image: Tensor, wanted: int, change: int, several: bool) -> tuple[Frame, Tensor]:
    """The answer to the image in whole grey levels, and the gradient of the loss for its pixels."""
    pixels = image.round().requires_grad_()
    scores = model(pixels)
    if several:
        loss = -functional.logsigmoid(scores[0, wanted])
    else:
        loss = functional.cross_entropy(scores, torch.tensor([wanted]))
    (slope,) = torch.autograd.grad(loss, pixels)
    shares = probabilities_of(scores.detach(), several)[0]
    shown = pixels.detach()[0].to(torch.uint8).numpy()
    return Frame(change, shown, float(shares[wanted]), int(shares.argmax())), slope


def _some(frames: list[Frame]) -> tuple[Frame, ...]:
    places = np.unique(np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int))
    return tuple(frames[place] for place in places)
