"""The optimizers, which decide the direction and size of each step, and the schedule of their learning rate."""

from collections.abc import Callable, Iterable
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from vouch.bundle.training import Recipe

WARM_UP = 0.25
"""Share of the steps in which the rate rises to its peak."""
FIRST_SHARE = 0.04
"""The rate of the first step, as a share of the peak."""


class Optimizer:
    """Changes weights by their gradients; weights without a gradient stay.

    Replaces torch's base class, which loads torch's compiler when an optimizer is made: a second or two.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        """
        Args:
            groups: each with its weights under `params`, their step size under `lr`, and their `weight_decay`.
        """
        self.param_groups = [{**group, "params": list(group["params"]), "peak": group["lr"]} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {
            weights: {} for group in self.param_groups for weights in group["params"]
        }

    def zero_grad(self) -> None:
        """Clears the gradients."""
        for weights in self.state:
            weights.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Applies the gradients."""
        for group in self.param_groups:
            if moved := [weights for weights in group["params"] if weights.grad is not None]:
                self._move(moved, group)

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The state from earlier steps, in the order of the weights."""
        return {"state": list(self.state.values())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        for weights, kept in zip(self.state, state["state"], strict=True):
            self.state[weights] = {name: value.to(weights.device) for name, value in kept.items()}


class Muon(Optimizer):
    """Momentum whose matrix is made nearly orthogonal before it is applied: all directions are learned equally fast.

    For weights with two or more axes; the axes after the first are flattened. Source: K. Jordan et al., Muon: an
    optimizer for hidden layers in neural networks (2024).
    """

    momentum = 0.95

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for one in weights:
            assert one.grad is not None
            state = self.state[one]
            if not state:
                state["momentum"] = torch.zeros_like(one)
            momentum = state["momentum"].lerp_(one.grad, 1 - self.momentum)
            direction = orthogonalised(one.grad.lerp(momentum, self.momentum).flatten(1))
            rows, columns = direction.shape
            one.mul_(1 - group["lr"] * group["weight_decay"])
            one.add_(direction.view_as(one), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


class AdamW(Optimizer):
    """AdamW, with torch's function for a step. Source: I. Loshchilov and F. Hutter, Decoupled Weight Decay (2019)."""

    beta1, beta2 = 0.9, 0.99

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for one in weights:
            if not self.state[one]:
                step = torch.zeros((), dtype=torch.float32, device=one.device)
                self.state[one] = {"mean": torch.zeros_like(one), "square": torch.zeros_like(one), "step": step}
        states = [self.state[one] for one in weights]
        adamw(
            weights,
            [one.grad for one in weights if one.grad is not None],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=self.beta1,
            beta2=self.beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


class Momentum(Optimizer):
    """Gradient descent with momentum 0.9."""

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for one in weights:
            assert one.grad is not None
            gradient = one.grad.add(one, alpha=group["weight_decay"]) if group["weight_decay"] else one.grad
            if not self.state[one]:
                self.state[one]["momentum"] = gradient.clone()
            else:
                self.state[one]["momentum"].mul_(0.9).add_(gradient)
            one.add_(self.state[one]["momentum"], alpha=-group["lr"])


def orthogonalised(matrix: Tensor, steps: int = 3) -> Tensor:
    """A matrix with the same singular vectors, whose singular values are all near 1.

    The quintic Newton-Schulz iteration with the coefficients of the Muon paper, which need few steps but are less exact
    (values from about 0.7 to 1.2).

    Args:
        matrix: float32, shape (R, C).
        steps: iterations; with 3, directions far smaller than the largest stay smaller, which is regularisation.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    near: Tensor = x if matrix.shape[0] <= matrix.shape[1] else x.T
    return near


def optimizers_for(
    model: nn.Module, recipe: Recipe, share: Callable[[str], float] = lambda name: 1.0
) -> list[Optimizer]:
    """The recipe's optimizers: with Muon for convolutions and hidden layers, AdamW for all other weights.

    Every group of weights stores its highest rate as `peak`. Weights that need no gradient are left out.

    Args:
        share: share of AdamW's learning rate for the weights of a name.
    """
    learned = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
    matrices = {name: weights for name, weights in learned.items() if weights.ndim > 1}
    vectors = {name: weights for name, weights in learned.items() if weights.ndim <= 1}
    decay = recipe.weight_decay
    if recipe.optimizer == "sgd":
        return [Momentum([_group([*matrices.values(), *vectors.values()], recipe.learning_rate, decay)])]
    made: list[Optimizer] = []
    if recipe.optimizer == "muon":
        *hidden, last = matrices  # the last layer's rows are classes, not directions
        made.append(Muon([_group([matrices[name] for name in hidden], recipe.muon_rate, decay)]))
        matrices = {last: matrices[last]}
    groups = [
        _group([weights[name] for name in names], recipe.learning_rate * one, share_of_decay)
        for weights, share_of_decay in ((matrices, decay), (vectors, 0.0))
        for one, names in _by_share(weights, share)
    ]
    return [*made, AdamW(groups)]


def _group(weights: list[nn.Parameter], rate: float, decay: float) -> dict[str, Any]:
    return {"params": weights, "lr": rate, "weight_decay": decay}


def _by_share(names: Iterable[str], share: Callable[[str], float]) -> list[tuple[float, list[str]]]:
    """Names grouped by share, the largest share first."""
    found: dict[float, list[str]] = {}
    for name in names:
        found.setdefault(share(name), []).append(name)
    return sorted(found.items(), reverse=True)


def set_rate(optimizers: list[Optimizer], progress: float) -> float:
    """Sets every group's learning rate at this point of the training.

    Args:
        progress: share of all steps that are done, from 0 to 1.

    Returns:
        the rate of the weights that Muon does not change, which `--learning-rate` sets.
    """
    share = schedule(progress)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
    rate: float = optimizers[-1].param_groups[0]["lr"]
    return rate


def schedule(progress: float) -> float:
    """One cycle: from a low rate up to the peak, which is 1, along half a cosine, then down to 0 along another.

    Source: L. N. Smith and N. Topin, Super-Convergence (2018), with PyTorch's cosine shape.
    """
    if progress < WARM_UP:
        return FIRST_SHARE + (1 - FIRST_SHARE) * (1 - cos(pi * progress / WARM_UP)) / 2
    return (1 + cos(pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
