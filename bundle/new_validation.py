"""A validation split to publish: its file is written in pieces, and then has a digest."""

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import numpy as np

from vouch.bundle.answers import Answers
from vouch.bundle.listed import VALIDATION, VALIDATION_FILES
from vouch.bundle.stored_arrays import write_arrays
from vouch.bundle.stored_files import write_files


class NewValidation:
    """The content of a validation split's file for `ModelsFolder.publish`."""

    def __init__(self, name: str, write: Callable[[BinaryIO], str]) -> None:
        """
        Args:
            name: of the file.
            write: writes it and returns the split's digest.
        """
        self.name = name
        self._write = write
        self._digest = ""

    def __call__(self, file: BinaryIO) -> None:
        """Writes the file."""
        self._digest = self._write(file)

    @property
    def digest(self) -> str:
        """The split's digest, for the manifest."""
        assert self._digest, "the file is written before its manifest is made"
        return self._digest


def from_arrays(batches: Iterable[np.ndarray], answers: Answers, names: Sequence[str]) -> NewValidation:
    """A split of images from an array. Arguments as for `write_arrays`."""
    return NewValidation(VALIDATION, lambda file: write_arrays(file, batches, answers, names))


def from_files(encoded: Iterable[bytes], answers: Answers, names: Sequence[str]) -> NewValidation:
    """A split of images from files. Arguments and errors as for `write_files`."""
    return NewValidation(VALIDATION_FILES, lambda file: write_files(file, encoded, answers, names))
