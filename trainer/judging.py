"""How a training gets answers to images that were not learned, before validation: by cross-validation or a tune split.

Temperature, thresholds, label sets and int8 need such answers. With few images, a tune split would be too small to
measure anything, and the model could not learn its images; the folds of a cross-validation answer all of them.
"""

from dataclasses import dataclass

from vouch.sources.examples import Source
from vouch.trainer.choosing import Chosen
from vouch.trainer.settings import TrainSettings

FEW = 5_000
"""Images outside validation: with fewer, folds are used. With more, a tune split is large enough, and fitting takes
minutes, which folds would double."""
FEW_FOR_ONE_LAYER = 20_000
"""The same for a single layer, whose folds are fitted quickly, or are needed anyway."""
USUAL_SHARE, LEAST, MOST_SHARE = 0.05, 400, 0.2
"""The default size of a tune split: 5 % of the images, but at least 400, and at most 20 %. A promise of 99 % needs 230
images."""


@dataclass(frozen=True)
class Judging:
    """Whether there is a tune split, and why."""

    tune_share: float | None
    """Share of the images outside validation; None: no tune split, folds are used."""
    reason: str
    """Why, as the end of a sentence."""

    @property
    def sentence(self) -> str:
        """The choice and its reason, as a printed line."""
        if self.tune_share is None:
            return f"calibration: by cross-validation on all fit images ({self.reason})"
        return f"calibration: on a tune split ({self.reason})"


def judging(settings: TrainSettings, chosen: Chosen, source: Source, processes: int) -> Judging:
    """Folds or a tune split, for these settings and images."""
    pool = images_to_learn(source, settings.validation_share)
    if reason := _needs_a_split(settings, chosen, source, processes):
        return Judging(settings.tune_share or sensible_share(pool), reason)
    few = FEW_FOR_ONE_LAYER if chosen.model in ("linear", "backbone") else FEW
    if pool >= few:
        return Judging(sensible_share(pool), f"with {few:,} images or more, some can be set aside")
    return Judging(None, f"with fewer than {few:,} images, none is set aside")


def images_to_learn(source: Source, validation_share: float) -> int:
    """Number of images outside validation, tune included; approximate if the splits are not made yet."""
    sizes = {name: len(part) for name, part in source.splits.items()}
    learned = sizes.get("fit", 0) if "validation" in sizes else (1 - validation_share) * sizes.get("fit", 0)
    return int(learned + (1 - validation_share) * sizes.get("all", 0)) + sizes.get("tune", 0)


def sensible_share(pool: int) -> float:
    """The default share of a tune split, for this number of images."""
    return min(MOST_SHARE, max(USUAL_SHARE, LEAST / max(1, pool)))


def _needs_a_split(settings: TrainSettings, chosen: Chosen, source: Source, processes: int) -> str:
    """Why folds cannot be used; empty if they can."""
    large = "cross-validating a network that learns photographs from scratch would double the time and know far less"
    reasons = {
        "the data has one": "tune" in source.splits,
        "--tune-share requests one": settings.tune_share is not None,
        "--best-epoch needs one": settings.best_epoch,
        "--fine-tune changes the backbone that all folds would share": settings.fine_tune,
        "several processes fit one network": processes > 1,
        large: chosen.preset == "photos" and chosen.model == "cnn",
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
