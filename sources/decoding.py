"""Many image files at once, as one array: decoded with bundle.pixels alone, as the server does. A file of a kind that
callers cannot send is rewritten as PNG before.

Every file is read once. What all images become is guessed from a few of them; only where the others turn out otherwise
are they read again. Small sets are decoded here, in one process: threads are no faster, because most of the work on a
small image holds Python's lock. Once it shows that much is left to do, as many processes as there are cores take over.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_FILE_BYTES
from vouch.bundle.pixel_settings import ALL_BITS, PixelSettings
from vouch.bundle.pixels import Content, look, look_and_decode
from vouch.cli.console import progress_bar, say
from vouch.cli.stopping import deaf_children, end_with_parent
from vouch.sources.common_settings import common_settings
from vouch.sources.errors import SourceError
from vouch.sources.images import Images, batch_rows, rows_of
from vouch.sources.left_out import are_few
from vouch.sources.origins import ORIGIN, Origin, origin_of
from vouch.sources.rewriting import as_callers_send
from vouch.sources.storage import available_memory, room_for
from vouch.sources.wanted import NOTHING, Wanted

LOOKED_AT = 32
"""Files, spread over all, that the first guess is made from."""
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
EXPLAINED, NAMED = 3, 20
"""Broken files that a message gives a reason for, and a name."""

Outcome = tuple[Content, np.ndarray, Origin] | str
"""What an image file holds, its pixels and what they were, or why it cannot be read."""
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class ReadImages:
    """Images with what each of them was."""

    images: Images
    """uint8, shape (N, H, W) or (N, H, W, C)."""
    origins: np.ndarray
    """Shape (N,), as `ORIGIN` says."""
    sizes: frozenset[tuple[int, int]]
    """Heights and widths of the files."""
    broken: dict[Path, str]
    """Files that cannot be read, a few of all, with the reason of each; they have no row."""


@dataclass(frozen=True)
class _Means:
    """What decoding may use."""

    worth_processes_s: float
    """For how many seconds of work left other processes are started."""
    memory: int | None
    """Bytes, as `storage.room_for` takes them."""

    def processes(self) -> int:
        """As many as there are cores, if half of the memory is enough for them."""
        memory = available_memory() if self.memory is None else self.memory
        return max(1, min(len(os.sched_getaffinity(0)), memory // 2 // PROCESS_BYTES))


@dataclass
class _Pass:
    """All files, gone through once under one guess."""

    images: Images
    """Of the files that can be read, in their order; as many rows as there are files."""
    origins: np.ndarray
    """Likewise."""
    contents: set[Content] = field(default_factory=set)
    broken: dict[Path, str] = field(default_factory=dict)


def read_images(
    folder: Path,
    paths: Sequence[Path],
    wanted: Wanted = NOTHING,
    exactly: PixelSettings | None = None,
    worth_processes_s: float = WORTH_PROCESSES_S,
    check: Callable[[PixelSettings], None] = lambda settings: None,
) -> ReadImages:
    """The images in these files, in their order.

    Args:
        folder: what messages call them all.
        paths: at least one.
        wanted: what they become, as far as it is asked for.
        exactly: what they become, whatever they hold; of `wanted` only the memory counts then.
        worth_processes_s: for how many seconds of work left other processes are started.
        check: told what they are expected to become before any is decoded; may raise.

    Raises:
        SourceError: sizes that differ where none is given, images that fit neither into memory nor on the disk, or
            more than a few files that cannot be decoded: one message counts them all and names up to 20, three with
            the reason.
    """

    def settings_for(contents: set[Content]) -> PixelSettings:
        return exactly or common_settings(folder, contents, wanted)

    means = _Means(worth_processes_s, wanted.memory)
    settings = exactly or settings_for(_first_look(folder, paths))
    check(settings)
    if settings.bits < ALL_BITS:
        _try_first(folder, paths, settings)
    done = _decode_all(folder, paths, settings, means, settings_for)
    again = settings_for(done.contents)
    if again != settings:
        check(again)
        del done.images  # its room is needed
        done = _decode_all(folder, paths, again, means, settings_for)
    sizes = frozenset((content.height, content.width) for content in done.contents)
    read = slice(0, len(paths) - len(done.broken))
    return ReadImages(rows_of(done.images, read), done.origins[read], sizes, done.broken)


def read_batch(paths: Sequence[Path], settings: PixelSettings) -> list[Outcome]:
    """What comes of each file; a piece of work for a process."""

    def read(encoded: bytes) -> tuple[Content, np.ndarray, Origin]:
        decoded = look_and_decode(encoded, settings)
        return decoded.content, decoded.pixels, origin_of(encoded, decoded, settings.bits)

    return [_read(path, read) for path in paths]


def _first_look(folder: Path, paths: Sequence[Path]) -> set[Content]:
    """What a few of the files hold: of those that can be read, at least one.

    Raises:
        SourceError: none of them can be read.
    """
    spread = range(0, len(paths), -(-len(paths) // LOOKED_AT))
    contents: set[Content] = set()
    broken: dict[Path, str] = {}
    for looked_at, row in enumerate(chain(spread, (row for row in range(len(paths)) if row not in spread))):
        if looked_at >= len(spread) and contents:
            break
        found = _read(paths[row], look)
        if isinstance(found, str):
            broken[paths[row]] = found
        else:
            contents.add(found)
    if not contents:
        raise broken_files(folder, broken, len(paths))
    return contents


def _try_first(folder: Path, paths: Sequence[Path], settings: PixelSettings) -> None:
    """Decodes a few of the files: where none of them can be, the settings are wrong for all.

    Raises:
        SourceError: none can.
    """
    few = paths[:: -(-len(paths) // LOOKED_AT)]
    broken = {path: one for path, one in zip(few, read_batch(few, settings), strict=True) if isinstance(one, str)}
    if len(broken) == len(few):
        raise broken_files(folder, broken, len(few), "images that were tried first")


def _decode_all(
    folder: Path,
    paths: Sequence[Path],
    settings: PixelSettings,
    means: _Means,
    suits: Callable[[set[Content]], object],
) -> _Pass:
    """
    Args:
        suits: told what the files hold, whenever that is something new; raises where they do not go together.
    """
    done = _Pass(room_for((len(paths), *settings.shape), means.memory), np.zeros(len(paths), ORIGIN))
    with progress_bar("decoding images", len(paths)) as show:
        for row, outcome in enumerate(_outcomes(paths, settings, means)):
            if isinstance(outcome, str):
                done.broken[paths[row]] = outcome
            else:
                read = row - len(done.broken)
                content, done.images[read], done.origins[read] = outcome
                if content not in done.contents:
                    done.contents.add(content)
                    suits(done.contents)
            if row % PIECE == 0 or row + 1 == len(paths):
                show(row + 1)
    if not are_few(len(done.broken), len(paths)):
        raise broken_files(folder, done.broken, len(paths))
    return done


def _outcomes(paths: Sequence[Path], settings: PixelSettings, means: _Means) -> Iterator[Outcome]:
    """What comes of each file, in order: decoded here, until it shows that more processes are worth their start."""
    processes = means.processes()
    started = time.perf_counter()
    for row, path in enumerate(paths):
        seconds = time.perf_counter() - started
        left_s = seconds / max(1, row) * (len(paths) - row)
        if processes > 1 and row and row % LOOKED_AT == 0 and left_s > means.worth_processes_s:
            yield from _outcomes_of_processes(paths[row:], settings, processes)
            return
        yield from read_batch([path], settings)


def _outcomes_of_processes(paths: Sequence[Path], settings: PixelSettings, processes: int) -> Iterator[Outcome]:
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
                outcomes = waiting.popleft().result()
                done += len(outcomes)
                yield from outcomes
        while waiting:
            outcomes = waiting.popleft().result()
            done += len(outcomes)
            yield from outcomes
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


def _read(path: Path, read: Callable[[bytes], Result]) -> Result | str:
    """What `read` makes of a file, or why it cannot be read."""
    try:
        if not path.is_file():  # a pipe would never end
            return "it is no plain file, or a link to nothing"
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            return f"it has {size:,} bytes, more than any image that is decoded"
        return read(as_callers_send(path.read_bytes()))
    except (InvalidImage, OSError) as err:
        return str(err)


def broken_files(folder: Path, broken: dict[Path, str], total: int, what: str = "images") -> SourceError:
    """The error that counts them, names up to 20, and says of three why they cannot be read."""
    files = [(path.relative_to(folder), reason) for path, reason in sorted(broken.items())]
    explained = "; ".join(f"{path}: {reason}" for path, reason in files[:EXPLAINED])
    named = ", ".join(str(path) for path, _ in files[EXPLAINED:NAMED])
    more = f" and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    also = f"; also {named}{more}" if named else ""
    return SourceError(
        f"{len(files):,} of the {total:,} {what} in {folder} cannot be read ({explained}{also}); repair or remove them"
    )
