"""Does what a manifest states follow from the answers that the bundle itself holds? Exactly, image by image.

No model is run: this asks the trainer's own answers, and so has no tolerance.
"""

from vouch.bundle.answers import Answers
from vouch.bundle.calibration import CalibrationTally
from vouch.bundle.claims import claim_from
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import Manifest
from vouch.bundle.multi_label import MultiLabelTally

ROUNDING = 1e-9
"""Of a sum over all images, which may be added up in another order."""


class Stated:
    """A running count of a bundle's own answers."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._tally = manifest.new_tally()
        self._calibration = CalibrationTally()

    def add(self, claimed: Answers) -> None:
        """Counts the next answers."""
        self._tally.add_answers(claimed.labels, claimed.answers)
        if not isinstance(self._tally, MultiLabelTally):
            self._calibration.add(claimed.probabilities.astype(float), claimed.right)

    def check(self) -> None:
        """
        Raises:
            InvalidBundle: the manifest states another claim, or another calibration error of a single-label model.
        """
        manifest, place = self._manifest, f"the answers in {self._manifest.validation_file}"
        counted, stated = claim_from(self._tally), manifest.claim
        if (counted.correct, counted.total) != (stated.correct, stated.total):
            raise InvalidBundle(
                f"the claim is {stated.correct:,} of {stated.total:,} right, but of {place} "
                f"{counted.correct:,} of {counted.total:,} are"
            )
        if counted != stated:
            what = "another confusion matrix" if manifest.thresholds is None else "other counts of the labels"
            raise InvalidBundle(f"the manifest states {what} than {place} have")
        error = manifest.calibration.error_after if manifest.calibration else None
        if error is not None and manifest.thresholds is None and abs(error - self._calibration.error) > ROUNDING:
            raise InvalidBundle(
                f"the calibration error is stated as {error:.4%}, but {place} have one of {self._calibration.error:.4%}"
            )
