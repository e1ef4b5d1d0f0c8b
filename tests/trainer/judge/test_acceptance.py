import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import vouch.trainer.judge.acceptance
from tests.support.backbones import tiny_backbone
from vouch.bundle.quantization import Count
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.sources.images import Images
from vouch.trainer.judge.acceptance import InFloat, Pairs, Quantized, Refused, Terms, quantize
from vouch.trainer.judge.exam import Exam, examine, judges_of
from vouch.trainer.judge.export import export
from vouch.trainer.judge.findings import findings
from vouch.trainer.judge.graph import answers
from vouch.trainer.judge.quantize import in_int8
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head
from vouch.trainer.learn.judges import Judges
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.out_of_fold import fit_folds
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=0.02, optimizer="sgd")


def pairs(judged: int, only_float: int, only_int8: int) -> Pairs:
    """Of so many images, half of which both graphs answer rightly."""
    both = judged // 2
    of_float, of_int8 = (Count(correct=both + only, total=judged) for only in (only_float, only_int8))
    return Pairs(of_float, of_int8, only_float, only_int8)


@pytest.mark.parametrize(
    ("judged", "only_float", "only_int8", "max_drop", "reason"),
    [
        (243, 0, 0, None, None),
        (243, 2, 0, None, None),  # 0.82 points
        (100, 2, 0, None, None),  # two images are noise
        (100, 3, 0, None, "in int8 50 of 100 calibration images are right, in float32 53: 3.00 .* allows 2$"),
        (243, 4, 1, None, "1.23 percentage points less, but --max-drop allows 1$"),
        (500, 5, 0, None, r"of 500 calibration images 5 are right only in float32 and 0 only in int8.*p = 0\.031"),
        (500, 5, 1, None, None),
        (500, 3, 40, None, None),  # int8 is better
        (3000, 3, 0, 0.1, None),  # though the accuracies differ by a little more in floats
        (3000, 15, 0, 0.5, "a significant drop"),
        (3000, 4, 0, 0.1, "0.13 percentage points less, but --max-drop allows 0.1"),
        (1000, 1, 0, 0.0, "0.10 percentage points less, but --max-drop allows 0$"),
        (1000, 20, 5, 5.0, "a significant drop"),
        (1000, 400, 0, 100.0, None),
    ],
)
def test_int8_is_accepted_where_no_loss_is_seen(
    judged: int, only_float: int, only_int8: int, max_drop: float | None, reason: str | None
) -> None:
    """Neither more than is allowed, nor more than chance explains; two images of a hundred refuse nothing."""
    found = Terms(max_drop).refusal(pairs(judged, only_float, only_int8))

    assert (found is None) == (reason is None)
    assert reason is None or re.search(reason, str(found)), found


def in_float(classifier: Classifier, splits: Splits, judges: Judges, temperature: float = 1.5) -> InFloat:
    """What an exam hands over."""
    graph = export(classifier, splits.fit.images.shape[1:], temperature)
    return InFloat(graph, temperature, judges.probabilities(temperature))


def right(probabilities: np.ndarray, judges: Judges) -> int:
    """How many images are answered rightly, one label each."""
    return int((probabilities.argmax(axis=1) == judges.labels).sum())


def without_tune(splits: Splits) -> Splits:
    """The same, of which folds are to judge."""
    return replace(splits, tune=splits.tune[:0])


def with_tune(splits: Splits, images: int) -> Splits:
    """With so many of its tune images."""
    return replace(splits, tune=splits.tune[:images])


def test_the_cost_is_a_naive_count(fitted: tuple[Classifier, Fitted], splits: Splits) -> None:
    """What is recorded is what the two graphs answer to tune, image by image."""
    judges = judges_of(fitted[0], splits, ())
    trained = in_float(fitted[0], splits, judges)
    result = quantize(trained, splits.fit.images, judges, Terms(5))
    assert isinstance(result, Quantized)
    of_float, of_int8 = (answers(one, splits.tune.images) for one in (trained.graph, result.graph))
    said, facts = [one.argmax(axis=1) for one in (of_float, of_int8)], result.facts
    first, second = (one == splits.tune.labels for one in said)

    assert (facts.float_tune.correct, facts.tune.correct) == (first.sum(), second.sum())
    assert (facts.only_float, facts.only_int8) == ((first & ~second).sum(), (second & ~first).sum())
    assert (facts.tune.total, facts.max_drop) == (len(splits.tune), 5)
    assert result.differing == (said[0] != said[1]).sum()
    np.testing.assert_array_equal(result.judged, of_int8)


def test_too_few_judged_images_refuse(
    fitted: tuple[Classifier, Fitted], splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a graph having been made; whatever it loses is taken if one image says what that is."""
    few = replace(splits, tune=splits.tune[:99])
    judges, one, none = (judges_of(fitted[0], part, ()) for part in (few, with_tune(few, 1), without_tune(few)))
    taken = quantize(in_float(fitted[0], splits, one), splits.fit.images, one, Terms(100))
    monkeypatch.setattr(vouch.trainer.judge.acceptance, "in_int8", None)

    refused = quantize(in_float(fitted[0], splits, judges), splits.fit.images, judges, Terms(99))
    nothing = quantize(in_float(fitted[0], splits, none), splits.fit.images, none, Terms(100))

    assert refused == Refused("too few calibration images to measure the drop in accuracy: 99; needed: at least 100")
    assert nothing == Refused(
        "too few calibration images to measure the drop in accuracy: 0; needed: at least 1", anyway=False
    )
    assert isinstance(taken, Quantized)
    assert taken.facts.tune.total == 1


def test_answers_that_are_no_numbers_refuse(
    fitted: tuple[Classifier, Fitted], splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where whatever int8 loses is taken: float32 has none of them, and is published."""
    broken = Classifier("linear", (8, 8), 10).eval()
    broken.mean.fill_(np.nan)
    worse = export(broken, (8, 8))
    monkeypatch.setattr(vouch.trainer.judge.acceptance, "in_int8", lambda graph, images: worse)
    judges = judges_of(fitted[0], splits, ())

    refused = quantize(in_float(fitted[0], splits, judges), splits.fit.images, judges, Terms(100))

    assert refused == Refused("in int8 some calibration images get values that are not finite", anyway=False)


def test_each_networks_fold_is_judged_in_int8(splits: Splits) -> None:
    """By the classifier that has not learned its images, as it is, with ranges of what it has."""
    splits = replace(without_tune(splits), fit=splits.fit[:300])
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), 10)
    folds = fit_folds(classifier, splits, RECIPE, ALONE)
    judges = judges_of(classifier.eval(), splits, folds)
    images = splits.fit.images

    result = quantize(in_float(classifier, splits, judges), images, judges, Terms(100))

    assert isinstance(result, Quantized)
    assert result.facts.tune.total == len(splits.fit)
    for part, judged in zip(
        folds, np.split(result.judged, np.cumsum([len(part.rows) for part in folds])), strict=False
    ):
        others = np.delete(np.arange(len(images)), part.rows)
        own = in_int8(export(part.classifier, (8, 8), 1.5), images[others])
        np.testing.assert_array_equal(judged, answers(own, images[part.rows]))


def test_a_backbone_is_made_int8_once_for_all_folds(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fold's head is given its features, as it would be if the two were one graph."""
    splits = in_colour(without_tune(splits))
    torch.manual_seed(0)
    classifier = FrozenClassifier(tiny_backbone((8, 8, 3)), 10)
    folds = fit_head(classifier, splits, RECIPE).folds
    judges, images = judges_of(classifier, splits, folds), splits.fit.images
    once = iter([in_int8])

    def made_once(graph: bytes, images: Images) -> bytes:
        return next(once)(graph, images)

    monkeypatch.setattr(vouch.trainer.judge.acceptance, "in_int8", made_once)

    result = quantize(in_float(classifier, splits, judges), images, judges, Terms(100))

    assert isinstance(result, Quantized)
    assert len(folds) > 1
    whole = [answers(in_int8(export(part.classifier, (8, 8, 3), 1.5), images), images[part.rows]) for part in folds]
    np.testing.assert_allclose(result.judged, np.concatenate(whole), atol=1e-5)
    assert result.facts.tune.correct == right(np.concatenate(whole), judges)


def in_colour(splits: Splits) -> Splits:
    """The same digits with three channels, the first 300 of fit."""
    fit, tune, validation = (
        Examples(np.repeat(part.images[:300][..., None], 3, axis=3), part.labels[:300])
        for part in (splits.fit, splits.tune, splits.validation)
    )
    return replace(splits, fit=fit, tune=tune, validation=validation)


def test_with_several_labels_whole_images_count(several: Splits) -> None:
    """Each graph is counted at the thresholds that it would get itself."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), 3, task="multi_label")
    fit(classifier, several, RECIPE)
    exam = examine(classifier, several, judges_of(classifier, several, ()), Terms(100))
    assert exam.quantized

    facts, said = exam.quantized.facts, exam.quantized.judged >= np.asarray(exam.thresholds)
    assert facts.tune.correct == (said == several.tune.labels).all(axis=1).sum()
    assert facts.tune.correct / facts.tune.total > 0.5


def exams(classifier: Classifier, splits: Splits, terms: Terms) -> tuple[Exam, Exam]:
    """With int8 asked for, and without."""
    judges = judges_of(classifier, splits, ())
    return examine(classifier, splits, judges, terms), examine(classifier, splits, judges)


def test_all_that_is_said_of_the_model_is_said_of_the_int8_graph(
    fitted: tuple[Classifier, Fitted], splits: Splits
) -> None:
    """Claim, label sets and probabilities are counted on the graph that is published."""
    exam, plain = exams(fitted[0], splits, Terms(5))
    probabilities = answers(exam.graph, splits.validation.images)
    assert exam.quantized

    assert exam.graph == exam.quantized.graph != plain.graph
    assert (plain.quantized, exam.int8_refused, plain.int8_refused) == (None, None, None)
    np.testing.assert_array_equal(exam.probabilities, probabilities)
    np.testing.assert_array_equal(exam.judged, exam.quantized.judged)
    assert exam.claim.correct == (probabilities.argmax(axis=1) == splits.validation.labels).sum()


def test_where_int8_is_refused_all_is_as_in_float32(
    fitted: tuple[Classifier, Fitted], splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost but the smaller graph, and the reason has both counts."""
    torch.manual_seed(1)
    worse = export(Classifier("linear", (8, 8), 10).eval(), (8, 8))
    monkeypatch.setattr(vouch.trainer.judge.acceptance, "in_int8", lambda graph, images: worse)

    exam, plain = exams(fitted[0], splits, Terms(None))

    of_float, of_int8 = (
        right(answers(one, splits.tune.images), judges_of(fitted[0], splits, ())) for one in (plain.graph, worse)
    )
    assert exam.quantized is None
    assert exam.int8_refused is not None
    assert (
        f"in int8 {of_int8} of {len(splits.tune)} calibration images are right, in float32 {of_float}"
        in exam.int8_refused
    )
    assert (exam.graph, exam.claim, exam.calibration) == (plain.graph, plain.claim, plain.calibration)
    assert "(--max-drop 100 publishes int8 anyway)" in "\n".join(findings(exam))
    assert "publishes int8 anyway" not in "\n".join(
        findings(replace(exam, int8_anyway=False))
    )  # where it would not help
