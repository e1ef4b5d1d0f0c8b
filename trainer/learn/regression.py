"""A linear layer with a penalty on its weights, fitted until it converges: the loss has a single minimum.

The minimum is found by L-BFGS (D. Liu and J. Nocedal, On the Limited Memory BFGS Method, 1989) along the principal axes
of the features, each scaled so that the loss has about the same curvature along all: few iterations suffice.
Sums are in float64 and in blocks of a fixed size, so the same features give the same weights.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MAX_ITERATIONS = 200
"""Limit for one fit; 10 to 40 are usual."""
TRIES, ENOUGH = 25, 1e-4
"""A step is halved up to TRIES times, until it lowers the loss by at least this share of the linear prediction."""
MEMORY = 10
"""Number of steps that L-BFGS remembers."""
MAX_AXES = 2048
"""With more images and features than this, computing axes is too expensive, and the features are used directly."""
SMALLEST_AXIS = 1e-12
"""Relative to the largest variance: along axes with less, the features vary only by rounding."""
BIAS_PENALTY = 1e-4
"""Keeps the bias finite for a class that no image has."""
LITTLE = 0.1
"""Nats per image: below this loss, convergence is tested with an absolute tolerance."""
BLOCK = 1 << 22
"""Scores that are computed at once: 32 MB per array."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """The targets of the layer."""

    truth: Tensor
    """float64, shape (N, M), 0 to 1. M is 1 for two classes: the probability of the second."""
    weights: Tensor
    """float64, shape (N, M) or (N, 1): the weight of each entry, or of each image."""
    together: bool
    """Whether the M probabilities of an image sum to 1 (softmax), or are independent (sigmoid)."""

    def of(self, rows: Tensor) -> "Wanted":
        """The targets of only these images."""
        return Wanted(self.truth[rows], self.weights[rows], self.together)

    def times(self, versions: int) -> "Wanted":
        """The targets for several versions of all images, one after the other."""
        return Wanted(self.truth.repeat(versions, 1), self.weights.repeat(versions, 1), self.together)

    def mean_loss(self, logits: Tensor) -> float:
        """Mean cross-entropy of scores of shape (N, M)."""
        return float(self._each(logits, self.truth, self.weights).sum() / self._whole())

    def loss_and_slope(self, z: Tensor, layer: "Layer") -> tuple[float, Tensor, Tensor]:
        """Mean cross-entropy of the layer's answers, and its gradient for weights and bias."""
        whole, loss = self._whole(), 0.0
        for_weights, for_bias = torch.zeros_like(layer.weights), torch.zeros_like(layer.bias)
        rows = max(1, BLOCK // self.truth.shape[1])
        parts = (torch.split(whole_array, rows) for whole_array in (z, self.truth, self.weights))
        for features, truth, weights in zip(*parts, strict=True):
            logits = layer(features)
            loss += float(self._each(logits, truth, weights).sum())
            slope = ((logits.softmax(dim=1) if self.together else logits.sigmoid()) - truth) * (weights / whole)
            for_weights += features.T @ slope
            for_bias += slope.sum(dim=0)
        return loss / whole, for_weights, for_bias

    def _each(self, logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        if self.together:
            return -(truth * functional.log_softmax(logits, dim=1)).sum(dim=1, keepdim=True) * weights
        return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weights

    def _whole(self) -> float:
        """The sum of the weights of all entries."""
        several = 1 if self.together else self.truth.shape[1] // self.weights.shape[1]
        return float(self.weights.sum()) * several


@dataclass(frozen=True, eq=False)
class Axes:
    """The principal axes of features: orthogonal, so a penalty on weights is the same along them."""

    directions: Tensor | None
    """float64, shape (D, R); None: the features themselves."""
    variances: Tensor
    """float64, shape (R,), not negative."""

    @classmethod
    def of(cls, features: Tensor) -> "Axes":
        """The axes of features with mean 0, float64, shape (N, D); R is at most the smaller of N and D."""
        count, width = features.shape
        if min(count, width) > MAX_AXES:
            return cls(None, features.square().mean(dim=0))
        few = count < width  # then the eigenvectors of the Gram matrix are fewer
        values, vectors = torch.linalg.eigh(features @ features.T if few else features.T @ features)
        kept = values > SMALLEST_AXIS * float(values[-1])
        values, vectors = values[kept], vectors[:, kept]
        return cls(features.T @ vectors / values.sqrt() if few else vectors, values / count)

    def along(self, features: Tensor) -> Tensor:
        """Features, (N, D), along the axes, (N, R)."""
        return features if self.directions is None else features @ self.directions

    def weights_along(self, weights: Tensor) -> Tensor:
        """Weights of features, (D, M), as weights along the axes, (R, M)."""
        return weights if self.directions is None else self.directions.T @ weights

    def back(self, weights: Tensor) -> Tensor:
        """Weights along the axes, (R, M), as weights of features, (D, M)."""
        return weights if self.directions is None else self.directions @ weights


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights along the axes, float64: scores are `z @ weights + bias`."""

    weights: Tensor
    """Shape (R, M)."""
    bias: Tensor
    """Shape (M,)."""

    def __call__(self, z: Tensor) -> Tensor:
        return z @ self.weights + self.bias


@dataclass(frozen=True)
class Iteration:
    """The result of an iteration."""

    layer: Layer
    """After the iteration."""
    loss: float
    """Before the iteration, without the penalty."""
    length: float
    """The share of the proposed step that was made."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Features and targets."""

    z: Tensor
    """Features along the axes, float64, shape (N, R)."""
    wanted: Wanted
    variances: Tensor
    """Of the axes, shape (R,); they only affect the speed."""


@dataclass(frozen=True, eq=False)
class _Stretched:
    """A problem with weights and bias in one matrix, scaled so that the loss has a similar curvature along all axes."""

    problem: Problem
    penalty: float
    by: Tensor
    """Shape (R + 1, 1)."""

    @classmethod
    def of(cls, problem: Problem, penalty: float) -> "_Stretched":
        bend = 1 / problem.wanted.truth.shape[1] if problem.wanted.together else 0.25
        bends = torch.cat([bend * problem.variances + penalty, problem.variances.new_tensor([bend])])
        return cls(problem, penalty, bends.sqrt()[:, None])

    def layer(self, place: Tensor) -> Layer:
        found = place / self.by
        return Layer(found[:-1], found[-1])

    def error(self, place: Tensor) -> tuple[float, float, Tensor]:
        """Loss plus penalty, only the loss, and the gradient of the sum."""
        at, penalty = self.layer(place), self.penalty
        loss, for_weights, for_bias = self.problem.wanted.loss_and_slope(self.problem.z, at)
        slope = torch.cat([for_weights + penalty * at.weights, (for_bias + BIAS_PENALTY * at.bias)[None]])
        more = penalty * at.weights.square().sum() + BIAS_PENALTY * at.bias.square().sum()
        return loss + float(more) / 2, loss, slope / self.by


def fitted_layer(
    problem: Problem,
    penalty: float,
    start: Layer,
    tolerance: float,
    told: Callable[[Iteration], None] = lambda iteration: None,
) -> Layer:
    """The layer with the smallest mean loss plus penalty.

    Args:
        penalty: factor of half the squared weights.
        start: the initial layer.
        tolerance: the last iteration is one that lowers loss plus penalty by a smaller share than this (of at least
            0.1).
        told: called after each iteration.
    """
    stretched = _Stretched.of(problem, penalty)
    place = torch.cat([start.weights, start.bias[None]]) * stretched.by
    now, loss, slope = stretched.error(place)
    gone: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=MEMORY)
    for _ in range(MAX_ITERATIONS):
        way = _newton_step(slope, gone)
        downhill, length = float((way * slope).sum()), 1.0
        for _ in range(TRIES):
            there = place + length * way
            then, loss_there, slope_there = stretched.error(there)
            if then <= now + ENOUGH * length * downhill:
                break
            length /= 2
        else:
            break  # rounding allows no lower value
        moved, turned = there - place, slope_there - slope
        if (bent := float((moved * turned).sum())) > 0:
            gone.append((moved, turned, bent))
        told(Iteration(stretched.layer(there), loss, length))
        lowered, now, place, loss, slope = now - then, then, there, loss_there, slope_there
        if lowered <= tolerance * max(now, LITTLE):
            break
    return stretched.layer(place)


def _newton_step(slope: Tensor, gone: "deque[tuple[Tensor, Tensor, float]]") -> Tensor:
    """The L-BFGS step, from the gradients of the last steps (Nocedal's two-loop recursion)."""
    step, shares = -slope, []
    for moved, turned, bent in reversed(gone):
        share = float((moved * step).sum()) / bent
        step = step - share * turned
        shares.append(share)
    if gone:
        _, turned, bent = gone[-1]
        step = step * (bent / float((turned * turned).sum()))
    for (moved, turned, bent), share in zip(gone, reversed(shares), strict=True):
        step = step + (share - float((turned * step).sum()) / bent) * moved
    return step
