"""The numbers of the story: one image, random weights, scores, a loss, one step, and its result."""

from dataclasses import dataclass

import numpy as np
import torch

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.augment import warp
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.losses import Criterion
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.networks import Linear as SingleLayer
from vouch.trainer.learn.one_thread import one_thread
from vouch.trainer.report.looks import Look, look
from vouch.trainer.report.opposite import Opposite, opposite_experiment, wanted_class
from vouch.trainer.report.recorder import Recorder, true_classes
from vouch.trainer.splits.split import Splits

RATES = tuple(digit * 10.0**power for power in range(-5, 1) for digit in (1, 2, 5))
"""Learning rates that are tried for the step that is shown."""
VARIANTS = 11


@dataclass(frozen=True, eq=False)
class PlainStep:
    """One step of plain gradient descent on only the first image, from the random weights."""

    rate: float
    """The smallest of 1, 2 and 5 times powers of ten that halves this image's loss; otherwise the one that lowers it
    most."""
    after: Look
    """The same image with the weights after the step."""


@dataclass(frozen=True, eq=False)
class Story:
    """What happened to the first image of fit."""

    image: np.ndarray
    """uint8, shape (H, W) or (H, W, C)."""
    truth: tuple[int, ...]
    """Its label; multi-label: any number of labels."""
    pixels: np.ndarray
    """The normalised image: float32, shape (C, H, W), about -1 to 1; with a backbone its features, (D,)."""
    mean: np.ndarray
    """Mean pixel of the fit images per channel, shape (C,); with a backbone the mean of each feature, (D,)."""
    scale: np.ndarray
    """The divisor after subtracting the mean; shape as `mean`."""
    single_layer: bool
    """Whether slopes are the weights themselves."""
    random: Look
    """With the random weights."""
    step: PlainStep
    kept: Look
    """With the kept weights."""
    opposite: Opposite | None
    """None with a backbone, which computes no gradients."""
    variants: np.ndarray | None
    """uint8, shape (V, h, w) or (V, h, w, C): variants of the image; None without augmentation."""


def tell(recorder: Recorder, kept: Classifier, splits: Splits, augment: Augmentation | None) -> Story:
    """The story of a finished fit.

    Args:
        recorder: has recorded the whole fit.
        kept: the classifier with the kept weights, on the CPU.
        augment: how variants of the images were made; None without.
    """
    with one_thread():  # only one image at a time is answered
        return _tell(recorder, kept, splits, augment)


def _tell(recorder: Recorder, kept: Classifier, splits: Splits, augment: Augmentation | None) -> Story:
    random, frozen = recorder.with_first_weights(), isinstance(kept, FrozenClassifier)
    wanted = wanted_class(splits.classes)
    arguments = (recorder.image, recorder.label, recorder.shown, recorder.loss)
    with torch.no_grad():
        pixels = random.normalised(recorder.image)
        variants = _variants(random, pixels, augment) if augment and not frozen else None
    first_look = look(random, *arguments)
    return Story(
        image=recorder.image[0].numpy(),
        truth=tuple(true_classes(recorder.label)),
        pixels=pixels[0].numpy(),
        mean=random.mean.flatten().numpy().copy(),
        scale=random.scale.flatten().numpy().copy(),
        single_layer=isinstance(random.network, SingleLayer),
        random=first_look,
        step=_plain_step(recorder, first_look),
        kept=look(kept, *arguments),
        opposite=None
        if frozen
        else opposite_experiment(kept, tuple(recorder.image.shape[1:]), wanted, recorder.several),
        variants=variants,
    )


def _plain_step(recorder: Recorder, before: Look) -> PlainStep:
    model = recorder.with_first_weights()
    first = [weights.detach().clone() for weights in model.parameters()]
    criterion = Criterion(recorder.loss)
    loss = criterion(model(recorder.image), recorder.label)
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True, allow_unused=True)

    @torch.no_grad()
    def loss_after(rate: float) -> float:
        for weights, start, gradient in zip(model.parameters(), first, gradients, strict=True):
            weights.copy_(start - rate * gradient)
        return criterion(model(recorder.image), recorder.label).item()

    losses: dict[float, float] = {}
    for rate in RATES:
        losses[rate] = loss_after(rate)
        if losses[rate] <= before.loss / 2:
            break
    chosen = min(losses, key=lambda rate: losses[rate])
    loss_after(chosen)
    return PlainStep(chosen, look(model, recorder.image, recorder.label, recorder.shown, recorder.loss))


def _variants(model: Classifier, pixels: torch.Tensor, by: Augmentation) -> np.ndarray:
    made = warp(pixels.repeat(VARIANTS, 1, 1, 1), by, torch.Generator().manual_seed(0))
    bytes_ = (made * model.scale + model.mean).round().clamp(0, 255).to(torch.uint8).numpy()
    return bytes_[:, 0] if bytes_.shape[1] == 1 else bytes_.transpose(0, 2, 3, 1)
