"""Decoding of callers' PNG and JPEG files, off the event loop, a file of a call at a time.

What a file costs is known from its headers before it is decoded. Cheap files go before dear ones that came a little
earlier, and one thread is never given to a large file, so that a few of these do not keep everybody else waiting. What
a caller no longer wants is not decoded, and too much at once is refused at once.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import ImageParts, image_parts
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode_parts
from vouch.server.errors import InvalidRequest, Overloaded

AT_ONCE_BYTES = 1 << 16
"""Headers of a file of at most so many bytes are read on the event loop: less than a turn through a thread costs."""
LARGE_S = 0.25
"""A file that takes longer to decode is large: 16 million pixels."""
LARGE_BYTES = 1 << 30
"""That large files in work may take together, or one alone."""
COPIES = 2
"""Of a file: as it came, and its parts that make pixels."""
PATIENCE = 10
"""A file lets others go before that come within so many times its own cost."""


@dataclass(order=True)
class _Waiting:
    """A file that waits for a thread."""

    turn: float
    """Lower ones go first."""
    number: int
    parts: ImageParts = field(compare=False)
    expected: PixelSettings = field(compare=False)
    pixels: "asyncio.Future[np.ndarray]" = field(compare=False)


class _Lane:
    """Files of a kind: those that wait, and what those in work take."""

    def __init__(self, most_running: int, most_bytes: float) -> None:
        self._most_running = most_running
        self._most_bytes = most_bytes
        self._running = 0
        self._bytes = 0
        self.waiting: list[_Waiting] = []

    def first(self) -> _Waiting | None:
        """The file whose turn it is; None: nothing may begin now. Those who left are forgotten."""
        while self.waiting and self.waiting[0].pixels.done():
            heapq.heappop(self.waiting)
        if not self.waiting or self._running >= self._most_running:
            return None
        fits = not self._running or self._bytes + self.waiting[0].parts.decode_bytes <= self._most_bytes
        return self.waiting[0] if fits else None

    def begin(self) -> None:
        """What `first` says is in work from now on."""
        file = heapq.heappop(self.waiting)
        self._running += 1
        self._bytes += file.parts.decode_bytes

    def end(self, file: _Waiting) -> None:
        """It is in work no longer."""
        self._running -= 1
        self._bytes -= file.parts.decode_bytes


class Decoder:
    """Threads of its own, so that decoding holds up nothing else."""

    def __init__(self, cores: int, max_waiting_files: int, max_bytes: int) -> None:
        """
        Args:
            max_bytes: of the files and images of all calls whose files are not all decoded.
        """
        threads = max(2, cores)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="image headers")
        self._max_waiting_files = max_waiting_files
        self._max_bytes = max_bytes
        self._waiting_files = 0
        self._bytes = 0
        self._free = threads
        self._small = _Lane(threads, math.inf)
        self._large = _Lane(threads - 1, LARGE_BYTES)
        self._numbers = itertools.count()

    async def decode(self, files: Sequence[bytes], expected: PixelSettings) -> np.ndarray:
        """The images in these files, as training would have read them.

        Returns:
            uint8, shape (N, H, W) or (N, H, W, C).

        Raises:
            InvalidRequest: says which file cannot be read, counting from 0, and why; or the images are too large
                together.
            Overloaded: too many files wait to be decoded, or too many bytes; none of these was begun.

        Cancelling the caller leaves at most the file that is being decoded.
        """
        images_bytes = len(files) * math.prod(expected.shape)
        size = images_bytes + COPIES * sum(map(len, files))
        self._check_room(len(files), images_bytes, size)
        self._waiting_files += len(files)
        self._bytes += size
        try:
            return await self._decode(files, expected)
        finally:
            self._waiting_files -= len(files)
            self._bytes -= size

    def _check_room(self, files: int, images_bytes: int, size: int) -> None:
        if images_bytes > self._max_bytes:
            raise InvalidRequest(
                f"the images of {files:,} files take {images_bytes:,} bytes when they are decoded; at most "
                f"{self._max_bytes:,} are taken, which are {self._max_bytes * files // images_bytes:,} images"
            )
        if self._waiting_files + files > self._max_waiting_files:
            raise Overloaded(
                f"{self._waiting_files:,} files wait to be decoded and at most {self._max_waiting_files:,} may; "
                f"{files:,} more do not fit"
            )
        if self._bytes and self._bytes + size > self._max_bytes:
            raise Overloaded(
                f"files that are being decoded, and their images, have {self._bytes:,} bytes and at most "
                f"{self._max_bytes:,} are taken; {size:,} more do not fit"
            )

    async def _decode(self, files: Sequence[bytes], expected: PixelSettings) -> np.ndarray:
        images = np.empty((len(files), *expected.shape), np.uint8)
        for row, file in enumerate(files):
            try:
                images[row] = await self._in_turn(await self._parts(file), expected)
            except InvalidImage as err:
                raise InvalidRequest(f"file {row}: {err}") from err
        return images

    async def _parts(self, file: bytes) -> ImageParts:
        if len(file) <= AT_ONCE_BYTES:
            return image_parts(file)
        return await asyncio.get_running_loop().run_in_executor(self._headers, image_parts, file)

    async def _in_turn(self, parts: ImageParts, expected: PixelSettings) -> np.ndarray:
        loop = asyncio.get_running_loop()
        turn = loop.time() + PATIENCE * parts.decode_s
        file = _Waiting(turn, next(self._numbers), parts, expected, loop.create_future())
        heapq.heappush(self._lane(parts).waiting, file)
        self._begin()
        try:
            return await file.pixels
        finally:
            if file.pixels.cancelled():  # it may stay in its lane until it would have had its turn
                file.parts = replace(file.parts, encoded=b"")

    def _lane(self, parts: ImageParts) -> _Lane:
        return self._large if parts.decode_s > LARGE_S else self._small

    def _begin(self) -> None:
        """Gives free threads to those whose turn it is."""
        loop = asyncio.get_running_loop()
        while self._free and (file := min(filter(None, (self._small.first(), self._large.first())), default=None)):
            self._lane(file.parts).begin()
            self._free -= 1
            decoding = loop.run_in_executor(self._executor, decode_parts, file.parts, file.expected)
            decoding.add_done_callback(partial(self._ended, file))

    def _ended(self, file: _Waiting, decoding: "asyncio.Future[np.ndarray]") -> None:
        self._free += 1
        self._lane(file.parts).end(file)
        if decoding.cancelled():
            file.pixels.cancel()
        elif (err := decoding.exception()) and not file.pixels.done():
            file.pixels.set_exception(err)
        elif not file.pixels.done():
            file.pixels.set_result(decoding.result())
        self._begin()

    def close(self) -> None:
        """Begins no other file; the threads end with the ones they are at."""
        for lane in (self._small, self._large):
            for file in lane.waiting:
                file.pixels.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._headers.shutdown(wait=False, cancel_futures=True)
