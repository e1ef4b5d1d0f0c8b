from dataclasses import replace

import numpy as np
import pytest

from vouch.bundle.multi_label import MultiLabelTally, task_of
from vouch.trainer.calibrate import calibration_error
from vouch.trainer.exam import examine
from vouch.trainer.models import Classifier
from vouch.trainer.splits import Splits
from vouch.trainer.validate import answers


@pytest.mark.parametrize("kind", ["splits", "several"])
def test_what_is_served_is_settled_on_tune_alone(kind: str, request: pytest.FixtureRequest) -> None:
    """Another validation split changes the claim, and neither the graph nor any threshold."""
    splits: Splits = request.getfixturevalue(kind)
    classifier = Classifier("linear", (8, 8), len(splits.classes), task=task_of(splits.fit.labels)).eval()
    one, two = examine(classifier, splits), examine(classifier, replace(splits, validation=splits.fit[:100]))

    assert one.graph == two.graph
    assert one.thresholds == two.thresholds
    assert [sets.threshold for sets in one.calibration.coverages] == [
        sets.threshold for sets in two.calibration.coverages
    ]
    assert one.claim != two.claim


def test_everything_is_counted_from_the_same_answers(several: Splits) -> None:
    """Claim and calibration error are those of the answers that the exam hands on, which are the graph's."""
    exam = examine(Classifier("linear", (8, 8), 3, task="multi_label").eval(), several)
    assert exam.thresholds is not None
    tally = MultiLabelTally(exam.thresholds)
    tally.add(several.validation.labels, exam.probabilities)

    np.testing.assert_array_equal(exam.probabilities, answers(exam.graph, several.validation.images))
    assert exam.claim.accuracy == tally.accuracy
    assert exam.calibration.error_after == calibration_error(exam.probabilities, several.validation.labels)
