"""How a training is judged before validation is seen: by folds of the images that it learns from, or by a tune split.

Temperature, thresholds, label sets and int8 need answers to images that were not learned. Of few images a split of some
would be too small to say anything, and the model would lack them; folds answer all of them.
"""

from dataclasses import dataclass

from vouch.sources.examples import Source
from vouch.trainer.choosing import Chosen
from vouch.trainer.settings import TrainSettings

FEW = 5_000
"""Images that are not validation's: with fewer, folds judge. Of more, a tune split is large enough, and fitting takes
minutes, which folds would double."""
FEW_FOR_ONE_LAYER = 20_000
"""Likewise of a single layer, whose folds are fitted at once, or were anyway."""
USUAL_SHARE, LEAST, MOST_SHARE = 0.05, 400, 0.2
"""A tune split that Vouch sizes: this share of the images, but at least so many images, as far as these are at most
so large a share. A promise of 99 % takes 230 images."""


@dataclass(frozen=True)
class Judging:
    """Who judges, and why."""

    tune_share: float | None
    """Of the images that are not validation's; None: no image is set aside, folds judge."""
    reason: str
    """Why, as the end of a sentence."""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.tune_share is None:
            return f"judged by folds, so that all of fit is learned from and judged: {self.reason}"
        return f"judged by a tune split: {self.reason}"


def judging(settings: TrainSettings, chosen: Chosen, source: Source, processes: int) -> Judging:
    """What goes for these settings and images."""
    pool = images_to_learn(source, settings.validation_share)
    if reason := _needs_a_split(settings, chosen, source, processes):
        return Judging(settings.tune_share or sensible_share(pool), reason)
    few = FEW_FOR_ONE_LAYER if chosen.model in ("linear", "backbone") else FEW
    if pool >= few:
        return Judging(sensible_share(pool), f"of {few:,} images or more, some can be set aside")
    return Judging(None, f"of fewer than {few:,} images none is set aside")


def images_to_learn(source: Source, validation_share: float) -> int:
    """Images that are not validation's, those of a tune split included; about, where that is not made yet."""
    sizes = {name: len(part) for name, part in source.splits.items()}
    learned = sizes.get("fit", 0) if "validation" in sizes else (1 - validation_share) * sizes.get("fit", 0)
    return int(learned + (1 - validation_share) * sizes.get("all", 0)) + sizes.get("tune", 0)


def sensible_share(pool: int) -> float:
    """Of so many images, the share of a tune split that nobody has named."""
    return min(MOST_SHARE, max(USUAL_SHARE, LEAST / max(1, pool)))


def _needs_a_split(settings: TrainSettings, chosen: Chosen, source: Source, processes: int) -> str:
    """Why folds cannot judge; empty where they can."""
    large = "folds of a network that learns photographs from scratch would take as long again, and know far less"
    reasons = {
        "the data came with one": "tune" in source.splits,
        "--tune-share asks for one": settings.tune_share is not None,
        "--best-epoch chooses by it": settings.best_epoch,
        "--fine-tune changes the backbone that folds would answer with": settings.fine_tune,
        "several processes fit one network": processes > 1,
        large: chosen.preset == "photos" and chosen.model == "cnn",
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
