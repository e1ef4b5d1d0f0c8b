"""The networks: pixels in, one score per class out.

All use the same idea, with more or fewer layers: multiply by weights, add a bias, and let training change the weights.
The images are never changed: a forward pass computes new numbers from them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from vouch.bundle.array_digest import array_digest
from vouch.bundle.multi_label import Task
from vouch.bundle.training import CNN_DEPTH, CNN_WIDTH, Pool, Recipe
from vouch.trainer.kinds import ModelKind


@dataclass(frozen=True)
class Layers:
    """How large a cnn is; the other networks have one size."""

    width: int = CNN_WIDTH
    """Channels of the last layers at the usual depth; a multiple of 4."""
    depth: int = CNN_DEPTH
    """How often the sides are halved."""
    dropout: float = 0.0
    """Dropout: the share of the last features that a step leaves out."""
    pool: Pool = "max"
    """Pooling of a feature over all places: its maximum or its mean."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Layers":
        """The layers of a recipe."""
        return cls(recipe.width, recipe.depth, recipe.dropout, recipe.pool)


USUAL = Layers()
DEEP = 4
"""From this number of halvings, the second layer halves too."""
LEAST_LEFT, MAX_DEPTH = 4, 6
"""Least pixels per side after the last halving, and the most halvings."""


class Linear(nn.Module):
    """One layer: `scores = x @ w.T + b`. Each row of w is a template that is multiplied with the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(outputs, inputs)), nn.Parameter(torch.empty(outputs))
        if not self.weight.is_meta:  # on the meta device this would import torch's compiler, which takes seconds
            for values in (self.weight, self.bias):
                values.detach().normal_().div_(inputs**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """
        Args:
            x: shape (N, ...), flattened here to (N, inputs).

        Returns:
            shape (N, outputs).
        """
        return x.flatten(1) @ self.weight.T + self.bias


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers: linear, ReLU, linear, ReLU, linear."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(inputs, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.Linear(512, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2)),
        nn.Linear(256, outputs),
    )


class Residual(nn.Sequential):
    """Adds its input to the output of its layers, so that these only learn the difference."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Args:
            x: shape (N, C, H, W), the same as the result's.
        """
        found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + found


def cnn(channels: int, outputs: int, layers: Layers = USUAL) -> nn.Sequential:
    """Convolutions: small templates slide over the image; each layer finds patterns in the output of the one before.

    At the usual depth five layers, about 98,000 weights for grey images and ten classes. Each further halving adds
    wider layers. Takes images of any size.
    """
    width = layers.width

    def layer(before: int, after: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU()]

    early = layers.depth >= DEEP  # halves twice at once: layers at full size cost most and contribute least
    found = [
        *layer(channels, width // 4, kernel=5, stride=2),
        *layer(width // 4, width // 2, stride=2 if early else 1),
    ]
    before = width // 2
    for stage in range(1, layers.depth - early):
        found += [*layer(before, stage * width, stride=2), Residual(*layer(stage * width, stage * width))]
        before = stage * width
    return nn.Sequential(
        *found,
        Residual(*layer(before, before)),
        nn.AdaptiveMaxPool2d(1) if layers.pool == "max" else nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        *([nn.Dropout(layers.dropout)] if layers.dropout else []),
        nn.Linear(before, outputs),
    )


def depth_for(side: int) -> int:
    """How often a cnn halves the shorter side, in pixels: until fewer than 8 are left, and at least twice."""
    depth = CNN_DEPTH
    while side >> (depth + 1) >= LEAST_LEFT and depth < MAX_DEPTH:
        depth += 1
    return depth


class Classifier(nn.Module):
    """A network between raw pixels and class scores.

    With two classes the network has one output, a logit z that is positive for the second class. The scores are (0, z):
    their softmax is (1 - sigmoid(z), sigmoid(z)). In a multi-label model each label has its own logit, also with two
    labels, and its probability is the sigmoid of it.
    """

    def __init__(
        self,
        kind: ModelKind,
        image_shape: tuple[int, ...],
        classes: int,
        layers: Layers = USUAL,
        task: Task = "single_label",
    ) -> None:
        """
        Args:
            image_shape: (H, W) or (H, W, C).
            classes: K, at least 2.
            layers: of a cnn.
            task: whether an image has one label or any number of them.
        """
        super().__init__()
        self.task = task
        channels = image_shape[2] if len(image_shape) == 3 else 1
        self._of = kind, image_shape, outputs_for(classes, task)
        self.network = network(*self._of, layers)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def begin_again(self, layers: Layers, seed: int) -> None:
        """Replaces the layers by others with random weights: those of a new classifier with this seed."""
        torch.manual_seed(seed)
        self.network = network(*self._of, layers)

    def see_statistics(self, batches: Iterable[Tensor]) -> None:
        """Takes mean and standard deviation of each channel from these images, so that the inputs are about +-1.

        A byte has 256 values: their counts give mean and deviation exactly, without a float copy of the images.

        Args:
            batches: of images, uint8, shape (N, H, W) or (N, H, W, C).
        """
        channels = self.mean.shape[1]
        counts = torch.zeros(channels, 256, dtype=torch.int64)
        for images in batches:
            for channel in range(channels):
                pixels = images[..., channel] if images.ndim == 4 else images
                counts[channel] += torch.bincount(pixels.flatten(), minlength=256).cpu()
        values = torch.arange(256, dtype=torch.float64)
        for channel in range(channels):
            share = counts[channel].double() / counts[channel].sum()
            mean = (share * values).sum()
            self.mean[0, channel] = mean
            self.scale[0, channel] = (share * (values - mean) ** 2).sum().sqrt().clamp(min=1)

    def normalised(self, images: Tensor) -> Tensor:
        """Normalises raw pixels for the network.

        Args:
            images: uint8, shape (N, H, W) or (N, H, W, C).

        Returns:
            float32, shape (N, C, H, W).
        """
        x = images.to(torch.float32)
        x = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
        return (x - self.mean) / self.scale

    def scores(self, x: Tensor) -> Tensor:
        """Logits for normalised pixels, shape (N, K)."""
        found: Tensor = self.network(x)
        return self.as_scores(found)

    def rate_share(self, name: str) -> float:  # the same for all weights of a network from scratch
        """Share of the recipe's learning rate for the weights of this name."""
        return 1.0

    def as_scores(self, logits: Tensor) -> Tensor:
        """The network's outputs as one score per class: a single output z becomes (0, z)."""
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities for scores of shape (N, K): summing to 1; multi-label: 0 to 1 for each label."""
        return logits.softmax(dim=1) if self.task == "single_label" else logits.sigmoid()

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (N, K), for raw pixels."""
        return self.scores(self.normalised(images))


def outputs_for(classes: int, task: Task) -> int:
    """Number of outputs of a network: one for two single-label classes; otherwise one per class."""
    return 1 if classes == 2 and task == "single_label" else classes


def network(kind: ModelKind, image_shape: tuple[int, ...], outputs: int, layers: Layers = USUAL) -> nn.Module:
    """The layers of a kind of network, with random weights; arguments as `Classifier`."""
    if kind == "linear":
        return Linear(prod(image_shape), outputs)
    if kind == "mlp":
        return mlp(prod(image_shape), outputs)
    return cnn(image_shape[2] if len(image_shape) == 3 else 1, outputs, layers)


def weights_digest(classifier: Classifier) -> str:
    """SHA-256 of all weights."""
    return array_digest(*(weights.detach().cpu().numpy() for weights in classifier.parameters()))
