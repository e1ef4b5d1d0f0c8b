"""Decoding of callers' PNG, JPEG and WebP files, off the event loop, a file of a call at a time.

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
from vouch.bundle.image_parts import image_parts
from vouch.bundle.images.parts import ImageParts
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode_bytes, decode_parts
from vouch.bundle.wire_format import Serialized
from vouch.server.budget import UNBOUNDED, Budget, Hold
from vouch.server.errors import InvalidRequest, Overloaded

AT_ONCE_BYTES = 1 << 16
"""Headers of a file of at most so many bytes are read on the event loop: less than a turn through a thread costs."""
AT_ONCE_PIXELS = 1 << 12
"""A file that comes alone, of at most so many pixels for a model of at most so many, is decoded on the event loop: the
image library's Python takes nearly all of that time, and a turn through a thread would be as much again.
"""
LARGE_S = 0.25
"""A file that takes longer to decode is large: 16 million pixels."""
UNCOUNTED_BYTES = 4 << 20
"""A file that takes no more to decode, some 200,000 pixels, waits for no room: large ones would hold it up. There are
no more of them in work than threads."""
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
    hold: Hold = field(compare=False)
    """Of its call."""
    pixels: "asyncio.Future[np.ndarray]" = field(compare=False)
    taken: int = field(default=0, compare=False)
    """Bytes for its decoding."""


class _Lane:
    """Files of a kind: those that wait, and how many are in work."""

    def __init__(self, most_running: int) -> None:
        self._most_running = most_running
        self.running = 0
        self.waiting: list[_Waiting] = []

    def first(self) -> _Waiting | None:
        """The file whose turn it is; None: nothing may begin now. Those who left are forgotten."""
        while self.waiting and self.waiting[0].pixels.done():
            heapq.heappop(self.waiting)
        return self.waiting[0] if self.waiting and self.running < self._most_running else None


class Decoder:
    """Threads of its own, so that decoding holds up nothing else."""

    def __init__(self, cores: int, max_waiting_files: int, budget: Budget = UNBOUNDED) -> None:
        """
        Args:
            budget: what files, images and the memory that decoding takes are held in.
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
        """The images in these files, as training would have read them.

        Args:
            hold: the call's. When this returns, nothing of it is held any more: whoever has the images next takes
                their bytes.

        Returns:
            uint8, shape (N, H, W) or (N, H, W, C).

        Raises:
            InvalidRequest: says which file cannot be read, counting from 0, and why; or the images are too large
                together, or one of them to be decoded.
            Overloaded: too many files wait to be decoded, or the budget has no room; none of these was begun.

        Cancelling the caller leaves at most the file that is being decoded.
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
                f"the images of {files:,} files take {images_bytes:,} bytes when they are decoded; at most "
                f"{most:,} are taken, which are {most * files // images_bytes:,} images"
            )
        if self._waiting_files + files > self._max_waiting_files:
            raise Overloaded(
                f"{self._waiting_files:,} files wait to be decoded and at most {self._max_waiting_files:,} may; "
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
            if file.pixels.cancelled():  # it may stay in its lane until it would have had its turn
                file.parts = replace(file.parts, encoded=b"")
            del file  # its error leads back here: a circle, which would keep the request until garbage is collected

    def _lane(self, parts: ImageParts) -> _Lane:
        return self._large if parts.decode_s > LARGE_S else self._small

    def _begin(self) -> None:
        """Gives free threads to those whose turn it is, and for whose decoding there is room."""
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
        """Whether there is room to decode it; it is taken then."""
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
        except RuntimeError as err:  # the system gives it no thread more
            self._release(file)
            if not file.pixels.done():
                file.pixels.set_exception(Overloaded(f"no thread could be started to decode it: {err}"))
            return
        decoding.add_done_callback(partial(self._ended, file))

    def _release(self, file: _Waiting) -> None:
        """Its thread and its room are free again."""
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
        """Begins no other file; the threads end with the ones they are at."""
        for lane in (self._small, self._large):
            for file in lane.waiting:
                file.pixels.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._headers.shutdown(wait=False, cancel_futures=True)


def _parts_of(file: Serialized) -> ImageParts:
    return image_parts(bytes(file))


def _is_tiny(parts: ImageParts, expected: PixelSettings) -> bool:
    """Whether decoding is over before a thread would have begun. Few pixels may lie behind many bytes of nothing."""
    pixels = max(parts.width * parts.height * parts.scans, math.prod(expected.shape))
    return pixels <= AT_ONCE_PIXELS and len(parts.encoded) <= AT_ONCE_BYTES
