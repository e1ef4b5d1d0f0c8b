"""How far each step goes, and in which direction: the optimizers and the schedule of their rate."""

from collections.abc import Callable, Iterable
from math import cos, pi

import torch
from torch import Tensor, nn

from vouch.bundle.training import Recipe

WARM_UP = 0.25
"""Share of the steps in which the rate rises to its peak."""
FIRST_SHARE = 0.04
"""Of the peak, in the first step."""


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made near-orthogonal before it is applied: every direction is learned at one pace.

    For weights with two or more axes; the axes behind the first are taken as one. Source: K. Jordan et al., Muon: an
    optimizer for hidden layers in neural networks (2024).
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # takes no closure
        """Applies the gradients."""
        assert closure is None
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state["momentum"] = torch.zeros_like(weights)
                momentum = state["momentum"].lerp_(weights.grad, 1 - group["momentum"])
                direction = orthogonalised(weights.grad.lerp(momentum, group["momentum"]).flatten(1))
                rows, columns = direction.shape
                weights.mul_(1 - group["lr"] * group["weight_decay"])
                weights.add_(direction.view_as(weights), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrix: Tensor, steps: int = 3) -> Tensor:
    """A matrix with the same singular vectors, whose singular values are all near 1.

    The quintic Newton-Schulz iteration with the coefficients of the Muon paper, which trade exactness (values from
    about 0.7 to 1.2) for few steps.

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
) -> list[torch.optim.Optimizer]:
    """The recipe's optimizer; Muon for convolutions and hidden layers has AdamW beside it for all other weights.

    Every group of weights keeps its highest rate under `peak`. Weights that need no gradient are left out.

    Args:
        share: of AdamW's rate, for the weights of a name.
    """
    learned = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
    matrices = {name: weights for name, weights in learned.items() if weights.ndim > 1}
    vectors = {name: weights for name, weights in learned.items() if weights.ndim <= 1}
    made: list[torch.optim.Optimizer] = []
    if recipe.optimizer == "sgd":
        everything = [*matrices.values(), *vectors.values()]
        made.append(torch.optim.SGD(everything, recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay))
    else:
        if recipe.optimizer == "muon":
            *hidden, last = matrices  # the last layer's rows are classes, not directions
            made.append(Muon([matrices[name] for name in hidden], recipe.muon_rate, weight_decay=recipe.weight_decay))
            matrices = {last: matrices[last]}
        groups = [
            {"params": [weights[name] for name in names], "weight_decay": decay, "lr": recipe.learning_rate * one}
            for weights, decay in ((matrices, recipe.weight_decay), (vectors, 0.0))
            for one, names in _by_share(weights, share)
        ]
        made.append(torch.optim.AdamW(groups, recipe.learning_rate, betas=(0.9, 0.99), fused=True))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return made


def _by_share(names: Iterable[str], share: Callable[[str], float]) -> list[tuple[float, list[str]]]:
    """Names with the same share together, the largest share first."""
    found: dict[float, list[str]] = {}
    for name in names:
        found.setdefault(share(name), []).append(name)
    return sorted(found.items(), reverse=True)


def set_rate(optimizers: list[torch.optim.Optimizer], progress: float) -> float:
    """Gives every group its rate at this point of the training.

    Args:
        progress: share of all steps that are done, from 0 to 1.

    Returns:
        the rate of the weights that Muon does not move, which is what `--learning-rate` sets.
    """
    share = schedule(progress)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
    rate: float = optimizers[-1].param_groups[0]["lr"]
    return rate


def schedule(progress: float) -> float:
    """One cycle: from little to the peak, which is 1, along half a cosine, then down to nothing along another.

    Source: L. N. Smith and N. Topin, Super-Convergence (2018), with the cosine shape that PyTorch gives it.
    """
    if progress < WARM_UP:
        return FIRST_SHARE + (1 - FIRST_SHARE) * (1 - cos(pi * progress / WARM_UP)) / 2
    return (1 + cos(pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
