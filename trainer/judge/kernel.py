"""A judge that needs no training: kernel ridge regression, whose leave-one-out answers have a closed form.

With K the kernel of all pairs of images, Y the labels as numbers and G = (K + lambda I)^-1, the answer to image i of
the regression that has not seen it is Y_i - (G Y)_i / G_ii (Rifkin and Lippert, Notes on Regularized Least Squares,
MIT-CSAIL-TR-2007-025). One inverse answers for N regressions.
"""

import numpy as np
import torch
from torch import Tensor

MOST, MOST_VALUES = 4_000, 40_000_000
"""Images: their kernel and its inverse take 64 MB each, and 10^11 multiplications. Numbers in all of their pixels."""
RIDGE = 0.1
"""Lambda. Of 0.03, 0.1, 0.3 and 1, on scikit-learn's digits with 5 % of the labels changed, it found most of these."""
LINEAR = 0.1
"""A tenth of the likeness is a ridge ten times as strong: of 0.3, 1, 3 and 10 times the likeness, 1 found most of the
changed labels among a few hundred photographs' features."""
SHARPNESSES = tuple(2.0**power for power in range(-2, 8))
"""What scores are multiplied by to be the logarithms of probabilities: the one of the lowest log loss is taken."""


def can_judge(images: int, values: int) -> bool:
    """Whether so many images, of so many numbers each, are few enough."""
    return images <= MOST and images * values <= MOST_VALUES


def of_pixels(images: np.ndarray) -> np.ndarray:
    """Likeness of all pairs of small images, exp(-d^2 / (D var)), as scikit-learn's `gamma="scale"` has it.

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
    """Likeness of all pairs of images as a linear head sees it; float32, shape (N, N).

    That of one with itself is about LINEAR on average, that of two 0: less their mean, features of N images are alike
    by -1 / (N - 1), so that an image would be called what the others are called less often, which is its own label.

    Args:
        features: floats, shape (N, D), standardised.
    """
    count, x = len(features), features - features.mean(axis=0)
    kernel: np.ndarray = x @ x.T
    mean = float(np.diag(kernel).mean())
    return np.asarray((kernel + mean / max(1, count - 1)) * (LINEAR / max(mean, 1e-12)), np.float32)


def left_out(kernel: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of each image's labels, by a regression that has seen all the others.

    Args:
        kernel: shape (N, N).
        labels: integers, shape (N,), or bool, shape (N, K).
        classes: K.

    Returns:
        floats, shape (N, K): over all classes 1 together, or for each of several labels 0 to 1.
    """
    wanted = _wanted(labels, classes)
    inverse = torch.cholesky_inverse(_factor(kernel)).numpy()
    scores = wanted - (inverse @ wanted) / np.diag(inverse)[:, None]
    return _probabilities(scores, labels)


def right_of_others(kernel: np.ndarray, labels: np.ndarray, classes: int, rows: np.ndarray) -> float:
    """The share of the other images that a regression on these rows answers rightly; arguments as `left_out`.

    Args:
        rows: positions of those that it has seen, not all.
    """
    others = np.setdiff1d(np.arange(len(labels)), rows)
    wanted = torch.from_numpy(_wanted(labels[rows], classes))
    solved = torch.cholesky_solve(wanted, _factor(kernel[np.ix_(rows, rows)])).numpy()
    scores = kernel[np.ix_(others, rows)] @ solved
    return right_share(scores, labels[others])


def right_share(answers: np.ndarray, labels: np.ndarray, border: float = 0.0) -> float:
    """The share of images whose highest answer is their label's; of several labels, whose all are on the right side.

    Args:
        answers: scores or probabilities, shape (N, K).
        border: from what on one of several labels is answered.
    """
    if labels.ndim == 2:
        return float(((answers > border) == labels).all(axis=1).mean())
    return float((answers.argmax(axis=1) == labels).mean())


def _factor(kernel: np.ndarray) -> Tensor:
    """The Cholesky factor of kernel and ridge: by torch's library, which takes a quarter of the time of numpy's."""
    factor: Tensor = torch.linalg.cholesky(torch.from_numpy(kernel + RIDGE * np.eye(len(kernel), dtype=np.float32)))
    return factor


def _wanted(labels: np.ndarray, classes: int) -> np.ndarray:
    """What the regression is to give: for the label above 0, for others below; shape (N, K)."""
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
