"""The validation split as published: files that callers could send if there were files, otherwise the array.

The stored images are those that were evaluated: each file is read again, and must decode to the same pixels.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vouch.bundle.answers import answers_of
from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_FILE_BYTES
from vouch.bundle.new_validation import NewValidation, from_arrays, from_files
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.bundle.without_metadata import without_metadata
from vouch.sources.examples import Examples
from vouch.sources.images import batches
from vouch.sources.rewriting import as_callers_send
from vouch.trainer.errors import TrainError
from vouch.trainer.report.finished import Run

AHEAD = 16
"""Number of files that are in memory at a time."""


def new_validation(run: Run, pixels: PixelSettings) -> NewValidation:
    """The bundle's file with the split of a finished run and the exported graph's answers.

    Args:
        pixels: how image files were decoded.
    """
    validation, exam = run.splits.validation, run.exam
    answers = answers_of(validation.labels, exam.probabilities, exam.thresholds)
    if validation.names.path(0) is None:
        return from_arrays(batches(validation.images), answers, run.splits.classes)
    return from_files(as_judged(validation, pixels), answers, run.splits.classes)


def as_judged(validation: Examples, pixels: PixelSettings) -> Iterator[bytes]:
    """The files of these examples, without metadata and in formats that callers can send.

    Raises:
        TrainError: one can no longer be read, or no longer decodes to the pixels that were evaluated.
    """
    with ThreadPoolExecutor(thread_name_prefix="validation files") as pool:
        row = 0
        for judged in batches(validation.images):
            for start in range(0, len(judged), AHEAD):
                expected = judged[start : start + AHEAD]
                paths = [validation.names.path(row + place) for place in range(len(expected))]
                yield from pool.map(_stored, paths, expected, [pixels] * len(expected))
                row += len(expected)


def _stored(path: Path | None, expected: np.ndarray, pixels: PixelSettings) -> bytes:
    assert path is not None  # either all examples of a split are files, or none
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        stored = without_metadata(as_callers_send(content))
        same = np.array_equal(decode(stored, pixels), expected)
    except (InvalidImage, OSError) as err:
        raise TrainError(f"{path} can no longer be read, although it could when training began: {err}") from err
    if not same:
        raise TrainError(
            f"{path} changed while the model was trained: it is no longer the image that was evaluated. Nothing is "
            "published; train again while the files do not change"
        )
    return stored
