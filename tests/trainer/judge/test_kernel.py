import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from vouch.trainer.judge.kernel import (
    RIDGE,
    SHARPNESSES,
    can_judge,
    left_out,
    of_features,
    of_pixels,
    right_of_others,
    right_share,
)

FEW = 60


@pytest.fixture(scope="module")
def noise() -> tuple[np.ndarray, np.ndarray]:
    """Images of noise, brighter the higher their class."""
    random = np.random.default_rng(0)
    labels = np.arange(FEW) % 3
    return (random.integers(0, 120, (FEW, 4, 4)) + 40 * labels[:, None, None]).astype(np.uint8), labels


def test_leaving_one_out_is_fitting_without_it(noise: tuple[np.ndarray, np.ndarray]) -> None:
    """The closed form gives what a regression fitted to all others answers, image by image."""
    images, labels = noise
    kernel = of_pixels(images)
    wanted = np.eye(3)[labels] - 1 / 3
    answers = left_out(kernel, labels, 3)

    scores = []
    for row in range(FEW):
        others = np.arange(FEW) != row
        fitted = KernelRidge(alpha=RIDGE, kernel="precomputed").fit(kernel[np.ix_(others, others)], wanted[others])
        scores.append(fitted.predict(kernel[[row]][:, others])[0])
    powers = [np.exp(sharpness * np.array(scores)) for sharpness in SHARPNESSES]

    assert any(np.allclose(answers, power / power.sum(axis=1, keepdims=True), atol=1e-4) for power in powers)


def test_several_labels_have_a_probability_each(noise: tuple[np.ndarray, np.ndarray]) -> None:
    """Of an image that looks like those with a label it is high, whatever the other labels."""
    images, labels = noise
    several = np.stack([labels >= 1, labels == 2], axis=1)
    answers = left_out(of_pixels(images), several, 2)

    assert answers.shape == (FEW, 2)
    assert right_share(answers, several, border=0.5) > 0.8


def test_other_images_are_answered_by_what_was_learned(noise: tuple[np.ndarray, np.ndarray]) -> None:
    """Features that tell the classes apart tell them apart for images that were not learned from."""
    _, labels = noise
    kernel = of_features(3 * np.eye(3)[labels])

    assert right_of_others(kernel, labels, 3, np.arange(9)) == 1
    assert right_of_others(kernel, np.roll(labels, 1), 3, np.arange(9)) == 1
    assert right_of_others(of_features(np.ones((FEW, 2))), labels, 3, np.arange(9)) < 0.5


def test_features_that_tell_nothing_are_right_by_chance() -> None:
    """Also of a few images of as many in each class, whose features are known less their mean; over forty draws."""
    random, labels = np.random.default_rng(0), np.arange(20) % 2
    right = []
    for _ in range(40):
        features = random.normal(size=(20, 500))
        right.append(right_share(left_out(of_features(features - features.mean(axis=0)), labels, 2), labels))

    assert 0.35 < np.mean(right) < 0.65


def test_it_takes_no_more_than_there_is_memory_for() -> None:
    """Many images are too many, and so are few of a great size."""
    assert can_judge(4_000, 28 * 28)
    assert not can_judge(57_000, 28 * 28)
    assert not can_judge(1_000, 512 * 512 * 3)
