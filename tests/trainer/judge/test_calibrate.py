import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from vouch.bundle.calibration import calibration_error, uncalibrated
from vouch.bundle.label_sets import COVERAGES, label_sets
from vouch.trainer.judge.calibrate import assess, settle
from vouch.trainer.report.outcome import reliability


def softmax(logits: np.ndarray) -> np.ndarray:
    raw = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def drawn(boldness: float = 1.0, count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, said this many times too boldly, and labels drawn from the honest ones."""
    random = np.random.default_rng(0)
    logits = 2 * random.standard_normal((count, 5))
    labels = np.array([random.choice(5, p=row) for row in softmax(logits)])
    return softmax(logits * boldness), labels


def test_the_error_is_a_naive_count() -> None:
    """Answer by answer into 15 bins of confidence, as the paper has it."""
    probabilities, labels = drawn(2.0)
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(15)]
    for row, label in zip(probabilities, labels, strict=True):
        bins[min(int(max(row) * 15), 14)].append((max(row), int(np.argmax(row)) == label))
    expected = sum(
        len(one) / len(labels) * abs(np.mean([right for _, right in one]) - np.mean([said for said, _ in one]))
        for one in bins
        if one
    )

    assert calibration_error(probabilities, labels) == pytest.approx(expected)
    assert reliability(labels, probabilities).error == pytest.approx(expected)


def test_honest_probabilities_have_a_small_error() -> None:
    """Those that labels are drawn from are nearly calibrated, those said twice as boldly are not."""
    assert calibration_error(*drawn(1.0)) < 0.04
    assert calibration_error(*drawn(2.0)) > 0.08
    assert calibration_error(np.eye(3), np.arange(3)) == 0
    assert calibration_error(np.eye(3), np.array([1, 2, 0])) == 1


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_can_be_taken_back(temperature: float) -> None:
    """The probabilities without it follow from the graph's scores, however bold these are."""
    logits = 3 * np.random.default_rng(0).standard_normal((50, 4))

    np.testing.assert_allclose(uncalibrated(logits / temperature, temperature), softmax(logits), atol=1e-9)
    np.testing.assert_allclose(uncalibrated(1e4 * np.eye(3, dtype=np.float32), 2.0), np.eye(3), atol=1e-12)


def test_what_is_said_is_counted_on_validation() -> None:
    """Errors with and without the temperature, and for each promise how many sets contain the truth and how large."""
    probabilities, labels = drawn()
    tune, validation = (probabilities[:1000], labels[:1000]), (probabilities[1000:], labels[1000:])
    settled = settle(*tune)
    logits = np.log(validation[0])
    found = assess(validation[0], logits, validation[1], 2.0, settled)

    assert tuple(settled.promises) == COVERAGES
    assert (found.method, found.judged, found.folds, found.withheld) == ("split", 1000, None, ())
    assert settled.thresholds is None
    assert found.error_after == calibration_error(*validation)
    assert found.error_before == calibration_error(uncalibrated(logits, 2.0), labels[1000:])
    for one in found.coverages:
        sets = label_sets(validation[0], one.threshold)
        assert one.threshold == settled.promises[one.promised]
        assert one.covered == sum(bool(row[label]) for row, label in zip(sets, labels[1000:], strict=True))
        assert one.mean_size == sets.sum() / 1000
        assert abs(one.covered / one.total - one.promised) < 0.03


@pytest.mark.parametrize(("judged", "promised"), [(21, 0), (22, 1), (50, 2), (229, 2), (230, 3)])
def test_what_too_few_images_would_promise_is_withheld(judged: int, promised: int) -> None:
    """With the number of images that it takes; nothing stands in its place."""
    probabilities, labels = drawn(count=500)
    settled = settle(probabilities[:judged], labels[:judged], folds=5)
    found = assess(probabilities[judged:], np.log(probabilities[judged:]), labels[judged:], 1.0, settled)

    assert (found.method, found.judged, found.folds) == ("cross", judged, 5)
    assert [one.promised for one in found.coverages] == list(COVERAGES[:promised])
    assert [(one.coverage, one.needed, one.judged) for one in found.withheld] == [
        (coverage, needed, judged) for coverage, needed in zip(COVERAGES, (22, 45, 230), strict=True)
    ][promised:]


def test_a_promise_by_class_is_counted_by_class() -> None:
    """Each class has its threshold and its counts; all images together are their sum."""
    probabilities, labels = drawn()
    tune, validation = (probabilities[:1000], labels[:1000]), (probabilities[1000:], labels[1000:])
    found = assess(validation[0], np.log(validation[0]), validation[1], 1.0, settle(*tune, by_class=tuple("abcde")))

    assert [one.promised for one in found.coverages] == [0.9, 0.95]
    assert [(one.coverage, one.needed, one.smallest) for one in found.withheld] == [
        (0.99, 230, "abcde"[np.bincount(labels[:1000]).argmin()])
    ]
    for one in found.coverages:
        assert one.by_class is not None
        sets = validation[0] >= np.array(one.by_class.thresholds)
        sets[np.arange(1000), validation[0].argmax(axis=1)] = True
        held = sets[np.arange(1000), validation[1]]
        assert one.by_class.judged == tuple(np.bincount(labels[:1000]))
        assert one.by_class.total == tuple(np.bincount(validation[1]))
        assert one.by_class.covered == tuple(held[validation[1] == k].sum() for k in range(5))
        assert one.mean_size == sets.sum() / 1000
        assert one.kept


def drawn_labels(boldness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each of five labels, said this many times too boldly, and labels drawn from the honest ones."""
    random = np.random.default_rng(0)
    logits = 2 * random.standard_normal((2000, 5))
    labels = random.random((2000, 5)) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-boldness * logits)), labels


def test_every_label_counts_where_there_are_several() -> None:
    """The error is over every yes and no, as scikit-learn's calibration curve and the report have them."""
    probabilities, labels = drawn_labels(2.0)
    confidence, right = np.maximum(probabilities, 1 - probabilities), (probabilities > 0.5) == labels
    share, said = calibration_curve(right.ravel(), confidence.ravel(), n_bins=15)
    counts = np.histogram(confidence.ravel(), bins=15, range=(0, 1))[0]
    expected = float((counts[counts > 0] * abs(share - said)).sum() / 10_000)

    assert calibration_error(probabilities, labels) == pytest.approx(expected)
    assert reliability(labels, probabilities).error == pytest.approx(expected)
    assert calibration_error(*drawn_labels(1.0)) < 0.02 < calibration_error(probabilities, labels)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_of_several_labels_can_be_taken_back(temperature: float) -> None:
    """Also where it was so low that the graph's probabilities are 0 or 1."""
    logits = np.random.default_rng(0).standard_normal((50, 4))
    without = 1 / (1 + np.exp(-logits))
    extreme = np.array([[-1e4, 1e4]], np.float32)

    for low in (temperature, 0.01):
        np.testing.assert_allclose(uncalibrated(logits / low, low, several=True), without, atol=1e-12)
    np.testing.assert_allclose(uncalibrated(extreme, 1.0, several=True), [[0, 1]], atol=1e-12)


def test_several_labels_have_thresholds_and_no_promises() -> None:
    """A coverage is promised of sets that contain the one truth."""
    probabilities, labels = drawn_labels()
    settled = settle(probabilities, labels)
    logits = np.log(probabilities / (1 - probabilities))
    found = assess(probabilities, logits, labels, 2.0, settled)

    assert settled.thresholds is not None
    assert (len(settled.thresholds), settled.promises, found.coverages, found.withheld) == (5, {}, (), ())
    assert (found.method, found.judged) == ("split", 2000)
    assert found.error_after < found.error_before
