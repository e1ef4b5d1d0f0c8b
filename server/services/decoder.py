"""Decodes callers' PNG, JPEG and WebP files, off the event loop, one file of a call at a time.

The cost of a file is known from its headers before it is decoded. Cheap files overtake expensive ones that came a
little earlier, and one thread never takes large files, so that a few large files do not delay all others. Files of
callers who left are not decoded. Too many waiting files are refused immediately.
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
from vouch.bundle.image_parts import image_parts
from vouch.bundle.images.parts import ImageParts
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode_bytes, decode_parts
from vouch.bundle.wire_format import Serialized
from vouch.server.budget import UNBOUNDED, Budget, Hold
from vouch.server.errors import InvalidRequest, Overloaded

AT_ONCE_BYTES = 1 << 16
"""The headers of files up to this size are read on the event loop: that is faster than using a thread."""
AT_ONCE_PIXELS = 1 << 12
"""A single file is decoded on the event loop if file and model have at most this many pixels: nearly all of that time
is the image library's Python code, and using a thread would take as long again.
"""
LARGE_S = 0.25
"""A file that takes longer to decode counts as large: about 16 million pixels."""
UNCOUNTED_BYTES = 4 << 20
"""A file that needs at most this memory to decode, about 200,000 pixels, does not wait for the budget: large files
would delay it. At most as many of them as threads are decoded at the same time."""
COPIES = 2
"""Of a file: the received bytes, and the parts that contain the pixels."""
PATIENCE = 10
"""A file can be overtaken by others that arrive within this many times its own decoding time."""


@dataclass(order=True)
class _Waiting:
    """A file that waits for a thread."""

    turn: float
    """Lower ones go first."""
    number: int
    parts: ImageParts = field(compare=False)
    expected: PixelSettings = field(compare=False)
    hold: Hold = field(compare=False)
    """The call's hold."""
    pixels: "asyncio.Future[np.ndarray]" = field(compare=False)
    taken: int = field(default=0, compare=False)
    """Bytes taken for its decoding."""


class _Lane:
    """Files of one kind: the waiting ones, and the number in progress."""

    def __init__(self, most_running: int) -> None:
        self._most_running = most_running
        self.running = 0
        self.waiting: list[_Waiting] = []

    def first(self) -> _Waiting | None:
        """The next file; None if none may begin now. Drops files whose callers left."""
        while self.waiting and self.waiting[0].pixels.done():
            heapq.heappop(self.waiting)
        return self.waiting[0] if self.waiting and self.running < self._most_running else None


class Decoder:
    """Decodes in threads of its own, so that decoding delays nothing else."""

    def __init__(self, cores: int, max_waiting_files: int, budget: Budget = UNBOUNDED) -> None:
        """
        Args:
            budget: counts files, images and the memory for decoding.
        """
        threads = max(2, cores)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="image headers")
        self._max_waiting_files = max_waiting_files
        self._budget = budget
        self._decoding = budget.kinds["decoding"]
        self._waiting_files = 0
        self._free = threads
        self._small = _Lane(threads)
        self._large = _Lane(threads - 1)
        self._numbers = itertools.count()

    async def decode(
        self, files: Sequence[Serialized], expected: PixelSettings, hold: Hold | None = None
    ) -> np.ndarray:
        """The images in these files, decoded as in training.

        Args:
            hold: the call's hold. Everything taken here is given back on return: the next owner of the images must
                take their bytes.

        Returns:
            uint8, shape (N, H, W) or (N, H, W, C).

        Raises:
            InvalidRequest: a file cannot be read, with its number counted from 0 and the reason; or the images are too
                large together, or one is too large to be decoded.
            Overloaded: too many files wait to be decoded, or the budget has no room; none of these files was begun.

        When the caller is cancelled, at most the current file is still decoded.
        """
        images_bytes = len(files) * math.prod(expected.shape)
        self._check_room(len(files), images_bytes)
        hold, size = hold or Hold(self._budget), images_bytes + COPIES * sum(map(len, files))
        hold.take("decoded", size)
        self._waiting_files += len(files)
        try:
            return await self._decode(files, expected, hold)
        finally:
            self._waiting_files -= len(files)
            hold.give_back("decoded", size)

    def _check_room(self, files: int, images_bytes: int) -> None:
        most = self._budget.total_bytes
        if images_bytes > most:
            raise InvalidRequest(
                f"the decoded images of {files:,} files take {images_bytes:,} bytes, and the limit is {most:,}: send "
                f"at most {most * files // images_bytes:,} images in a request"
            )
        if self._waiting_files + files > self._max_waiting_files:
            raise Overloaded(
                f"{self._waiting_files:,} files wait to be decoded, and the limit is {self._max_waiting_files:,}; "
                f"{files:,} more do not fit"
            )

    async def _decode(self, files: Sequence[Serialized], expected: PixelSettings, hold: Hold) -> np.ndarray:
        images = np.empty((len(files), *expected.shape), np.uint8)
        for row, file in enumerate(files):
            try:
                parts = await self._parts(file)
                if len(files) == 1 and _is_tiny(parts, expected):
                    images[row] = decode_parts(parts, expected)
                else:
                    images[row] = await self._in_turn(parts, expected, hold)
            except (InvalidImage, InvalidRequest) as err:
                raise InvalidRequest(f"file {row}: {err}") from err
        return images

    async def _parts(self, file: Serialized) -> ImageParts:
        if len(file) <= AT_ONCE_BYTES:
            return _parts_of(file)
        return await asyncio.get_running_loop().run_in_executor(self._headers, _parts_of, file)

    async def _in_turn(self, parts: ImageParts, expected: PixelSettings, hold: Hold) -> np.ndarray:
        loop = asyncio.get_running_loop()
        turn = loop.time() + PATIENCE * parts.decode_s
        file = _Waiting(turn, next(self._numbers), parts, expected, hold, loop.create_future())
        heapq.heappush(self._lane(parts).waiting, file)
        self._begin()
        try:
            return await file.pixels
        finally:
            if file.pixels.cancelled():  # it may stay in its lane until its turn
                file.parts = replace(file.parts, encoded=b"")
            del file  # its error refers to this frame: a cycle, which would keep the request until garbage collection

    def _lane(self, parts: ImageParts) -> _Lane:
        return self._large if parts.decode_s > LARGE_S else self._small

    def _begin(self) -> None:
        """Starts the next files while there are free threads and memory."""
        lanes = {self._small, self._large}
        while self._free and (waiting := {lane: file for lane in lanes if (file := lane.first()) is not None}):
            lane, file = min(waiting.items(), key=lambda one: one[1])
            if self._take_room(file):
                heapq.heappop(lane.waiting)
                self._start(lane, file)
            elif self._small.running or self._large.running:
                lanes.discard(lane)  # until one of them has ended
            else:
                heapq.heappop(lane.waiting)
                size = decode_bytes(file.parts, file.expected)
                file.pixels.set_exception(self._decoding.refusal(size, file.hold.bytes))

    def _take_room(self, file: _Waiting) -> bool:
        """Takes the memory to decode a file; returns whether there was room."""
        size = decode_bytes(file.parts, file.expected)
        if size > UNCOUNTED_BYTES and not self._decoding.take(size, file.hold.bytes):
            return False
        file.taken = size if size > UNCOUNTED_BYTES else 0
        return True

    def _start(self, lane: _Lane, file: _Waiting) -> None:
        lane.running += 1
        self._free -= 1
        try:
            decoding = asyncio.get_running_loop().run_in_executor(
                self._executor, decode_parts, file.parts, file.expected
            )
        except RuntimeError as err:  # the system cannot start another thread
            self._release(file)
            if not file.pixels.done():
                file.pixels.set_exception(Overloaded(f"no thread could be started to decode it: {err}"))
            return
        decoding.add_done_callback(partial(self._ended, file))

    def _release(self, file: _Waiting) -> None:
        """Frees its thread and its memory."""
        self._free += 1
        self._lane(file.parts).running -= 1
        if file.taken:
            self._decoding.give_back(file.taken)
            file.taken = 0

    def _ended(self, file: _Waiting, decoding: "asyncio.Future[np.ndarray]") -> None:
        self._release(file)
        if decoding.cancelled():
            file.pixels.cancel()
        elif (err := decoding.exception()) and not file.pixels.done():
            file.pixels.set_exception(err)
        elif not file.pixels.done():
            file.pixels.set_result(decoding.result())
        self._begin()

    def close(self) -> None:
        """Begins no more files; the threads end after their current ones."""
        for lane in (self._small, self._large):
            for file in lane.waiting:
                file.pixels.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._headers.shutdown(wait=False, cancel_futures=True)


def _parts_of(file: Serialized) -> ImageParts:
    return image_parts(bytes(file))


def _is_tiny(parts: ImageParts, expected: PixelSettings) -> bool:
    """Whether decoding takes less time than starting it in a thread. A file of few pixels can still have many bytes."""
    pixels = max(parts.width * parts.height * parts.scans, math.prod(expected.shape))
    return pixels <= AT_ONCE_PIXELS and len(parts.encoded) <= AT_ONCE_BYTES
