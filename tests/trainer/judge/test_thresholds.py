import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from vouch.bundle.multi_label import decide
from vouch.trainer.judge.thresholds import best_thresholds, chosen_thresholds

SHARES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0]) | st.floats(0, 1, width=32)


def column(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@settings(max_examples=40)  # scikit-learn takes 40 ms for each
@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=30))
def test_no_threshold_has_a_higher_f1(answered: list[tuple[float, bool]]) -> None:
    """Of all thresholds that part the images differently, scikit-learn finds none better."""
    probabilities, labels = column([p for p, _ in answered]), np.array([[present] for _, present in answered])
    (threshold,) = best_thresholds(probabilities, labels)

    def f1(candidate: float) -> float:
        return float(f1_score(labels[:, 0], decide(probabilities, (candidate,))[:, 0], zero_division=0.0))

    assert float(np.float32(threshold)) == threshold
    assert 0 <= threshold <= 1
    assert f1(threshold) >= max(map(f1, [0.0, 0.5, *probabilities[:, 0].tolist()])) - 1e-12


def test_of_equally_good_ones_the_nearest_to_one_half_is_taken() -> None:
    """One half itself where it parts the label; otherwise halfway between the two probabilities nearest to it."""
    labels = np.array([[False], [False], [True], [True]])

    assert best_thresholds(column([0.1, 0.2, 0.9, 0.95]), labels) == (0.5,)
    assert best_thresholds(column([0.125, 0.25, 0.375, 0.4]), labels) == (0.3125,)
    assert best_thresholds(column([0.5, 0.625, 0.75, 1.0]), labels) == (0.6875,)


@pytest.mark.parametrize(("present", "threshold"), [(False, 0.5), (True, 0.0625)])
def test_a_label_that_none_or_all_have(present: bool, threshold: float) -> None:
    """None: one half, because nothing can be settled. All: low enough to answer it for all of them."""
    assert best_thresholds(column([0.75, 0.9, 0.125]), np.full((3, 1), present)) == (threshold,)


def test_each_label_has_its_own() -> None:
    """Columns do not know of each other."""
    random = np.random.default_rng(0)
    probabilities, labels = random.random((200, 7), np.float32), random.random((200, 7)) < 0.3

    alone = [best_thresholds(probabilities[:, [k]], labels[:, [k]])[0] for k in range(7)]

    assert best_thresholds(probabilities, labels) == tuple(alone)
    assert len(set(alone)) > 3


def test_neighbours_among_the_float32_are_told_apart() -> None:
    """Where nothing lies between two probabilities, the upper one is the threshold."""
    low = np.float32(0.25)
    high = np.nextafter(low, np.float32(1))
    (threshold,) = best_thresholds(column([float(low), float(high)]), np.array([[False], [True]]))

    assert threshold == float(high)


def test_a_threshold_that_helps_images_it_was_not_fitted_to_is_chosen() -> None:
    """A label that is answered far too seldom at one half; of another, which one half parts, one half is kept."""
    present = np.arange(40)[:, None] % 4 == 0
    low, parted = np.where(present, 0.3, 0.1).astype(np.float32), np.where(present, 0.9, 0.2).astype(np.float32)

    chosen = chosen_thresholds(np.hstack([low, parted]), np.hstack([present, present]))

    assert chosen == pytest.approx((0.2, 0.5))


def test_a_threshold_fitted_to_twelve_accidents_is_not_chosen() -> None:
    """The best of twelve lies at a single image, without which another would be the best."""
    probabilities = column([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8])
    labels = np.array([0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1], np.bool_)[:, None]

    assert best_thresholds(probabilities, labels) != (0.5,)
    assert chosen_thresholds(probabilities, labels) == (0.5,)


@pytest.mark.parametrize("count", [1, 12, 200])
def test_what_is_chosen_lies_between_the_best_and_one_half(count: int) -> None:
    """Whichever folds there are."""
    random = np.random.default_rng(count)
    probabilities, labels = random.random((count, 5), np.float32), random.random((count, 5)) < 0.3

    best, chosen = best_thresholds(probabilities, labels), chosen_thresholds(probabilities, labels)

    assert all(min(0.5, other) <= one <= max(0.5, other) for one, other in zip(chosen, best, strict=True))


@pytest.mark.parametrize(("images", "threshold"), [(2, 0.5), (6, 0.156), (18, 0.1306), (198, 0.1)])
def test_the_threshold_of_a_rare_label_shrinks_to_one_half(images: int, threshold: float) -> None:
    """The best is 0.1 for all of them: of few images with the label some of that is believed, of many all."""
    probabilities = np.concatenate([np.linspace(0.12, 0.48, images), np.linspace(0, 0.08, 300)])[:, None]
    labels = np.arange(len(probabilities))[:, None] < images

    assert best_thresholds(probabilities.astype(np.float32), labels) == pytest.approx((0.1,))
    assert chosen_thresholds(probabilities.astype(np.float32), labels) == pytest.approx((threshold,), abs=1e-4)
