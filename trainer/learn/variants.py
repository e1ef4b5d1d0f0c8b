"""Augmentation of adaptive strength: variants become weaker if they lose what distinguishes the classes.

A variant should keep its image's label. The network's own answers show whether it does: after an epoch, a sample of fit
images is answered unchanged, varied and mirrored, with the same weights. Nothing else decides, so a fit is repeatable.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import torch
from torch import Tensor

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.augment import of_strength, warp
from vouch.trainer.learn.losses import answered_right

SAMPLE, SMALLEST = 512, 128
"""The most fit images in a sample, and the fewest, if there are that many."""
SHARE = 1 / 16
"""Size of a sample as a share of the images of an epoch; more would cost too much."""
ROUNDS = 2
"""Variants of each image."""
WORSE = 0.08
"""The accuracy on variants may be lower than on images by this much: they should be harder."""
SURE = 3.0
"""Standard errors: a smaller difference counts as chance."""
AS_WELL, PRESUMED = 0.6, 0.5
"""Mirrored images must keep this share of the images' accuracy above the baseline of always giving the most common
answer: AS_WELL if mirroring is off by default, PRESUMED if it is on."""
KNOWN = 0.75
"""If mirroring is off by default, the network must first reach this share of the possible accuracy above the baseline:
a network that knows little answers mirrored images in the same way as others."""
WHOLE_WORSE = 0.25
"""The accuracy on whole images may be lower than on crops by this much, because the first epochs' batch norm statistics
are those of crops."""
PATIENCE = 3
"""After this many epochs in a row in which nothing is learned, variants are assumed to be the reason."""
LEARNED = 0.5
"""Above this share of the possible accuracy over the baseline, something is learned, whatever the number of images."""
WEAKEST = 1 / 8
"""The strength is not reduced below this."""

Answers = Callable[[Tensor], Tensor]
"""Logits, shape (n, K), for normalised images, in evaluation mode."""


class Variants:
    """The variants of images that a fit learns from."""

    def __init__(self, augment: Augmentation | None, images: int) -> None:
        """
        Args:
            augment: the recipe's augmentation; None: images are learned unchanged.
            images: number of images per epoch.
        """
        self._augment = augment
        self._sample = max(SMALLEST, min(SAMPLE, int(images * SHARE)))
        self._strength, self._whole = 1.0, False
        self._evidence, self._blank = Evidence(), 0
        self._flips = bool(augment and augment.flip and not augment.find_flip)
        self._open = bool(augment and augment.find_flip)
        """Whether it is still undecided if mirrored images are learned."""

    def of(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A variant of each image; arguments and result as `warp`."""
        return warp(x, self._now(self._augment), generator) if self._augment else x

    def end_epoch(
        self,
        answers: Answers,
        sample: Callable[[int], tuple[Tensor, Tensor]],
        generator: torch.Generator,
        learned: float,
    ) -> str:
        """May change the augmentation, depending on the answers to images and to their variants.

        Args:
            sample: draws n fit images by the generator: images as `of` takes them, and their labels.
            learned: accuracy on the epoch's variants, each answered just before it was learned.

        Returns:
            a sentence if something changed, otherwise "".
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
        """Decides about mirroring as soon as the network knows enough."""
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
        figures = f"their accuracy is {float(mirrored.mean()):.0%}, that of the images {float(plain.mean()):.0%}"
        return f"mirrored images are {'learned too' if self._flips else 'no longer learned'}: {figures}"

    def _try_varied(self, plain: Tensor, varied: Tensor) -> str:
        """Halves the strength if the accuracy on variants is clearly lower than on images, or far higher. If crops are
        answered far better, as when the class depends on the distance to the border, cropping is turned off instead.

        Args:
            plain: whether each image was answered right, 0 or 1, shape (n,).
            varied: the mean of the same over its variants.
        """
        figures = f"their accuracy is {float(varied.mean()):.0%}, that of the images {float(plain.mean()):.0%}"
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
        """Halves the strength if nothing is learned for several epochs, so that there is nothing to compare.

        Args:
            learned: as in `end_epoch`.
            answered: share of right answers for each image, and for its variants: 0 to 1, shape (n,).
        """
        chance, best = _chance(labels), max(learned, *(float(right.mean()) for right in answered))
        knows = _knows(best, chance, len(labels)) or any(_knows_classes(right, labels) for right in answered)
        self._blank = 0 if knows else self._blank + 1
        if self._blank < PATIENCE:
            return ""
        return self._weaken(f"nothing is learned from them, accuracy is {best:.0%}")

    def _weaken(self, figures: str) -> str:
        self._strength, self._evidence = self._strength / 2, Evidence()
        return f"variants are made half as strong, {self._strength:.3g} of the recipe's: {figures}"

    def _now(self, augment: Augmentation) -> Augmentation:
        crop = 1.0 if self._whole else augment.crop
        return replace(of_strength(augment, self._strength), flip=self._flips, crop=crop)

    def numbers(self) -> list[float]:
        """All decisions, for other processes and for checkpoints."""
        decided = [self._strength, float(self._whole), float(self._flips), float(self._open)]
        return [*decided, float(self._blank), *astuple(self._evidence)]

    def take(self, numbers: Sequence[float]) -> None:
        """Takes over decisions from `numbers`."""
        self._strength, (self._whole, self._flips, self._open) = numbers[0], map(bool, numbers[1:4])
        self._blank, self._evidence = int(numbers[4]), Evidence(*numbers[5:])


@dataclass
class Evidence:
    """How much lower the accuracy on variants is than on images, over consecutive samples with the same sign.

    One small sample cannot distinguish 10 points from chance; several together can.
    """

    looks: float = 0.0
    worse: float = 0.0
    """Sum over the samples, each at least WORSE, or each at most -WORSE."""
    variance: float = 0.0
    """Of that sum."""

    def with_look(self, worse: Tensor) -> float:
        """Adds a sample; returns the mean difference, or 0 if it may be chance or is within the allowed range.

        Args:
            worse: how much worse each image's variants were answered, -1 to 1, shape (n,).
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
    """The accuracy of always giving the most common class, or set of labels."""
    _, counts = torch.unique(labels, dim=0, return_counts=True)
    return float(counts.max()) / len(labels)


def _by_chance(chance: float, count: float) -> float:
    """By how much the accuracy on `count` images can exceed `chance` if nothing is known."""
    return float(SURE * (chance * (1 - chance) / count) ** 0.5)


def _knows(right: float, chance: float, count: float) -> bool:
    """Whether this share of right answers, of `count` images, shows that something is known."""
    if chance == 1:  # all are of one class, so nothing can be measured
        return True
    return right - chance > min(_by_chance(chance, count), LEARNED * (1 - chance))


def _knows_classes(right: Tensor, labels: Tensor) -> bool:
    """The same with balanced accuracy: if one class has nearly all images, accuracy can hardly exceed the baseline, and
    a balanced fit may even be below it.
    """
    _, of, counts = torch.unique(labels, dim=0, return_inverse=True, return_counts=True)
    classes = len(counts)
    share = float((right / counts[of]).sum() / classes)
    return _knows(share, 1 / classes, classes**2 / float((1 / counts).sum()))
