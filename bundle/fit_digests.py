"""Digests of the images that a model was trained on: they show whether a given image is one of them.

The file has a key of 16 bytes and then 8 bytes for each different image: keyed BLAKE2b of the decoded pixels in
row-major order, as a little-endian number. The numbers are sorted. Another image matches one of N digests by chance
with a probability of N / 2^64.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.listed import FIT_DIGESTS, FIT_KEY_BYTES, MAX_FIT_DIGESTS_BYTES, MAX_FIT_IMAGES

DIGEST = np.dtype("<u8")


def pack_fit_digests(batches: Iterable[np.ndarray], split_digest: str) -> bytes:
    """The file for these images.

    Args:
        batches: uint8, each of shape (N, H, W) or (N, H, W, C): decoded as the model takes them.
        split_digest: of the fit split, in hexadecimal. The key is its start: equal images give equal files, and
            the files of two trainings can only be compared if they have the same images and labels.
    """
    key = bytes.fromhex(split_digest)[:FIT_KEY_BYTES]
    digests = [_digests(batch, key) for batch in batches]
    return key + np.unique(np.concatenate(digests)).astype(DIGEST).tobytes()


class FitDigests:
    """The images that a model was trained on, by their digests."""

    def __init__(self, content: bytes) -> None:
        """
        Args:
            content: the file's content.

        Raises:
            InvalidBundle: it is not such a file.
        """
        if (
            not FIT_KEY_BYTES < len(content) <= MAX_FIT_DIGESTS_BYTES
            or (len(content) - FIT_KEY_BYTES) % DIGEST.itemsize
        ):
            raise InvalidBundle(
                f"{FIT_DIGESTS} has {len(content):,} bytes; expected {FIT_KEY_BYTES} and then {DIGEST.itemsize} for "
                f"each of 1 to {MAX_FIT_IMAGES:,} images"
            )
        self._key = content[:FIT_KEY_BYTES]
        self._digests = np.frombuffer(content, DIGEST, offset=FIT_KEY_BYTES)
        if not (self._digests[:-1] < self._digests[1:]).all():
            raise InvalidBundle(f"{FIT_DIGESTS} is not sorted: expected ascending numbers")

    def __len__(self) -> int:
        return len(self._digests)

    def count(self, images: np.ndarray) -> int:
        """The number of these images that are among them.

        Args:
            images: uint8, shape (N, H, W) or (N, H, W, C), as the model takes them.
        """
        wanted = _digests(images, self._key)
        places = np.searchsorted(self._digests, wanted)
        found = self._digests[np.minimum(places, len(self._digests) - 1)] == wanted
        return int(found.sum())


def _digests(images: np.ndarray, key: bytes) -> np.ndarray:
    rows = np.ascontiguousarray(images)
    digests = (hashlib.blake2b(row.data, digest_size=DIGEST.itemsize, key=key).digest() for row in rows)
    return np.frombuffer(b"".join(digests), DIGEST)
