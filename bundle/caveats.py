"""Warnings that follow from a model's own figures, and its calibration, in words.

Training's output, `vouch status`, model card and report use these texts, so they agree.
"""

from collections.abc import Sequence

from vouch.bundle.caveat import Caveat
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.label_sets import CONFIDENCE
from vouch.bundle.reliability import Calibration, Coverage, Withheld

CHANCE, COVERAGE = "no_better_than_chance", "coverage_not_kept"
NAMED = 5
"""The most classes that a sentence names."""


def no_better_than_chance(claim: Claim | MultiLabelClaim) -> bool:
    """Whether the claim's interval reaches down to the baseline: always answering the most frequent class, or set."""
    return claim.accuracy.low <= claim.baseline.accuracy


def caveats(
    claim: Claim | MultiLabelClaim, calibration: Calibration | None, labels: Sequence[str]
) -> tuple[Caveat, ...]:
    """All warnings about a model; empty for a good one.

    Args:
        labels: names of the K classes, in order.
    """
    found = []
    if no_better_than_chance(claim):
        begins = f"its 95 % interval begins at {claim.accuracy.low:.2%}"
        found.append(Caveat(CHANCE, f"no better than chance: {begins}, and {baseline_in_words(claim, labels)}"))
    promises = calibration.coverages if calibration else ()
    return (*found, *(Caveat(COVERAGE, _not_kept(one, labels)) for one in promises if not one.kept))


def baseline_in_words(claim: Claim | MultiLabelClaim, labels: Sequence[str]) -> str:
    """The baseline in words: one answer to every image."""
    if isinstance(claim, Claim):
        answer, right = labels[claim.commonest_class], "is right for"
    else:
        answer = "the commonest set of labels"
        right = "is right for" if claim.commonest_set else "is right for at least"
    share = claim.baseline
    return f"always answering {answer} {right} {share.correct:,} of {share.total:,} = {share.accuracy:.2%}"


def calibration_in_words(calibration: Calibration) -> str:
    """The effect of the temperature on the probabilities, measured on validation."""
    before, after = f"{calibration.error_before:.2%}", f"{calibration.error_after:.2%}"
    known = ""
    if calibration.error_interval is not None:
        low, high = calibration.error_interval
        known = f" (95 % interval {low:.2%} to {high:.2%})"
    if calibration.judged == 0:
        nobody = "no temperature is applied, because there are no calibration images"
        return f"{nobody}: on validation the probabilities are off by {after} on average{known}"
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


def promise_in_words(one: Coverage | Withheld) -> str:
    """A coverage as a percentage: 0.95 is 95%."""
    if isinstance(one, Coverage):
        return f"{100 * one.promised:g}%{' by class' if one.by_class else ''}"
    return f"{100 * one.coverage:g}%{' by class' if one.smallest is not None else ''}"


def withheld_in_words(one: Withheld) -> str:
    """Why a coverage is not promised."""
    of_each, of_it = ("", "") if one.smallest is None else (" of each class", f" of class {one.smallest}")
    return (
        f"no promise of {promise_in_words(one)}: it needs {one.needed:,} calibration images{of_each}, "
        f"and{of_it} there {'is' if one.judged == 1 else 'are'} {one.judged:,}"
    )


def guarantee_in_words(calibration: Calibration) -> str:
    """The number of images behind the promised coverages, the models that answered them, and the guarantee."""
    each = next((one.by_class for one in calibration.coverages if one.by_class), None)
    fewest = f", of each class at least {min(each.judged):,}" if each else ""
    if calibration.method == "split":
        return (
            f"label sets rest on {calibration.judged:,} tune images{fewest} (split): with {100 * CONFIDENCE:g} % "
            "confidence over draws of them, at least the promised share of the sets of such images"
            f"{' of any one class' if each else ''} contain the truth"
        )
    if calibration.method == "cross":
        return (
            f"label sets rest on out-of-fold answers to {calibration.judged:,} images{fewest} (cross, "
            f"{calibration.folds} folds), from models trained on fewer images than the published one. So nothing is "
            "guaranteed exactly; simulations show how often such promises are kept"
        )
    return (
        "label sets rest on tune images whose number was not recorded: their promises hold on average over draws of "
        "these images, and a single draw may well fall short"
    )


def _not_kept(coverage: Coverage, labels: Sequence[str]) -> str:
    """How a promise was refuted: for all images, or by class, for which classes, the clearest first."""
    begins, found = f"the promised coverage of {promise_in_words(coverage)} was not kept", coverage.counted
    if not coverage.missed or coverage.by_class is None:
        return f"{begins}: on validation the label sets contain the truth for {found}"
    each, missed = coverage.by_class, coverage.missed
    named = [f"{labels[k]} ({each.covered[k]:,} of {each.total[k]:,})" for k in missed[:NAMED]]
    more = f", and {len(missed) - NAMED:,} more" if len(missed) > NAMED else ""
    return (
        f"{begins} for {len(missed):,} of {len(labels):,} classes: on validation the label sets contain the truth for "
        f"{', '.join(named)}{more}; of all images for {found}"
    )
