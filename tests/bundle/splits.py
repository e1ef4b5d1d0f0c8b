"""Validation splits as bytes, and how they are read."""

import io
from typing import Any

import numpy as np

from tests.bundle.made_up import made_up_manifest
from vouch.bundle.answers import Answers
from vouch.bundle.manifest import Manifest
from vouch.bundle.multi_label import Task
from vouch.bundle.new_validation import NewValidation
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.validation import Validation, in_memory, read_pieces


def changed(manifest: Manifest, **fields: Any) -> Manifest:
    """The same with other values, which nobody checks."""
    return manifest.model_copy(update=fields)


def older(shape: tuple[int, ...], classes: int, task: Task = "single_label") -> Manifest:
    """As far as reading a split of format 2 needs it."""
    settings = PixelSettings.of(shape)
    several = task == "multi_label"
    return changed(
        made_up_manifest(),
        format_version=2,
        validation_digest=None,
        task=task,
        labels=tuple(map(str, range(classes))),
        input=settings,
        thresholds=(0.5,) * classes if several else None,
    )


def unpack(content: bytes, shape: tuple[int, ...], classes: int, task: Task = "single_label") -> Validation:
    """A split of format 2."""
    return in_memory(read_pieces(io.BytesIO(content), older(shape, classes, task), 2), no_decoder)


def no_decoder(file: bytes) -> np.ndarray:
    raise AssertionError(f"{len(file)} bytes were to be decoded")


def written(split: NewValidation) -> tuple[bytes, str]:
    """A new split's file, and its digest."""
    file = io.BytesIO()
    split(file)
    return file.getvalue(), split.digest


def answers(
    labels: list[int] | np.ndarray, given: list[int] | np.ndarray, probabilities: list[float] | np.ndarray
) -> Answers:
    """As arrays."""
    return Answers(np.asarray(labels), np.asarray(given), np.asarray(probabilities, np.float32))
