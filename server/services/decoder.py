"""Decoding of callers' PNG and JPEG files, off the event loop, a file at a time.

Bounded like the batcher's queue: what a caller no longer wants is not decoded, and too much at once is refused at once.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.server.errors import InvalidRequest, Overloaded


class Decoder:
    """Threads of its own, so that decoding holds up nothing else."""

    def __init__(self, threads: int, max_waiting_files: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._max_waiting_files = max_waiting_files
        self._waiting_files = 0

    async def decode(self, files: Sequence[bytes], expected: PixelSettings) -> np.ndarray:
        """The images in these files, as training would have read them.

        Returns:
            uint8, shape (N, H, W) or (N, H, W, C).

        Raises:
            InvalidRequest: says which file cannot be read, counting from 0, and why.
            Overloaded: too many files wait to be decoded; none of these was begun.

        Cancelling the caller leaves at most the file that is being decoded.
        """
        if self._waiting_files + len(files) > self._max_waiting_files:
            raise Overloaded(
                f"{self._waiting_files:,} files wait to be decoded and at most {self._max_waiting_files:,} may; "
                f"{len(files):,} more do not fit"
            )
        self._waiting_files += len(files)
        try:
            return await self._decode(files, expected)
        finally:
            self._waiting_files -= len(files)

    async def _decode(self, files: Sequence[bytes], expected: PixelSettings) -> np.ndarray:
        loop = asyncio.get_running_loop()
        images = np.empty((len(files), *expected.shape), np.uint8)
        for row, file in enumerate(files):
            try:
                images[row] = await loop.run_in_executor(self._executor, decode, file, expected)
            except InvalidImage as err:
                raise InvalidRequest(f"file {row}: {err}") from err
        return images

    def close(self) -> None:
        """Begins no other file; the threads end with the ones they are at."""
        self._executor.shutdown(wait=False, cancel_futures=True)
