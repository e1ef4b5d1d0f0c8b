from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from vouch.bundle.label_sets import COVERAGES, label_sets, threshold_for


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


@pytest.mark.parametrize("coverage", [0.8, *COVERAGES])
def test_the_sets_are_mapies(coverage: float) -> None:
    """MAPIE's least ambiguous sets from the same images are the same, but that ours are never empty."""
    tune, validation = answered(500, 0), answered(400, 1)
    oracle = SplitConformalClassifier(
        Known().fit(*tune), confidence_level=coverage, conformity_score="lac", prefit=True
    ).conformalize(*tune)
    expected = oracle.predict_set(validation[0])[1][:, :, 0]
    expected[np.arange(400), validation[0].argmax(axis=1)] = True

    np.testing.assert_array_equal(label_sets(validation[0], threshold_for(*tune, coverage)), expected)


@pytest.mark.parametrize("coverage", COVERAGES)
def test_the_promise_is_kept(coverage: float) -> None:
    """Over many draws of tune and validation, sets contain the truth as often as promised, and not much more often."""
    kept = []
    for seed in range(40):
        probabilities, labels = answered(300, 2 + seed)
        threshold = threshold_for(probabilities[:200], labels[:200], coverage)
        kept += label_sets(probabilities[200:], threshold)[np.arange(100), labels[200:]].tolist()

    assert coverage - 0.01 < np.mean(kept) < coverage + 0.025


@pytest.mark.parametrize(("coverage", "enough"), [(0.90, 9), (0.95, 19), (0.99, 99)])
def test_too_few_images_promise_all_labels(coverage: float, enough: int) -> None:
    """A promise takes n images with (n + 1) * coverage <= n; with one fewer the set is every class."""
    probabilities, labels = answered(enough, 0)

    assert threshold_for(probabilities, labels, coverage) == probabilities[np.arange(enough), labels].min()
    assert threshold_for(probabilities[1:], labels[1:], coverage) == 0
    assert label_sets(probabilities, 0.0).all()


@given(st.integers(1, 60), st.floats(0.5, 0.99), st.integers(0, 1000))
def test_at_least_the_share_of_tune_is_covered(count: int, coverage: float, seed: int) -> None:
    """On tune itself the sets contain the truth at least as often as promised, and always the top answer."""
    probabilities, labels = answered(count, seed)
    sets = label_sets(probabilities, threshold_for(probabilities, labels, coverage))

    assert sets[np.arange(count), labels].mean() >= coverage - 1e-9
    assert sets[np.arange(count), probabilities.argmax(axis=1)].all()
