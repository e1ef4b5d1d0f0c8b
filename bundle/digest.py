"""SHA-256 digests of bytes, arrays and single images: what shows that something is unchanged, or is twice there."""

import hashlib

import numpy as np


def bytes_digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def array_digest(*arrays: np.ndarray) -> str:
    """SHA-256 over type, shape and values of the arrays, in order; equal arrays have equal digests."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
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
