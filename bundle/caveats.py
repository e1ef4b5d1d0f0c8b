"""What a model's own figures say against it, and how far its probabilities are off: in the words that all use.

Training's output, `vouch status`, model card and report say the same, because they ask here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.manifest import Calibration, Coverage

CHANCE, COVERAGE = "no_better_than_chance", "coverage_not_kept"


@dataclass(frozen=True)
class Caveat:
    """One thing that users of the model must know."""

    kind: str
    """A word that does not change: CHANCE, COVERAGE, or one that a newer server knows."""
    text: str
    """The same for people, with the numbers."""


def no_better_than_chance(claim: Claim | MultiLabelClaim) -> bool:
    """Whether the claim's interval does not lie above what always answering the commonest class, or set, gets right."""
    return claim.accuracy.low <= claim.baseline.accuracy


def caveats(
    claim: Claim | MultiLabelClaim, calibration: Calibration | None, labels: Sequence[str]
) -> tuple[Caveat, ...]:
    """All that is to be said against a model; none of a good one.

    Args:
        labels: names of the K classes, in their order.
    """
    found = []
    if no_better_than_chance(claim):
        begins = f"its 95 % interval begins at {claim.accuracy.low:.2%}"
        found.append(Caveat(CHANCE, f"no better than chance: {begins}, and {baseline_in_words(claim, labels)}"))
    promises = calibration.coverages if calibration else ()
    return (*found, *(Caveat(COVERAGE, _not_kept(one)) for one in promises if not one.kept))


def baseline_in_words(claim: Claim | MultiLabelClaim, labels: Sequence[str]) -> str:
    """What one and the same answer to every image gets right."""
    if isinstance(claim, Claim):
        answer, right = labels[claim.commonest_class], "is right for"
    else:
        answer = "the commonest set of labels"
        right = "is right for" if claim.commonest_set else "is right for at least"
    share = claim.baseline
    return f"always answering {answer} {right} {share.correct:,} of {share.total:,} = {share.accuracy:.2%}"


def calibration_in_words(calibration: Calibration) -> str:
    """What the temperature did to the probabilities, as it was measured on validation."""
    before, after = f"{calibration.error_before:.2%}", f"{calibration.error_after:.2%}"
    known = ""
    if calibration.error_interval is not None:
        low, high = calibration.error_interval
        known = f" (95 % interval {low:.2%} to {high:.2%})"
    if calibration.temperature == 1:
        return (
            "no temperature is applied, because none lowered the cross-validated log loss: on validation "
            f"the probabilities are off by {after} on average{known}"
        )
    if calibration.error_after > calibration.error_before:
        return (
            f"temperature {calibration.temperature:.2f} made it worse on validation: the probabilities are off by "
            f"{after} on average{known}, without it by {before}"
        )
    return (
        f"temperature {calibration.temperature:.2f}: on validation the probabilities are off by {after} on average"
        f"{known}, without it by {before}"
    )


def promise_in_words(coverage: Coverage) -> str:
    """A promised coverage as people write it: 0.95 is 95%."""
    return f"{100 * coverage.promised:g}%"


def _not_kept(coverage: Coverage) -> str:
    return (
        f"the promised coverage of {promise_in_words(coverage)} was not kept: "
        f"on validation the label sets contain the truth for {coverage.counted}"
    )
