"""Checks that a manifest's statements follow exactly from the answers in the bundle, image by image.

No model is run: this uses the trainer's own answers, so there is no tolerance.
"""

from vouch.bundle.answers import Answers
from vouch.bundle.calibration import CalibrationTally
from vouch.bundle.claims import claim_from
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import Manifest
from vouch.bundle.multi_label import MultiLabelTally
from vouch.bundle.reliability import Calibration

ROUNDING = 1e-9
"""Rounding of a sum over all images, which may be added in another order."""


class Stated:
    """A running count of a bundle's own answers."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._tally = manifest.new_tally()
        self._calibration = CalibrationTally()

    def add(self, claimed: Answers) -> None:
        """Adds the next answers."""
        self._tally.add_answers(claimed.labels, claimed.answers)
        if not isinstance(self._tally, MultiLabelTally):
            self._calibration.add(claimed.probabilities.astype(float), claimed.right)

    def check(self) -> None:
        """Checks the manifest against the count.

        Raises:
            InvalidBundle: the manifest states another claim, or for a single-label model another calibration error or
                interval.
        """
        manifest, place = self._manifest, f"the answers in {self._manifest.validation_file}"
        counted, stated = claim_from(self._tally), manifest.claim
        if (counted.correct, counted.total) != (stated.correct, stated.total):
            raise InvalidBundle(
                f"the claim is {stated.correct:,} of {stated.total:,} right, but of {place} "
                f"{counted.correct:,} of {counted.total:,} are"
            )
        if (
            counted.model_copy(update={"low": stated.low, "high": stated.high}) != stated
        ):  # older bundles have other intervals
            what = "another confusion matrix" if manifest.thresholds is None else "other counts of the labels"
            raise InvalidBundle(f"the manifest states {what} than {place}")
        if manifest.calibration is not None and manifest.thresholds is None:
            self._check_calibration(manifest.calibration, place)

    def _check_calibration(self, stated: Calibration, place: str) -> None:
        error, counted = stated.error_after, self._calibration.interval
        if abs(error - self._calibration.error) > ROUNDING:
            raise InvalidBundle(
                f"the calibration error is stated as {error:.4%}, but {place} have one of {self._calibration.error:.4%}"
            )
        low, high = stated.error_interval or counted
        if abs(low - counted[0]) > ROUNDING or abs(high - counted[1]) > ROUNDING:
            raise InvalidBundle(
                f"the interval of the calibration error is stated as {low:.4%} to {high:.4%}, but {place} have one of "
                f"{counted[0]:.4%} to {counted[1]:.4%}"
            )
