"""Kernel ridge regression, a classifier whose leave-one-out answers have a closed form.

With K the kernel of all pairs of images, Y the labels as numbers and G = (K + lambda I)^-1, the answer to image i of
the regression that has not seen it is Y_i - (G Y)_i / G_ii (Rifkin and Lippert, Notes on Regularized Least Squares,
MIT-CSAIL-TR-2007-025). One inverse gives the answers of N regressions.
"""

import numpy as np
import torch
from torch import Tensor

MOST, MOST_VALUES = 4_000, 40_000_000
"""The most images (their kernel and its inverse take 64 MB each, and 10^11 multiplications), and the most pixel values
of all of them together."""
RIDGE = 0.1
"""Lambda. Of 0.03, 0.1, 0.3 and 1, it found most of the changed labels in scikit-learn's digits with 5 % changed."""
LINEAR = 0.1
"""Mean of the diagonal of the kernel of features, so the ridge is as large as the mean. Of ridges of 0.3, 1, 3 and 10
times the mean, 1 found most of the changed labels among the features of a few hundred photographs."""
SHARPNESSES = tuple(2.0**power for power in range(-2, 8))
"""Factors that turn scores into logits: the one with the lowest log loss is used."""


def can_judge(images: int, values: int) -> bool:
    """Whether the images are few and small enough.

    Args:
        values: numbers per image.
    """
    return images <= MOST and images * values <= MOST_VALUES


def of_pixels(images: np.ndarray) -> np.ndarray:
    """Similarity of all pairs of small images, exp(-d^2 / (D var)), like scikit-learn's `gamma="scale"`.

    Args:
        images: uint8, shape (N, ...).

    Returns:
        float32, shape (N, N), 0 to 1: with the ridge, single precision is exact to about 0.001.
    """
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    x -= x.mean(axis=0)
    squares = np.einsum("nd,nd->n", x, x)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * x @ x.T, 0)
    kernel: np.ndarray = np.exp(-distances / max(float(squares.mean()), 1e-12))
    return kernel


def of_features(features: np.ndarray) -> np.ndarray:
    """Similarity of all pairs of images by a linear kernel on features; float32, shape (N, N).

    That of an image with itself is about LINEAR on average, that of two images 0. Without the correction below, centred
    features of N images have a mean similarity of -1 / (N - 1), and an image would be answered with the class that is
    rarer among the others, which is its own.

    Args:
        features: floats, shape (N, D), standardised.
    """
    count, x = len(features), features - features.mean(axis=0)
    kernel: np.ndarray = x @ x.T
    mean = float(np.diag(kernel).mean())
    return np.asarray((kernel + mean / max(1, count - 1)) * (LINEAR / max(mean, 1e-12)), np.float32)


def left_out(kernel: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities for each image, by a regression that has seen all other images.

    Args:
        kernel: shape (N, N).
        labels: integers, shape (N,), or bool, shape (N, K).
        classes: K.

    Returns:
        floats, shape (N, K): summing to 1; multi-label: 0 to 1 for each label.
    """
    wanted = _wanted(labels, classes)
    inverse = torch.cholesky_inverse(_factor(kernel)).numpy()
    scores = wanted - (inverse @ wanted) / np.diag(inverse)[:, None]
    return _probabilities(scores, labels)


def right_of_others(kernel: np.ndarray, labels: np.ndarray, classes: int, rows: np.ndarray) -> float:
    """The accuracy on the other images of a regression on these rows; arguments as `left_out`.

    Args:
        rows: positions of the images that it has seen, not all.
    """
    others = np.setdiff1d(np.arange(len(labels)), rows)
    wanted = torch.from_numpy(_wanted(labels[rows], classes))
    solved = torch.cholesky_solve(wanted, _factor(kernel[np.ix_(rows, rows)])).numpy()
    scores = kernel[np.ix_(others, rows)] @ solved
    return right_share(scores, labels[others])


def right_share(answers: np.ndarray, labels: np.ndarray, border: float = 0.0) -> float:
    """The share of right answers: the highest is the label's; multi-label: all labels are right.

    Args:
        answers: scores or probabilities, shape (N, K).
        border: multi-label: the value above which a label is answered.
    """
    if labels.ndim == 2:
        return float(((answers > border) == labels).all(axis=1).mean())
    return float((answers.argmax(axis=1) == labels).mean())


def _factor(kernel: np.ndarray) -> Tensor:
    """The Cholesky factor of kernel plus ridge; torch takes a quarter of numpy's time."""
    factor: Tensor = torch.linalg.cholesky(torch.from_numpy(kernel + RIDGE * np.eye(len(kernel), dtype=np.float32)))
    return factor


def _wanted(labels: np.ndarray, classes: int) -> np.ndarray:
    """The regression's targets: above 0 for the label, below 0 for others; shape (N, K)."""
    wanted = labels - 0.5 if labels.ndim == 2 else np.eye(classes)[labels] - 1 / classes
    return np.asarray(wanted, np.float32)


def _probabilities(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    tried = [_shares(scores * sharpness, labels.ndim == 2) for sharpness in SHARPNESSES]
    return min(tried, key=lambda shares: _log_loss(shares, labels))


def _shares(logits: np.ndarray, several: bool) -> np.ndarray:
    if several:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _log_loss(shares: np.ndarray, labels: np.ndarray) -> float:
    of_truth = np.where(labels, shares, 1 - shares) if labels.ndim == 2 else shares[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, 1e-12)).mean())
