"""A classifier of which only the last layer is trained: a linear head on a frozen, pretrained backbone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vouch.bundle.array_digest import array_digest
from vouch.bundle.multi_label import Task
from vouch.sources.examples import Examples
from vouch.sources.images import rows_of
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import BATCH_PIXELS, features
from vouch.trainer.learn.networks import Classifier, Linear, outputs_for

MOST_THREADS = 8
"""Threads that compute features, each with its own batch."""
BYTES_A_PIXEL = 400
"""Memory per pixel of a batch while lite0 runs: its largest layer has 96 channels for every fourth pixel, and three
such layers are in memory."""
PIECE = 64
"""Images per thread between two points at which a checkpoint may be written and Ctrl-C is handled: 0.7 s with lite0.
Each piece opens a session, which takes 0.02 s."""
FEW, KEPT = 4, 64
"""Features of calls with up to FEW images, such as the one that a report follows, are cached, for up to KEPT calls."""

LEFT_OUT = 1e6
"""Scale of features that a head does not use: it makes them too small to matter when images are compared."""

LEAST_SPREAD, TINY = 1e-3, 1e-12
"""Share of the mean spread: a feature that varies less is scaled as if it varied by this much."""


class FrozenClassifier(Classifier):
    """A linear layer on the features that a backbone computes.

    Features are scaled: minus their mean, divided by the square root of their spread. So features that vary more count
    more, but less than proportionally (a compromise between one scale for all and one each:
    docs/decisions/backbones.md).
    """

    def __init__(self, backbone: Backbone, classes: int, task: Task = "single_label", threads: int = 1) -> None:
        """
        Args:
            classes: K, at least 2.
            task: whether an image has one label or any number of them.
            threads: for computing features; they do not affect the result.
        """
        nn.Module.__init__(self)
        self.task = task
        width = backbone.facts.features
        self.network = Linear(width, outputs_for(classes, task))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.made = Made(backbone, min(threads, MOST_THREADS))

    @property
    def head(self) -> Linear:
        """The layer that is trained."""
        assert isinstance(self.network, Linear)
        return self.network

    @property
    def backbone(self) -> Backbone:
        """The network that computes the features."""
        return self.made.backbone

    def features_of(self, examples: Examples, flipped: bool = False) -> np.ndarray:
        """The features of a split's images, float32, shape (N, D), computed once.

        Args:
            flipped: whether images are mirrored left to right first.
        """
        return self.made.of(examples, flipped)

    @property
    def deepest(self) -> int:
        """Number of features of the backbone's last layer; they come first."""
        return self.backbone.facts.features - self.backbone.earlier

    def see_features(self, made: Tensor, earlier: bool = False) -> None:
        """Takes mean and spread from these features, float32, shape (N, D).

        Args:
            earlier: whether features of earlier layers are used, with the same total weight as those of the last.
        """
        spread, last = made.double().std(dim=0, unbiased=False), self.deepest
        scale = spread.clamp(min=max(LEAST_SPREAD * float(spread.mean()), TINY)).sqrt()
        varying = (spread / scale).square()
        if earlier:
            scale[last:] *= (varying[last:].sum() / varying[:last].sum().clamp(min=TINY)).sqrt()
        else:
            scale[last:] = LEFT_OUT
        self.mean.copy_(made.double().mean(dim=0))
        self.scale.copy_(scale)

    @torch.no_grad()
    def scores_of(self, examples: Examples) -> Tensor:
        """The scores of a split, shape (N, K)."""
        return self.scores(self.scaled(torch.from_numpy(self.features_of(examples))))

    def normalised(self, images: Tensor) -> Tensor:
        """The head's input for raw pixels: scaled features, float32, shape (N, D)."""
        return self.scaled(torch.from_numpy(self.made.of_array(images.cpu().numpy())))

    def scaled(self, made: Tensor) -> Tensor:
        """The head's input for raw features, shape (N, D)."""
        return (made - self.mean) / self.scale


@dataclass(frozen=True, eq=False)
class Asked:
    """Images whose features are needed."""

    name: str
    """Their name in a checkpoint."""
    examples: Examples
    flipped: bool = False
    """Mirrored left to right first."""


class Made:
    """The features that a backbone has computed; copies of a classifier share them, and a checkpoint stores them."""

    def __init__(self, backbone: Backbone, threads: int) -> None:
        self.backbone, self.threads = backbone, threads
        self._splits: dict[tuple[Examples, bool], np.ndarray] = {}
        self._kept: dict[str, Tensor] = {}
        """Name -> float32, shape (N, D), of the first N images."""
        self._few: dict[str, np.ndarray] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Made":
        return self

    def of(self, examples: Examples, flipped: bool = False) -> np.ndarray:
        """The features of a split."""
        if (examples, flipped) not in self._splits:
            self._splits[examples, flipped] = features(self.backbone, examples.images, flipped, self.threads)
        return self._splits[examples, flipped]

    def collect(self, wanted: Sequence[Asked], reached: Callable[[int], None]) -> None:
        """Computes the features that are missing, a piece at a time.

        Args:
            reached: called with the number of images done so far, over all of `wanted`. If it raises, the features
                done so far are in the state.
        """
        done = 0
        for one in wanted:
            images, kept = one.examples.images, [self._kept[one.name]] if one.name in self._kept else []
            while (there := sum(map(len, kept))) < len(images):
                piece = rows_of(images, slice(there, there + PIECE * self.threads))
                kept.append(torch.from_numpy(features(self.backbone, piece, one.flipped, self.threads)))
                self._kept[one.name] = torch.cat(kept)
                kept = [self._kept[one.name]]
                reached(done + len(kept[0]))
            done += len(images)
            self._splits[one.examples, one.flipped] = self._kept[one.name].numpy()

    def state_dict(self) -> dict[str, Any]:
        """All collected features."""
        return dict(self._kept)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the features; those of an older lite0, which had fewer, are computed again."""
        self._kept = {name: kept for name, kept in state.items() if kept.shape[1] == self.backbone.facts.features}

    def of_array(self, images: np.ndarray) -> np.ndarray:
        """The features of images in memory."""
        if len(images) > FEW:
            return features(self.backbone, images, threads=self.threads)
        key = array_digest(images)
        if key not in self._few:
            if len(self._few) == KEPT:
                self._few.clear()
            self._few[key] = features(self.backbone, images)
        return self._few[key]


def bytes_of_features(sides: tuple[int, ...], threads: int) -> int:
    """Approximate memory that a backbone needs to run, for images of this height and width."""
    return min(threads, MOST_THREADS) * max(BATCH_PIXELS, prod(sides)) * BYTES_A_PIXEL
