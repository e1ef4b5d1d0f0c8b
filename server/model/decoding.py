"""Decodes the files of a validation split during verification: on all cores, in bounded memory."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from vouch.bundle.errors import InvalidBundle, InvalidImage
from vouch.bundle.image_parts import image_parts
from vouch.bundle.pixel_settings import PixelSettings

LARGE_BYTES = 128 << 20
"""Files that need more memory than this to decode are decoded one at a time."""


class Decoding:
    """Threads that decode with the same function as callers' files."""

    def __init__(self, expected: PixelSettings, threads: int) -> None:
        self._expected = expected
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="decode validation")
        self._large = Lock()
        self._given = 0
        """Number of files so far; a split is decoded in its order."""

    async def decode(self, files: Sequence[bytes]) -> np.ndarray:
        """The images in these files, decoded like callers' files: uint8, shape (N, H, W) or (N, H, W, C).

        Raises:
            InvalidBundle: one cannot be decoded.
        """
        loop = asyncio.get_running_loop()
        numbered = enumerate(files, self._given)
        self._given += len(files)
        return np.stack(
            await asyncio.gather(*(loop.run_in_executor(self._executor, self._decode, *each) for each in numbered))
        )

    def close(self) -> None:
        """Ends the threads after their current files."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _decode(self, number: int, file: bytes) -> np.ndarray:
        try:
            return self._decoded(file)
        except InvalidImage as err:
            raise InvalidBundle(f"validation image {number} cannot be decoded: {err}") from err

    def _decoded(self, file: bytes) -> np.ndarray:
        from vouch.bundle.pixels import decode_bytes, decode_parts  # noqa: PLC0415 - most splits are arrays

        parts = image_parts(file)
        if decode_bytes(parts, self._expected) <= LARGE_BYTES:
            return decode_parts(parts, self._expected)
        with self._large:
            return decode_parts(parts, self._expected)
