"""The variants that a fit learns from, and how far they go: less far where they rub out what tells the classes apart.

A variant is to show what its image shows. Whether it does is seen from the answers of the network itself: a sample of
the fit images is answered after an epoch as it is, varied and mirrored, with the same weights. Nothing else decides, so
a fit repeats.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.augment import of_strength, warp
from vouch.trainer.learn.losses import answered_right

SAMPLE, SMALLEST = 512, 128
"""Fit images that are answered, at most; and at least, where there are so many."""
SHARE = 1 / 16
"""Of the images of an epoch: more would cost more than they tell. Of few images each epoch is looked at too."""
ROUNDS = 2
"""Variants of each."""
WORSE = 0.08
"""Variants may be answered worse than their images by this much: they are harder, and should be."""
SURE = 3.0
"""Standard errors: a difference that is less is chance."""
AS_WELL, PRESUMED = 0.6, 0.5
"""Of what the images are answered better than by the commonest class, the share that has to be left for mirrored ones:
where nothing is presumed, and where mirroring is."""
KNOWN = 0.75
"""Of what there is to know beyond the commonest class, the share that a network must know before it can say that
mirrored images mean the same: one that knows little takes everything for the same."""
WHOLE_WORSE = 0.25
"""Whole images may be answered worse than crops by this much: the first epochs' statistics are those of crops."""
WEAKEST = 1 / 8
"""Strength below which nothing is made weaker."""

Answers = Callable[[Tensor], Tensor]
"""Logits, shape (n, K), for normalised images, in evaluation mode."""


class Variants:
    """What is made of images before a step."""

    def __init__(self, augment: Augmentation | None, images: int) -> None:
        """
        Args:
            augment: how far variants may be from their images; None: the images are learned as they are.
            images: of an epoch.
        """
        self._augment = augment
        self._sample = max(SMALLEST, min(SAMPLE, int(images * SHARE)))
        self._strength, self._whole = 1.0, False
        self._flips = bool(augment and augment.flip and not augment.find_flip)
        self._open = bool(augment and augment.find_flip)
        """Whether it is still open if mirrored images are learned."""

    def of(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A variant of each image; arguments and result as `warp` has them."""
        return warp(x, self._now(self._augment), generator) if self._augment else x

    def end_epoch(
        self, answers: Answers, sample: Callable[[int], tuple[Tensor, Tensor]], generator: torch.Generator
    ) -> str:
        """May change what is made, by what the network answers to images and to their variants.

        Args:
            sample: draws n fit images by the generator: images as `of` takes them, and their labels.

        Returns:
            a sentence to be said where something changed, else nothing.
        """
        augment = self._augment
        if augment is None or not (augment.find_strength or self._open):
            return ""
        x, labels = sample(self._sample)
        plain = answered_right(answers(x), labels).double()
        notes = []
        if self._open:
            notes.append(self._try_mirrored(plain, answered_right(answers(x.flip(3)), labels).double(), labels))
        if augment.find_strength and self._strength > WEAKEST:
            still = replace(self._now(augment), flip=False)
            varied = [answered_right(answers(warp(x, still, generator)), labels).double() for _ in range(ROUNDS)]
            notes.append(self._try_varied(plain, torch.stack(varied).mean(dim=0)))
        return "; ".join(filter(None, notes))

    def _try_mirrored(self, plain: Tensor, mirrored: Tensor, labels: Tensor) -> str:
        """Decides about mirroring as soon as the network knows anything."""
        _, counts = torch.unique(labels, dim=0, return_counts=True)
        chance = float(counts.max()) / len(labels)
        known, left = float(plain.mean()) - chance, float(mirrored.mean()) - chance
        assert self._augment is not None
        presumed = self._augment.flip
        enough = 0.0 if presumed else KNOWN * (1 - chance)
        if known <= max(enough, SURE * (chance * (1 - chance) / len(labels)) ** 0.5):
            return ""
        self._open = False
        self._flips = left >= (PRESUMED if presumed else AS_WELL) * known
        if self._flips == presumed:
            return ""
        figures = f"{float(mirrored.mean()):.0%} of them are answered right, of the images {float(plain.mean()):.0%}"
        return f"mirrored images are learned {'too' if self._flips else 'no more'}: {figures}"

    def _try_varied(self, plain: Tensor, varied: Tensor) -> str:
        """Halves the strength where variants are answered clearly worse than their images; shows all of an image where
        whole ones are answered clearly worse than crops, as where the distance to the border tells the class.
        """
        worse = plain - varied
        error = float(worse.std()) / len(worse) ** 0.5 if len(worse) > 1 else 1.0
        if abs(float(worse.mean())) < max(WORSE, SURE * error):
            return ""
        figures = f"{float(varied.mean()):.0%} of them are answered right, of the images {float(plain.mean()):.0%}"
        if float(worse.mean()) > 0:
            self._strength /= 2
            return f"variants are made half as strong, {self._strength:.3g} of the recipe's: {figures}"
        assert self._augment is not None
        if self._whole or self._augment.crop == 1 or float(worse.mean()) > -WHOLE_WORSE:
            return ""
        self._whole = True
        return f"variants are no longer cropped: {figures}"

    def _now(self, augment: Augmentation) -> Augmentation:
        crop = 1.0 if self._whole else augment.crop
        return replace(of_strength(augment, self._strength), flip=self._flips, crop=crop)

    def numbers(self) -> list[float]:
        """All that was decided, as processes tell it to each other, and a checkpoint keeps it."""
        return [self._strength, float(self._whole), float(self._flips), float(self._open)]

    def take(self, numbers: Sequence[float]) -> None:
        """Goes on with what was decided elsewhere."""
        self._strength, (self._whole, self._flips, self._open) = numbers[0], map(bool, numbers[1:])
