"""A made-up bundle: no graph that runs, but whole and valid on disk."""

from datetime import UTC, datetime

import numpy as np

from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.claims import Claim
from vouch.bundle.manifest import CARD, MODEL, VALIDATION, FileEntry, Manifest
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import Bundle, ModelsFolder
from vouch.bundle.training import SplitEntry, Training
from vouch.bundle.validation import Validation, pack

DIGEST = "0" * 64
LABELS = ("cat", "dog", "ant")
IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
FILES = {
    MODEL: b"not a graph, but bytes",
    VALIDATION: pack(Validation(IMAGES, np.array([0, 0, 1, 1, 2, 2]))),
    CARD: b"# pets\n",
}


def made_up_manifest(
    name: str = "pets",
    version: int = 1,
    files: dict[str, FileEntry] | None = None,
    labels: tuple[str, ...] = LABELS,
) -> Manifest:
    """A manifest in which every part agrees with the others: each class twice, one wrong answer."""
    classes = len(labels)
    confusion = [[2 * (answer == label) for answer in range(classes)] for label in range(classes)]
    confusion[0][:2] = [1, 1]
    low, high = wilson_interval(2 * classes - 1, 2 * classes)
    return Manifest(
        name=name,
        version=version,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=labels,
        input=PixelSettings(height=4, width=5),
        claim=Claim(
            correct=2 * classes - 1, total=2 * classes, low=low, high=high, confusion=tuple(map(tuple, confusion))
        ),
        training=Training(
            asked={"epochs": 3, "rate": 0.5},
            seed=7,
            seconds=1.5,
            data="made up",
            data_digest=DIGEST,
            splits={"fit": SplitEntry(size=10, digest=DIGEST), "validation": SplitEntry(size=6, digest=DIGEST)},
            libraries={"python": "3.11.0"},
            source_revision=None,
        ),
        files=files or {file: FileEntry(sha256=DIGEST, size=1) for file in FILES},
    )


def publish_made_up(models: ModelsFolder, name: str = "pets", card: str = "# pets\n") -> Bundle:
    """Publishes the next version of the made-up bundle."""
    return models.publish(
        name, {**FILES, CARD: card.encode()}, lambda version, entries: made_up_manifest(name, version, entries)
    )
