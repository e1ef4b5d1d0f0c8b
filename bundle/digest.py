"""SHA-256 digests of bytes and of a validation split, to detect changes."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache


def bytes_digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class ValidationDigest:
    """Identifies a validation split: SHA-256 over one line per image, with the SHA-256 of its stored bytes and its
    labels. It does not depend on the order of the model's labels, nor on how files are decoded.
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
    """Sorted labels as JSON. Cached, because many images share labels, and writing them is slow."""
    return json.dumps(sorted(labels))
