"""Digests of arrays and single images, to find changes and duplicates."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class InParts:
    """An array that is never completely in memory."""

    shape: tuple[int, ...]
    dtype: np.dtype
    parts: Iterable[np.ndarray]
    """Its rows, in order."""


def array_digest(*arrays: np.ndarray | InParts) -> str:
    """SHA-256 over type, shape and values of the arrays, in order; independent of a division into parts."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for part in array.parts if isinstance(array, InParts) else (array,):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def image_digests(images: np.ndarray) -> np.ndarray:
    """One digest per image, so that exact duplicates can be found by sorting.

    Args:
        images: shape (N, ...), any type.

    Returns:
        shape (N,), 16 bytes each (BLAKE2b): a chance match among 10^9 images is less likely than 10^-20.
    """
    rows = np.ascontiguousarray(images)
    digests = b"".join(hashlib.blake2b(row.data, digest_size=16).digest() for row in rows)
    return np.frombuffer(digests, dtype="V16")
