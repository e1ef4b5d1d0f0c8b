"""Many image files at once: decoded with bundle.pixels alone, as the server does. A file of a kind that callers cannot
send is rewritten as PNG before.

Small sets are decoded here, in one process: threads are no faster, because most of the work on a small image holds
Python's lock. Once it shows that much is left to do, as many processes as there are cores take over.
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
"""Files after which it is looked again at how long the rest will take."""
PIECE = 64
"""Files a piece of work for a process, at most."""
PIECES_A_PROCESS = 4
"""Under way or done and not yet taken, so that none waits for work."""
UNDER_WAY_BYTES = 64 << 20
"""Of the pixels in all pieces together."""
PROCESS_BYTES = 200 << 20
"""What a process that decodes takes: Python, libraries and a photo of 12 megapixels as it was taken."""
WORTH_PROCESSES_S = 2.0
"""Starting processes takes half a second of each core."""

Outcome = tuple[Content, np.ndarray, Origin] | str
"""What an image file holds, its pixels and what they were, or why it cannot be read."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Means:
    """What decoding may use."""

    worth_processes_s: float
    """For how many seconds of work left other processes are started."""
    memory: int | None
    """Bytes, as `storage.room_for` takes them."""

    def processes(self) -> int:
        """As many as there are cores, if half of the memory is enough for them."""
        memory = available_memory() if self.memory is None else self.memory
        return max(1, min(len(os.sched_getaffinity(0)), memory // 2 // PROCESS_BYTES))


def read_batch(paths: Sequence[Path], settings: PixelSettings) -> list[Outcome]:
    """What comes of each file; a piece of work for a process."""

    def all_of(encoded: bytes) -> tuple[Content, np.ndarray, Origin]:
        decoded = look_and_decode(encoded, settings)
        return decoded.content, decoded.pixels, origin_of(encoded, decoded, settings.bits)

    return [read_file(path, all_of) for path in paths]


def outcomes(paths: Sequence[Path], settings: PixelSettings, means: Means) -> Generator[Outcome]:
    """What comes of each file, in order: decoded here, until it shows that more processes are worth their start."""
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
            with deaf_children():  # some are started here
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
        say("warning: a process that decoded images was killed; going on in one process")
        for path in paths[done:]:
            yield from read_batch([path], settings)
    except BaseException:  # nobody waits for what is still being decoded, on Ctrl-C least of all
        for child in set(active_children()) - others:
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def read_file(path: Path, read: Callable[[bytes], Result]) -> Result | str:
    """What `read` makes of a file, or why it cannot be read."""
    try:
        if not path.is_file():  # a pipe would never end
            return "it is no plain file, or a link to nothing"
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            return f"it has {size:,} bytes, more than any image that is decoded"
        return read(as_callers_send(path.read_bytes()))
    except (InvalidImage, OSError) as err:
        return str(err)
