from dataclasses import replace

import numpy as np
import pytest
import torch

from vouch.bundle.calibration import calibration_error
from vouch.bundle.multi_label import MultiLabelTally, task_of
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.judge import exam as exam_module
from vouch.trainer.judge.exam import Exam, examine, judges_of
from vouch.trainer.judge.graph import answers, answers_and_logits
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.learn.temperature import best_temperature
from vouch.trainer.splits.split import Splits


def examined(classifier: Classifier, splits: Splits) -> Exam:
    """By the tune split."""
    return examine(classifier, splits, judges_of(classifier, splits, ()))


@pytest.mark.parametrize("kind", ["splits", "several"])
def test_what_is_served_is_settled_on_tune_alone(kind: str, request: pytest.FixtureRequest) -> None:
    """Another validation split changes the claim, and neither the graph nor any threshold."""
    splits: Splits = request.getfixturevalue(kind)
    classifier = Classifier("linear", (8, 8), len(splits.classes), task=task_of(splits.fit.labels)).eval()
    one, two = examined(classifier, splits), examined(classifier, replace(splits, validation=splits.fit[:100]))

    assert one.graph == two.graph
    assert one.thresholds == two.thresholds
    assert [sets.threshold for sets in one.calibration.coverages] == [
        sets.threshold for sets in two.calibration.coverages
    ]
    assert one.claim != two.claim


def test_label_sets_by_class_name_the_class_that_has_too_few_images(splits: Splits) -> None:
    """The judges' own images decide, by the classes of the training."""
    rows = np.concatenate(
        [np.flatnonzero(splits.fit.labels == k)[: 50 if k else 21] for k in range(len(splits.classes))]
    )
    few = replace(splits, tune=splits.fit[rows])
    classifier = Classifier("linear", (8, 8), len(splits.classes)).eval()
    found = examine(classifier, few, judges_of(classifier, few, ()), by_class=True).calibration

    assert found.coverages == ()
    assert [(one.needed, one.judged, one.smallest) for one in found.withheld] == [
        (needed, 21, splits.classes[0]) for needed in (22, 45, 230)
    ]


def one_answer(right: int, wrong: int, several: bool) -> Examples:
    """Made-up images, the right ones of the second class (with both labels), the others of the first (with none)."""
    count = right + wrong
    labels = np.arange(count) < right
    images = np.random.default_rng(count).integers(0, 256, (count, 8, 8), dtype=np.uint8)
    return Examples(images, np.stack([labels, labels], axis=1) if several else labels.astype(np.int64))


@pytest.mark.parametrize("several", [False, True])
def test_a_temperature_that_twelve_images_do_not_favour_is_not_applied(several: bool) -> None:
    """A model that says 70 % of everything and is right so often is off by nothing; ten of twelve right ones change
    nothing."""
    tune, validation = one_answer(10, 2, several), one_answer(70, 30, several)
    splits = Splits(("no", "yes"), tune, tune, validation, ())
    classifier = Classifier("linear", (8, 8), 2, task=splits.task).eval()
    with torch.no_grad():
        for weights in classifier.parameters():
            weights.fill_(np.log(7 / 3) if weights.ndim == 1 else 0)
    images, labels = as_tensors(tune)
    exam = examined(classifier, splits)

    assert best_temperature(logits_of(classifier, images), labels) < 0.8
    assert exam.calibration.temperature == 1
    assert exam.calibration.error_before == exam.calibration.error_after == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(exam.probabilities[:, 1], 0.7, atol=1e-6)


@pytest.mark.parametrize(("split", "output"), [("judged", 0), ("validation", 0), ("validation", 1)])
def test_a_graph_with_an_answer_that_is_no_number_is_not_published(
    splits: Splits, split: str, output: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of many is enough: the server would refuse it, or its caller would have no answer."""

    def answered(graph: bytes, images: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = answers_and_logits(graph, images)
        if images is (splits.tune if split == "judged" else splits.validation).images:
            outputs[output][5, 1] = np.inf
        return outputs

    monkeypatch.setattr(exam_module, "answers_and_logits", answered)
    monkeypatch.setattr(exam_module, "answers", lambda graph, images: answered(graph, images)[0])
    classifier = Classifier("linear", (8, 8), len(splits.classes), task=task_of(splits.fit.labels)).eval()

    with pytest.raises(TrainError, match=f"values that are not finite for 1 of [0-9,]+ {split} images"):
        examined(classifier, splits)


def test_everything_is_counted_from_the_same_answers(several: Splits) -> None:
    """Claim and calibration error are those of the answers that the exam hands on, which are the graph's."""
    exam = examined(Classifier("linear", (8, 8), 3, task="multi_label").eval(), several)
    assert exam.thresholds is not None
    tally = MultiLabelTally(exam.thresholds)
    tally.add(several.validation.labels, exam.probabilities)

    np.testing.assert_array_equal(exam.probabilities, answers(exam.graph, several.validation.images))
    assert exam.claim.accuracy == tally.accuracy
    assert exam.calibration.error_after == calibration_error(exam.probabilities, several.validation.labels)
