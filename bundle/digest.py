"""SHA-256 digests of bytes, arrays and single images: what shows that something is unchanged, or is twice there."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class InParts:
    """An array that is never in memory as a whole."""

    shape: tuple[int, ...]
    dtype: np.dtype
    parts: Iterable[np.ndarray]
    """Its rows, in order."""


def bytes_digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def array_digest(*arrays: np.ndarray | InParts) -> str:
    """SHA-256 over type, shape and values of the arrays, in order; equal arrays have equal digests, in parts or not."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for part in array.parts if isinstance(array, InParts) else (array,):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def image_digests(images: np.ndarray) -> np.ndarray:
    """One digest an image, so that exact duplicates can be found by sorting.

    Args:
        images: shape (N, ...), any type.

    Returns:
        shape (N,), 16 bytes each (BLAKE2b): a chance match among 10^9 images is less likely than 10^-20.
    """
    rows = np.ascontiguousarray(images)
    digests = b"".join(hashlib.blake2b(row.data, digest_size=16).digest() for row in rows)
    return np.frombuffer(digests, dtype="V16")


class ValidationDigest:
    """What tells one validation split from another: a line for each image, with the SHA-256 of what is stored of it and
    its labels. It does not depend on the order of the model's labels, nor, of files, on what they are decoded to.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, image: bytes | memoryview, labels: Sequence[str]) -> None:
        """
        Args:
            image: the file, or the pixels in row-major order.
            labels: by name, in any order.
        """
        self._digest.update(f"{hashlib.sha256(image).hexdigest()} {_as_json(tuple(labels))}\n".encode())

    def hexdigest(self) -> str:
        """SHA-256 of all lines so far."""
        return self._digest.hexdigest()


@lru_cache(1024)
def _as_json(labels: tuple[str, ...]) -> str:
    """Sorted. Most images have the labels of others, and to write them took half of an image's time."""
    return json.dumps(sorted(labels))
