"""Decodes many image files, by bundle.pixels as the server does. A file of a kind that callers cannot send is first
rewritten as PNG.

Small sets are decoded in one process: threads are not faster, because most of the work on a small image holds Python's
lock. If much work is left, one process per core takes over.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_FILE_BYTES
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import Content, look_and_decode
from vouch.cli.console import say
from vouch.cli.stopping import deaf_children, end_with_parent
from vouch.sources.images import batch_rows
from vouch.sources.origins import Origin, origin_of
from vouch.sources.rewriting import as_callers_send
from vouch.sources.storage import available_memory

TIMED = 32
"""The remaining time is estimated after this many files."""
PIECE = 64
"""The most files in one piece of work for a process."""
PIECES_A_PROCESS = 4
"""Pieces of work per process that are pending or done, so that no process waits."""
UNDER_WAY_BYTES = 64 << 20
"""Limit for the pixels of all pieces together."""
PROCESS_BYTES = 200 << 20
"""Memory of a decoding process: Python, libraries and a full photo of 12 megapixels."""
WORTH_PROCESSES_S = 2.0
"""Starting a process takes half a second of a core."""

Outcome = tuple[Content, np.ndarray, Origin] | str
"""The content of an image file, with its pixels and its origin, or why it cannot be read."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Means:
    """The resources that decoding may use."""

    worth_processes_s: float
    """Other processes are started if at least this many seconds of work are left."""
    memory: int | None
    """Memory limit in bytes, as for `storage.room_for`."""

    def processes(self) -> int:
        """The number of processes: one per core, if half of the memory is enough for them."""
        memory = available_memory() if self.memory is None else self.memory
        return max(1, min(len(os.sched_getaffinity(0)), memory // 2 // PROCESS_BYTES))


def read_batch(paths: Sequence[Path], settings: PixelSettings) -> list[Outcome]:
    """The result for each file: one piece of work for a process."""

    def all_of(encoded: bytes) -> tuple[Content, np.ndarray, Origin]:
        decoded = look_and_decode(encoded, settings)
        return decoded.content, decoded.pixels, origin_of(encoded, decoded, settings.bits)

    return [read_file(path, all_of) for path in paths]


def outcomes(paths: Sequence[Path], settings: PixelSettings, means: Means) -> Generator[Outcome]:
    """The result for each file, in order: decoded in this process until more processes are worth their start."""
    processes = means.processes()
    started = time.perf_counter()
    for row, path in enumerate(paths):
        seconds = time.perf_counter() - started
        left_s = seconds / max(1, row) * (len(paths) - row)
        if processes > 1 and row and row % TIMED == 0 and left_s > means.worth_processes_s:
            yield from _outcomes_of_processes(paths[row:], settings, processes)
            return
        yield from read_batch([path], settings)


def _outcomes_of_processes(paths: Sequence[Path], settings: PixelSettings, processes: int) -> Generator[Outcome]:
    piece = batch_rows(settings.shape, UNDER_WAY_BYTES // (PIECES_A_PROCESS * processes), PIECE)
    pieces = [paths[start : start + piece] for start in range(0, len(paths), piece)]
    waiting: deque[Future[list[Outcome]]] = deque()
    done = 0
    others = set(active_children())
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=end_with_parent)
    try:
        for some in pieces:
            with deaf_children():  # the pool starts processes here
                waiting.append(pool.submit(read_batch, some, settings))
            if len(waiting) >= PIECES_A_PROCESS * processes:
                taken = waiting.popleft().result()
                done += len(taken)
                yield from taken
        while waiting:
            taken = waiting.popleft().result()
            done += len(taken)
            yield from taken
    except BrokenProcessPool:
        say("warning: a process that decoded images was killed; continuing with one process")
        for path in paths[done:]:
            yield from read_batch([path], settings)
    except BaseException:  # do not wait for images that are still being decoded
        for child in set(active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def read_file(path: Path, read: Callable[[bytes], Result]) -> Result | str:
    """The result of `read` for a file, or why it cannot be read."""
    try:
        if not path.is_file():  # reading a pipe may never end
            return "it is not a regular file, or is a broken link"
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            return f"it has {size:,} bytes, more than the limit for images"
        return read(as_callers_send(path.read_bytes()))
    except (InvalidImage, OSError) as err:
        return str(err)
