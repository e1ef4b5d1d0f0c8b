"""Compares a version's answers to its validation images with the claimed ones, image by image.

A few answers may differ where the two probabilities are nearly equal, because no runtime guarantees the same bits on
another processor. Any other difference means that the served pixels, labels, names or graph are not the judged ones.
"""

import numpy as np

from vouch.bundle.answers import Answers, answers_of
from vouch.bundle.manifest import Manifest
from vouch.server.lineup.lineup import MAX_NAMED_IMAGES, Recount

NEAR = 0.01
"""Probabilities that differ by at most this count as equal."""
NAMED = 5
"""Number of images that a refusal describes."""
SHOWN = 40
"""Characters shown of a label."""


def allowed_to_differ(images: int, share: float) -> int:
    """How many of the images may differ: this share, at least one; none if the share is 0."""
    return max(1, int(share * images + 1e-9)) if share else 0


class Differing:
    """A running comparison."""

    def __init__(self, manifest: Manifest, allowed: int) -> None:
        self._manifest = manifest
        self._allowed = allowed
        self._seen = 0
        self._differing, self._moved, self._unexplained = 0, 0, 0
        self._first: list[int] = []
        self._described: list[str] = []
        self.drift = 0.0
        """The largest difference of a probability so far that is at most NEAR."""

    def add(self, claimed: Answers, probabilities: np.ndarray) -> None:
        """
        Args:
            claimed: of the next images.
            probabilities: of this server: float32, shape (N, K).
        """
        given = answers_of(claimed.labels, probabilities, self._manifest.thresholds)
        look = self._single if self._manifest.thresholds is None else self._several
        differing, near, drift = look(claimed, given, probabilities)
        moved = ~(drift <= NEAR)
        self._moved += int(np.count_nonzero(moved))
        self.drift = max(self.drift, float(drift[~moved].max(initial=0)))
        self._differing += int(np.count_nonzero(differing))
        unexplained = differing & ~near
        self._unexplained += int(np.count_nonzero(unexplained))
        for row in np.flatnonzero(differing)[: MAX_NAMED_IMAGES - len(self._first)].tolist():
            self._first.append(self._seen + row)
        for row in np.flatnonzero(unexplained | moved)[: NAMED - len(self._described)].tolist():
            self._described.append(self._description(row, claimed, given, probabilities))
        self._seen += len(claimed)

    @property
    def recount(self) -> Recount:
        """The comparison so far."""
        return Recount(differing=self._differing, moved=self._moved, allowed=self._allowed, first=tuple(self._first))

    def refusal(self) -> str:
        """Why the answers are not the claimed ones; empty if they are."""
        most = f"at most {self._allowed:,} may differ (--max-differing)"
        if self._unexplained:
            why = (
                f"{self._differing:,} of {self._seen:,} answers differ from the claimed ones, and for "
                f"{self._unexplained:,} of them the two answers' probabilities differ by more than {NEAR}"
            )
        elif self._differing > self._allowed:
            why = f"{self._differing:,} of {self._seen:,} answers differ from the claimed ones; {most}"
        elif self._moved > self._allowed:
            why = (
                f"the probabilities of {self._moved:,} of {self._seen:,} answers differ from the claimed ones by more "
                f"than {NEAR}; {most}"
            )
        else:
            return ""
        shown = self._described or [f"image {number}" for number in self._first[:NAMED]]
        return f"{why}: {'; '.join(shown)}"

    @staticmethod
    def _single(claimed: Answers, given: Answers, probabilities: np.ndarray) -> tuple[np.ndarray, ...]:
        """Which answers differ, which of them are near, and by how much the claimed answer's probability differs."""
        of_claimed = probabilities[np.arange(len(claimed)), claimed.answers]
        near = np.abs(of_claimed - given.probabilities) <= NEAR
        return claimed.answers != given.answers, near, np.abs(of_claimed - claimed.probabilities)

    def _several(self, claimed: Answers, given: Answers, probabilities: np.ndarray) -> tuple[np.ndarray, ...]:
        changed = claimed.answers != given.answers
        near = np.abs(probabilities - np.asarray(self._manifest.thresholds, probabilities.dtype)) <= NEAR
        drift = np.where(claimed.answers, np.abs(probabilities - claimed.probabilities), 0).max(axis=1, initial=0)
        return changed.any(axis=1), (near | ~changed).all(axis=1), drift

    def _description(self, row: int, claimed: Answers, given: Answers, probabilities: np.ndarray) -> str:
        return f"image {self._seen + row}: claimed {self._named(claimed, row)}, here {self._named(given, row)}"

    def _named(self, answers: Answers, row: int) -> str:
        labels = self._manifest.labels
        if answers.answers.ndim == 1:
            return f"{_short(labels[answers.answers[row]])} ({answers.probabilities[row]:.4f})"
        places = np.flatnonzero(answers.answers[row]).tolist()
        several = [f"{_short(labels[k])} ({answers.probabilities[row, k]:.4f})" for k in places[:NAMED]]
        return (", ".join(several) or "no label") + (" and more" if len(places) > NAMED else "")


def _short(label: str) -> str:
    return repr(label if len(label) <= SHOWN else f"{label[:SHOWN]}...")
