"""What a model's own figures say against it, and how far its probabilities are off: in the words that all use.

Training's output, `vouch status`, model card and report say the same, because they ask here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.label_sets import CONFIDENCE
from vouch.bundle.reliability import Calibration, Coverage, Withheld

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
    if calibration.judged == 0:
        return f"no temperature is applied, because no image judges: on validation the probabilities are off by {after} on average{known}"
    if calibration.temperature == 1:
        return (
            f"no temperature is applied, because none lowered the cross-validated log loss {_where(calibration)}: on "
            f"validation the probabilities are off by {after} on average{known}"
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


def _where(calibration: Calibration) -> str:
    return "of the out-of-fold answers" if calibration.method == "cross" else "on tune"


def promise_in_words(coverage: float) -> str:
    """A promised coverage as people write it: 0.95 is 95%."""
    return f"{100 * coverage:g}%"


def withheld_in_words(one: Withheld) -> str:
    """Why a coverage is not promised."""
    return (
        f"no promise of {promise_in_words(one.coverage)}: it needs {one.needed:,} images that judge, "
        f"and there {'is' if one.judged == 1 else 'are'} {one.judged:,}"
    )


def guarantee_in_words(calibration: Calibration) -> str:
    """On how many images the promised coverages rest, whose answers to them they are, and what that guarantees."""
    if calibration.method == "split":
        return (
            f"label sets rest on {calibration.judged:,} tune images (split): with {100 * CONFIDENCE:g} % confidence "
            "over draws of them, of such images at least the promised share of sets contain the truth"
        )
    if calibration.method == "cross":
        return (
            f"label sets rest on out-of-fold answers to {calibration.judged:,} images (cross, {calibration.folds} "
            "folds): these are of models that learned fewer images than the published one, so nothing is guaranteed "
            "exactly; simulations measure how often such promises are kept"
        )
    return (
        "label sets rest on tune images whose number was not recorded: their promises are about the mean over draws of "
        "them, and a single draw may well fall short"
    )


def _not_kept(coverage: Coverage) -> str:
    return (
        f"the promised coverage of {promise_in_words(coverage.promised)} was not kept: "
        f"on validation the label sets contain the truth for {coverage.counted}"
    )
