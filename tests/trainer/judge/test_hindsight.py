from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.report.runs import noise_splits
from vouch.bundle.reliability import Calibration
from vouch.trainer.judge.curve import Curve, learning_curve
from vouch.trainer.judge.exam import Exam
from vouch.trainer.judge.graph import count_claim
from vouch.trainer.judge.hindsight import HEAD, NETWORKS, OutOfFold, hindsight
from vouch.trainer.judge.kernel import of_features
from vouch.trainer.splits.split import Splits


def exam_of(splits: Splits) -> Exam:
    """One that is right everywhere, and sure."""
    tuned, probabilities = (np.eye(len(splits.classes))[part.labels] for part in (splits.tune, splits.validation))
    calibration = Calibration(temperature=1.0, error_before=0.0, error_after=0.0, coverages=())
    claim = count_claim(probabilities, splits.validation.labels)
    return Exam(b"", 0.0, probabilities, claim, calibration, None, None, tuned)


def test_small_images_are_judged_by_their_pixels(splits: Splits) -> None:
    """Those of fit by a judge that needs no training, with a learning curve that rises; the others by the model."""
    few = replace(splits, fit=splits.fit[:200])
    seen = hindsight(few, exam_of(few))

    assert seen.judge == "kernel ridge regression on the pixels"
    assert {doubt.part for doubt in seen.doubts} == {"fit"}
    assert 0 < seen.sure <= seen.contradicted == len(seen.doubts) < 30
    assert seen.curve is not None
    assert seen.curve.images == (25, 50, 100, 200)
    assert sorted(seen.curve.right) == list(seen.curve.right)
    assert seen.curve.right[-1] > seen.curve.right[0] + 0.05


def test_who_is_often_wrong_may_not_doubt_a_label() -> None:
    """Of images of noise the labels of fit are not looked at, and the reason is said."""
    splits = noise_splits(("a", "b", "c"), (6, 6))
    seen = hindsight(splits, exam_of(splits))

    assert seen.reason is not None
    assert "too few to find wrong labels" in seen.reason
    assert seen.doubts == ()
    assert seen.curve is None
    assert str(seen.no_curve).startswith(
        "kernel ridge regression on the pixels, which would compute it, is right for only "
    )


def test_heads_and_models_that_are_often_wrong_doubt_nothing_either() -> None:
    """Where three in four answers are wrong, a contradiction says nothing of the label."""
    splits = noise_splits(("a", "b"), (6, 6))
    exam = exam_of(splits)
    wrong = replace(exam, judged=exam.judged[:, ::-1], probabilities=exam.probabilities[:, ::-1])
    seen = hindsight(splits, wrong, np.eye(2)[splits.fit.labels], OutOfFold(HEAD, np.eye(2)[1 - splits.fit.labels]))

    assert seen.doubts == ()
    assert not seen.by_model
    assert seen.reason == "a head that has not learned them is right for only 0% of them, too few to find wrong labels"


def test_what_is_too_much_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than taking longer than the training did."""
    monkeypatch.setattr("vouch.trainer.judge.kernel.MOST", 10)
    splits = noise_splits(("a", "b", "c"), (6, 6))

    seen = hindsight(splits, exam_of(splits))

    assert seen.reason == seen.no_curve
    assert "40 images are too many" in str(seen.reason)


def test_answers_of_heads_that_have_not_learned_an_image_are_taken() -> None:
    """Of a frozen backbone they are there already; its features give the curve."""
    splits = noise_splits(("a", "b"), (6, 6))
    labels = splits.fit.labels
    contrary = np.eye(2)[labels]
    contrary[3] = contrary[3][::-1]
    seen = hindsight(splits, exam_of(splits), features=2.0 * np.eye(2)[labels], out_of_fold=OutOfFold(HEAD, contrary))

    assert [(doubt.part, doubt.row) for doubt in seen.doubts] == [("fit", 3)]
    assert seen.curve is not None
    assert seen.curve.right[-1] == 1.0


def test_of_a_tuned_backbone_there_is_no_curve(splits: Splits) -> None:
    """Labels are judged by the heads before it was tuned, and never by pixels in their stead."""
    few = replace(splits, fit=splits.fit[:200])
    seen = hindsight(few, exam_of(few), out_of_fold=OutOfFold(HEAD, np.eye(10)[few.fit.labels]))

    assert seen.judge == "a linear head on the same features"
    assert seen.curve is None
    assert "fine-tuning changed the features" in str(seen.no_curve)


def test_networks_of_folds_judge_where_they_are_right_more_often(splits: Splits) -> None:
    """Than what looks at pixels alone; who is right less often is not asked."""
    few = replace(splits, fit=splits.fit[:200])
    sure, unsure = np.eye(10)[few.fit.labels], np.full((200, 10), 0.1)
    by_networks, by_pixels = (
        hindsight(few, exam_of(few), out_of_fold=OutOfFold(NETWORKS, one)) for one in (sure, unsure)
    )

    assert (by_networks.judge, by_networks.contradicted) == ("a network of the same kind", 0)
    assert by_pixels.judge == "kernel ridge regression on the pixels"
    assert by_networks.curve == by_pixels.curve is not None


def test_several_labels_are_judged_too() -> None:
    """Noise is not enough to doubt one."""
    splits = noise_splits(("a", "b", "c"), (6, 6), several=True)
    exam = replace(exam_of(noise_splits(("a", "b", "c"), (6, 6))), judged=splits.tune.labels * 1.0)
    exam = replace(exam, probabilities=splits.validation.labels * 1.0)

    assert hindsight(splits, exam).reason is not None


def test_a_curve_needs_images() -> None:
    """Of a few images it would be noise."""
    labels = np.arange(30) % 2

    assert learning_curve(of_features(np.eye(2)[labels]), labels, 2, 1.0) is None
    splits = noise_splits(("a", "b"), (6, 6))
    few = replace(splits, fit=splits.fit[:30])
    seen = hindsight(few, exam_of(few), features=2.0 * np.eye(2)[few.fit.labels])
    assert (seen.curve, seen.no_curve) == (None, "30 images of 2 classes are too few for one")


@pytest.mark.parametrize(
    ("right", "rises"), [((0.8, 0.9), True), ((0.9, 0.905), False), ((0.99, 0.991), False), ((0.9, 0.85), False)]
)
def test_a_curve_rises_by_more_than_chance(right: tuple[float, float], rises: bool) -> None:
    """And by a tenth of what was left to gain."""
    assert Curve((100, 200), right).rises == rises
