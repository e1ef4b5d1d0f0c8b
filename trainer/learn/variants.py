"""The variants that a fit learns from, and how far they go: less far where they rub out what tells the classes apart.

A variant is to show what its image shows. Whether it does is seen from the answers of the network itself: a sample of
the fit images is answered after an epoch as it is, varied and mirrored, with the same weights. Nothing else decides, so
a fit repeats.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

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
PATIENCE = 3
"""Epochs in a row in which nothing is learned, until variants are held to be the reason."""
LEARNED = 0.5
"""Of what there is to know, the share above which something is learned, however few images were answered."""
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
        self._evidence, self._blank = Evidence(), 0
        self._flips = bool(augment and augment.flip and not augment.find_flip)
        self._open = bool(augment and augment.find_flip)
        """Whether it is still open if mirrored images are learned."""

    def of(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A variant of each image; arguments and result as `warp` has them."""
        return warp(x, self._now(self._augment), generator) if self._augment else x

    def end_epoch(
        self,
        answers: Answers,
        sample: Callable[[int], tuple[Tensor, Tensor]],
        generator: torch.Generator,
        learned: float,
    ) -> str:
        """May change what is made, by what the network answers to images and to their variants.

        Args:
            sample: draws n fit images by the generator: images as `of` takes them, and their labels.
            learned: the share of the epoch's variants that was answered right as they were learned.

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
            seen = torch.stack(varied).mean(dim=0)
            notes.append(self._try_varied(plain, seen) or self._try_weaker(learned, (plain, seen), labels))
        return "; ".join(filter(None, notes))

    def _try_mirrored(self, plain: Tensor, mirrored: Tensor, labels: Tensor) -> str:
        """Decides about mirroring as soon as the network knows anything."""
        chance = _chance(labels)
        known, left = float(plain.mean()) - chance, float(mirrored.mean()) - chance
        assert self._augment is not None
        presumed = self._augment.flip
        enough = 0.0 if presumed else KNOWN * (1 - chance)
        if known <= max(enough, _by_chance(chance, len(labels))):
            return ""
        self._open = False
        self._flips = left >= (PRESUMED if presumed else AS_WELL) * known
        if self._flips == presumed:
            return ""
        figures = f"{float(mirrored.mean()):.0%} of them are answered right, of the images {float(plain.mean()):.0%}"
        return f"mirrored images are learned {'too' if self._flips else 'no more'}: {figures}"

    def _try_varied(self, plain: Tensor, varied: Tensor) -> str:
        """Halves the strength where variants are answered clearly worse than their images, or far better; but where
        crops are answered far better, as where the distance to the border tells the class, all of an image is shown.

        Args:
            plain: whether each image was answered rightly, 0 or 1, shape (n,).
            varied: the same of its variants, in the mean.
        """
        figures = f"{float(varied.mean()):.0%} of them are answered right, of the images {float(plain.mean()):.0%}"
        worse = self._evidence.with_look(plain - varied)
        if worse > 0:
            return self._weaken(figures)
        if worse > -WHOLE_WORSE:
            return ""
        assert self._augment is not None
        if self._whole or self._augment.crop == 1:
            return self._weaken(figures)
        self._whole, self._evidence = True, Evidence()
        return f"variants are no longer cropped: {figures}"

    def _try_weaker(self, learned: float, answered: Sequence[Tensor], labels: Tensor) -> str:
        """Halves the strength where epoch after epoch nothing is learned, so that there is nothing to compare.

        Args:
            learned: as in `end_epoch`.
            answered: how rightly each image was answered, and each one's variants: 0 to 1, shape (n,).
        """
        chance, best = _chance(labels), max(learned, *(float(right.mean()) for right in answered))
        knows = _knows(best, chance, len(labels)) or any(_knows_classes(right, labels) for right in answered)
        self._blank = 0 if knows else self._blank + 1
        if self._blank < PATIENCE:
            return ""
        return self._weaken(f"nothing is learned from them, {best:.0%} are answered right")

    def _weaken(self, figures: str) -> str:
        self._strength, self._evidence = self._strength / 2, Evidence()
        return f"variants are made half as strong, {self._strength:.3g} of the recipe's: {figures}"

    def _now(self, augment: Augmentation) -> Augmentation:
        crop = 1.0 if self._whole else augment.crop
        return replace(of_strength(augment, self._strength), flip=self._flips, crop=crop)

    def numbers(self) -> list[float]:
        """All that was decided, as processes tell it to each other, and a checkpoint keeps it."""
        decided = [self._strength, float(self._whole), float(self._flips), float(self._open)]
        return [*decided, float(self._blank), *astuple(self._evidence)]

    def take(self, numbers: Sequence[float]) -> None:
        """Goes on with what was decided elsewhere."""
        self._strength, (self._whole, self._flips, self._open) = numbers[0], map(bool, numbers[1:4])
        self._blank, self._evidence = int(numbers[4]), Evidence(*numbers[5:])


@dataclass
class Evidence:
    """How much worse variants were answered than their images, by looks in a row that say the same.

    One look at few images cannot tell 10 points from chance; several together can.
    """

    looks: float = 0.0
    worse: float = 0.0
    """Summed over the looks, each at least WORSE, or each at most -WORSE."""
    variance: float = 0.0
    """Of that sum."""

    def with_look(self, worse: Tensor) -> float:
        """The mean difference, with this look; 0 where it may be chance, or is no more than variants may be worse.

        Args:
            worse: by how much each image's variants were answered worse, -1 to 1, shape (n,).
        """
        mean, count = float(worse.mean()), len(worse)
        if abs(mean) < WORSE or mean * self.worse < 0:
            self.looks, self.worse, self.variance = 0.0, 0.0, 0.0
        if abs(mean) < WORSE:
            return 0.0
        self.looks += 1
        self.worse += mean
        self.variance += float(worse.var()) / count if count > 1 else 1.0
        found = self.worse / self.looks
        return found if abs(found) >= SURE * self.variance**0.5 / self.looks else 0.0


def _chance(labels: Tensor) -> float:
    """The share that is right by always answering the commonest class, or set of labels."""
    _, counts = torch.unique(labels, dim=0, return_counts=True)
    return float(counts.max()) / len(labels)


def _by_chance(chance: float, count: float) -> float:
    """By how much more than this share of so many answers may be right although nothing is known."""
    return float(SURE * (chance * (1 - chance) / count) ** 0.5)


def _knows(right: float, chance: float, count: float) -> bool:
    """Whether this share of so many right answers shows that something is known."""
    if chance == 1:  # all are of one class, so nothing can be seen
        return True
    return right - chance > min(_by_chance(chance, count), LEARNED * (1 - chance))


def _knows_classes(right: Tensor, labels: Tensor) -> bool:
    """The same, every class counting the same: where one has nearly all images, little is left to be right beyond it,
    and a balanced fit may be right less often than by always answering it.
    """
    _, of, counts = torch.unique(labels, dim=0, return_inverse=True, return_counts=True)
    classes = len(counts)
    share = float((right / counts[of]).sum() / classes)
    return _knows(share, 1 / classes, classes**2 / float((1 / counts).sum()))
