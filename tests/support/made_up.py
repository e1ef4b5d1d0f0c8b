"""Versions of as many classes as a test wants, answered by numbers that are made up; no graph is run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.lineups import Published
from tests.support.tiny import publish_tiny
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.request import Model
from vouch.server.model.session import Outputs
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served


class MadeUp:
    """Gives an image numbers that depend on its first pixel alone, many of them equal."""

    def __init__(self, classes: int) -> None:
        random = np.random.default_rng(0)
        table = np.round(random.random((256, classes), dtype=np.float32), 2) + np.float32(0.01)
        self._probabilities = table / table.sum(axis=1, keepdims=True)
        self._logits = np.round(random.normal(0, 3, (256, classes)), 1).astype(np.float32)
        self.images = 0
        """That were run."""

    def __call__(self, parts: Sequence[np.ndarray]) -> Outputs:
        first = np.concatenate([part.reshape(len(part), -1)[:, 0] for part in parts])
        self.images += len(first)
        return Outputs(self._probabilities[first], self._logits[first])


def labelled(path: Path, labels: Sequence[str], thresholds: tuple[float, ...] | None = None) -> Bundle:
    """The tiny model's bundle under other labels, without a claim that would fit them; multi-label with thresholds."""
    bundle = publish_tiny(ModelsFolder(path), task="multi_label" if thresholds else "single_label")
    changed = {"labels": tuple(labels), "thresholds": thresholds}
    return replace(bundle, manifest=bundle.manifest.model_copy(update=changed))


def serve(catalog: Catalog, bundle: Bundle, model: Model, limits: Limits | None = None) -> Served:
    """Installed, with a batcher of its own."""
    limits = limits or Limits(64, 100_000)
    served = Served(bundle, bundle.manifest.claim.accuracy, start_batcher(model, limits))
    return Published(catalog).serve(served)
