"""A made-up bundle: no graph that runs, but whole and valid on disk."""

import io
from datetime import UTC, datetime

import numpy as np

from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.answers import Answers
from vouch.bundle.claims import Claim
from vouch.bundle.confusion import Confusion
from vouch.bundle.listed import CARD, MODEL, VALIDATION, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.new_validation import from_arrays
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.training import SplitEntry, Training

DIGEST = "0" * 64
LABELS = ("cat", "dog", "ant")
IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
ANSWERS = Answers(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 2]), np.full(6, 0.75, np.float32))


def made_up_split() -> tuple[bytes, str]:
    """validation.npz and its digest."""
    file, split = io.BytesIO(), from_arrays([IMAGES[:4], IMAGES[4:]], ANSWERS, LABELS)
    split(file)
    return file.getvalue(), split.digest


SPLIT, SPLIT_DIGEST = made_up_split()
FILES = {MODEL: b"not a graph, but bytes", VALIDATION: SPLIT, CARD: b"# pets\n"}


def made_up_manifest(
    name: str = "pets",
    version: int = 1,
    files: dict[str, FileEntry] | None = None,
    labels: tuple[str, ...] = LABELS,
) -> Manifest:
    """A manifest in which every part agrees with the others: each class twice, one wrong answer."""
    classes = len(labels)
    confusion = Confusion.counted({(0, 0): 1, (0, 1): 1} | {(k, k): 2 for k in range(1, classes)})
    low, high = wilson_interval(2 * classes - 1, 2 * classes)
    return Manifest(
        name=name,
        version=version,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=labels,
        input=PixelSettings(height=4, width=5),
        claim=Claim(correct=2 * classes - 1, total=2 * classes, low=low, high=high, confusion=confusion),
        validation_digest=SPLIT_DIGEST,
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
