from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score

from vouch.bundle.balanced import balanced, balanced_over_labels, class_means
from vouch.bundle.claims import MultiLabelClaim, claim_from
from vouch.bundle.multi_label import MultiLabelTally


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(81, 263, 0.2535, 0.3682), (15, 148, 0.0598, 0.1644), (0, 20, 0.0, 0.2005), (1, 29, 0.0018, 0.1963)],
)
def test_of_one_class_it_is_the_published_interval(right: int, images: int, low: float, high: float) -> None:
    """The values of R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 4, come out."""
    found = balanced(np.array([right]), np.array([images]))

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("images", [(5, 5, 5), (5, 5, 50), (5, 20, 50), (10, 20, 20)])
def test_the_interval_keeps_its_promise_of_few_images_a_class(images: tuple[int, ...]) -> None:
    """Counted exactly, over all that may be counted: at each set of rates at least 95 % of the intervals hold them."""
    right = np.stack(np.meshgrid(*(np.arange(n + 1) for n in images), indexing="ij"), axis=-1).reshape(-1, 3)
    _, low, high = class_means(right, np.tile(images, (len(right), 1)))
    kept = {}
    for rates in product((0.5, 0.8, 0.98, 0.99, 1.0), repeat=3):
        chances = np.prod([binom.pmf(right[:, k], images[k], rates[k]) for k in range(3)], axis=0)
        mean = np.mean(rates)
        kept[rates] = float(chances[(low <= mean + 1e-8) & (mean - 1e-8 <= high)].sum())

    assert min(kept.values()) >= 0.95, min(kept, key=kept.__getitem__)


@pytest.mark.parametrize("rate", [0.8, 0.95, 0.99])
def test_the_interval_keeps_its_promise_of_many_classes(rate: float) -> None:
    """Of 100 classes of 5 images, 1,000 draws: 95 % less three standard errors. The sum of the classes' own intervals
    breaks it here.
    """
    images = np.full((1_000, 100), 5)
    _, low, high = class_means(np.random.default_rng(0).binomial(images, rate), images)

    assert ((low <= rate) & (rate <= high)).mean() >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1_000)


def test_it_is_no_wider_than_what_many_images_allow() -> None:
    """Of classes of equal size, the width is within a tenth of the normal approximation's."""
    images = np.full((1, 10), 500)
    share, low, high = class_means(np.full((1, 10), 450), images)

    assert share == pytest.approx([0.9])
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.9 * 0.1 / 5_000), rel=0.1)


def test_every_class_counts_the_same() -> None:
    """As scikit-learn counts it; a class without images is left out."""
    right, images = np.array([90, 1, 0]), np.array([100, 4, 0])
    labels, answers = np.repeat([0, 1], [100, 4]), np.repeat([0, 1, 0, 1], [90, 10, 3, 1])
    found = balanced(right, images)

    assert found.accuracy == pytest.approx(balanced_accuracy_score(labels, answers))
    assert found.classes == 2
    assert str(found).startswith("57.50% (95 % interval ")
    assert str(found).endswith("), the mean of 2 classes")


def multi_label_claim(labels: np.ndarray, answers: np.ndarray) -> MultiLabelClaim:
    tally = MultiLabelTally((0.5,) * labels.shape[1])
    tally.add_answers(labels, answers)
    claim = claim_from(tally)
    assert isinstance(claim, MultiLabelClaim)
    return claim


def test_with_several_labels_it_is_the_mean_of_each_and_its_absence() -> None:
    """Answering everything, or nothing, is worth one half, however rare the labels are."""
    labels = np.random.default_rng(0).random((200, 3)) < [0.5, 0.1, 0.02]
    noise = labels ^ (np.random.default_rng(1).random((200, 3)) < 0.1)

    for answers in (np.ones_like(labels), np.zeros_like(labels)):
        found = multi_label_claim(labels, answers).balanced
        assert found is not None
        assert (found.accuracy, found.classes) == (0.5, 3)
    found = multi_label_claim(labels, noise).balanced
    assert found is not None
    expected = np.mean([balanced_accuracy_score(labels[:, k], noise[:, k]) for k in range(3)])
    assert found.accuracy == pytest.approx(expected)
    assert found.low < expected < found.high


@pytest.mark.parametrize("alike", [False, True], ids=["independent", "all alike"])
def test_the_interval_over_labels_holds_however_they_depend_on_each_other(alike: bool) -> None:
    """Of 10 labels that are answered wrongly together, the interval is not the narrower for being of 10; 100 draws."""
    random = np.random.default_rng(0)
    labels = np.arange(60)[:, None] % 2 == np.zeros((1, 10))
    kept = 0
    for _ in range(100):
        wrong = random.random((60, 1 if alike else 10)) < 0.2
        found = multi_label_claim(labels, labels ^ wrong).balanced
        assert found is not None
        kept += found.low <= 0.8 <= found.high

    assert kept / 100 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)


def test_a_label_that_all_images_have_says_nothing() -> None:
    """There is none to be told from it; where all labels are so, there is no balanced accuracy."""
    assert balanced_over_labels(np.array([[[0, 0], [2, 8]], [[10, 0], [0, 0]]])) is None
    found = balanced_over_labels(np.array([[[0, 0], [2, 8]], [[4, 1], [1, 4]]]))

    assert found is not None
    assert found.accuracy == pytest.approx(0.8)
    assert found.classes == 1
