"""The results of an exam, as sentences."""

from collections.abc import Iterator

from vouch.bundle.caveats import calibration_in_words, guarantee_in_words, promise_in_words, withheld_in_words
from vouch.trainer.judge.exam import Exam


def findings(exam: Exam) -> Iterator[str]:
    """In the order in which they matter."""
    yield calibration_in_words(exam.calibration)
    if exam.quantized:
        yield f"int8 is published: {exam.quantized.facts.in_words()}"
    if exam.int8_refused:
        remedy = " (--max-drop 100 publishes int8 anyway)" if exam.int8_anyway else ""
        yield f"float32 is published, not int8: {exam.int8_refused}{remedy}"
    if exam.thresholds:
        low, high = f"{min(exam.thresholds):.2f}", f"{max(exam.thresholds):.2f}"
        yield f"thresholds: a label is answered from a probability of {low if low == high else f'{low} to {high}'}"
    for coverage in exam.calibration.coverages:
        found = f"{coverage.covered / coverage.total:.2%} contain the right label, mean size {coverage.mean_size:.2f}"
        kept = "" if coverage.kept else "; the promise was not kept"
        yield f"label sets for {promise_in_words(coverage)}: {found}{kept}"
    yield from map(withheld_in_words, exam.calibration.withheld)
    if exam.calibration.coverages:
        yield guarantee_in_words(exam.calibration)
