from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from scipy.stats import beta, binom
from sklearn.base import BaseEstimator, ClassifierMixin

from vouch.bundle.label_sets import (
    CONFIDENCE,
    COVERAGES,
    chance_of,
    fewest_for,
    label_sets,
    rank_for,
    threshold_for,
    thresholds_for,
)


class Known(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted classifier whose features are its probabilities."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Known":
        self.classes_ = np.unique(y)
        self.n_features_in_ = x.shape[1]
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x

    def predict(self, x: np.ndarray) -> Any:
        return self.classes_[x.argmax(axis=1)]


def answered(count: int, seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Made-up probabilities, and labels that were drawn from them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.4), count)
    labels = np.array([random.choice(classes, p=row) for row in probabilities])
    return probabilities, labels


def covered(probabilities: np.ndarray, labels: np.ndarray, threshold: float | None) -> np.ndarray:
    """Whether each image's set contains the truth."""
    assert threshold is not None
    return np.asarray(label_sets(probabilities, threshold)[np.arange(len(labels)), labels])


@pytest.mark.parametrize("coverage", [0.8, *COVERAGES])
def test_the_sets_are_mapies(coverage: float) -> None:
    """MAPIE's least ambiguous sets at our rank's share are the same, but that ours are never empty."""
    tune, validation = answered(500, 0), answered(400, 1)
    threshold, rank = threshold_for(*tune, coverage), rank_for(500, coverage)
    assert threshold is not None
    assert rank is not None
    oracle = SplitConformalClassifier(
        Known().fit(*tune), confidence_level=rank / 501, conformity_score="lac", prefit=True
    ).conformalize(*tune)
    expected = oracle.predict_set(validation[0])[1][:, :, 0]
    expected[np.arange(400), validation[0].argmax(axis=1)] = True

    np.testing.assert_array_equal(label_sets(validation[0], threshold), expected)


@given(st.integers(0, 3000), st.sampled_from([0.5, 0.8, *COVERAGES]))
def test_the_rank_is_the_smallest_that_holds_with_confidence(images: int, coverage: float) -> None:
    """By the Beta distribution of scipy; there is none where not even the lowest probability of the truth holds."""

    def confidence(rank: int) -> float:
        return float(beta.sf(coverage, rank, images + 1 - rank))

    rank = rank_for(images, coverage)

    assert (rank is None) == (images < fewest_for(coverage))
    if rank is None:
        assert images == 0 or confidence(images) < CONFIDENCE
    else:
        assert confidence(rank) >= CONFIDENCE
        assert rank == 1 or confidence(rank - 1) < CONFIDENCE


def test_many_images_promise_little_more_than_asked() -> None:
    """Of 1,000,000 images the rank lies close to the promise, and is as scipy has it."""
    rank = rank_for(1_000_000, 0.99)

    assert rank is not None
    assert 0.99 < rank / 1_000_000 < 0.9902
    assert beta.sf(0.99, rank, 1_000_001 - rank) >= CONFIDENCE > beta.sf(0.99, rank - 1, 1_000_002 - rank)


@pytest.mark.parametrize(("coverage", "count"), [(0.90, 22), (0.90, 200), (0.95, 200), (0.99, 230)])
def test_the_promise_is_kept_in_nine_of_ten_draws(coverage: float, count: int) -> None:
    """Of many draws of images that judge, at least 90 % less three standard errors give sets that keep the promise."""
    probabilities, labels = answered(20_000, 1)
    random, draws = np.random.default_rng(2), 400
    kept = 0
    for _ in range(draws):
        rows = random.integers(0, len(labels), count)
        kept += (
            covered(probabilities, labels, threshold_for(probabilities[rows], labels[rows], coverage)).mean()
            >= coverage
        )

    assert kept / draws >= CONFIDENCE - 3 * (CONFIDENCE * (1 - CONFIDENCE) / draws) ** 0.5
    assert kept < draws


@pytest.mark.parametrize(("coverage", "enough"), [(0.90, 22), (0.95, 45), (0.99, 230)])
def test_too_few_images_promise_nothing(coverage: float, enough: int) -> None:
    """As many as it takes settle on the lowest probability of the truth; one fewer on none."""
    probabilities, labels = answered(enough, 0)

    assert fewest_for(coverage) == enough
    assert threshold_for(probabilities, labels, coverage) == probabilities[np.arange(enough), labels].min()
    assert threshold_for(probabilities[1:], labels[1:], coverage) is None


@given(st.integers(1, 100), st.floats(0.5, 0.95), st.integers(0, 1000))
def test_at_least_the_share_of_those_that_judge_is_covered(count: int, coverage: float, seed: int) -> None:
    """On these images themselves the sets contain the truth at least as often as promised, and the top answer."""
    probabilities, labels = answered(count, seed)
    threshold = threshold_for(probabilities, labels, coverage)
    assume(threshold is not None)

    assert covered(probabilities, labels, threshold).mean() >= coverage
    assert covered(probabilities, probabilities.argmax(axis=1), threshold).all()


def test_thresholds_by_class_are_those_of_each_class_alone() -> None:
    """A class's threshold is what its own images alone give; its images' sets contain it as often as promised."""
    probabilities, labels = answered(600, 3)
    thresholds = thresholds_for(probabilities, labels, 0.9)
    assert thresholds is not None
    held = label_sets(probabilities, thresholds)[np.arange(600), labels]

    for k in range(5):
        of_it = labels == k
        assert thresholds[k] == threshold_for(probabilities[of_it], labels[of_it], 0.9)
        assert held[of_it].mean() >= 0.9
    assert len(set(thresholds)) == 5
    assert label_sets(probabilities, thresholds)[np.arange(600), probabilities.argmax(axis=1)].all()


@pytest.mark.parametrize("classes", [2, 5])
def test_no_promise_by_class_where_one_class_has_too_few_images(classes: int) -> None:
    """22 images of each give one of 90 %; 21 of the last, or none, take it from all."""
    labels = np.repeat(np.arange(classes), 22)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(classes), len(labels))

    assert thresholds_for(probabilities, labels, 0.9) is not None
    assert thresholds_for(probabilities[:-1], labels[:-1], 0.9) is None
    assert thresholds_for(probabilities[:-22], labels[:-22], 0.9) is None
    assert thresholds_for(probabilities, labels, 0.95) is None


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from(COVERAGES))
def test_the_chance_of_a_count_is_binomial(images: int, share: float, coverage: float) -> None:
    """As scipy has it: of as few covered images or fewer."""
    covered = round(share * images)

    assert chance_of(covered, images, coverage) == pytest.approx(binom.cdf(covered, images, coverage), abs=1e-9)
