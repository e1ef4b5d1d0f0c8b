"""All image files of a folder as one array, and the decision how they are decoded.

The headers of a few files are read first, and decide how all are decoded. Then every file is read once. The files are
read again only if later files change the decision.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from vouch.bundle.pixel_settings import ALL_BITS, PixelSettings
from vouch.bundle.pixels import Content, look
from vouch.cli.console import progress_bar
from vouch.sources.decoding import PIECE, WORTH_PROCESSES_S, Means, outcomes, read_batch, read_file
from vouch.sources.errors import SourceError
from vouch.sources.headers import Headers
from vouch.sources.images import Images, rows_of
from vouch.sources.left_out import are_few
from vouch.sources.origins import ORIGIN
from vouch.sources.storage import room_for

LOOKED_AT = 32
"""The headers of this many evenly spaced files are read first."""
EXPLAINED, NAMED = 3, 20
"""A message gives the reasons for this many broken files, and the names of this many."""

Settings = Callable[[Headers], PixelSettings]
"""How files with these headers are decoded; deterministic; raises if it is useless to go on."""


@dataclass(frozen=True, eq=False)
class ReadImages:
    """Images with their origins."""

    images: Images
    """uint8, shape (N, H, W) or (N, H, W, C)."""
    origins: np.ndarray
    """Shape (N,), dtype `ORIGIN`."""
    headers: Headers
    """The headers of the readable files."""
    broken: dict[Path, str]
    """The few unreadable files with their errors; they have no row."""


@dataclass
class _Pass:
    """One pass over the files with one decision; it ends early if the decision must change."""

    images: Images
    """The images of the readable files, in order; has one row per file."""
    origins: np.ndarray
    """The origins, in the same order."""
    headers: Headers
    """The headers so far."""
    broken: dict[Path, str] = field(default_factory=dict)


def read_images(
    folder: Path,
    paths: Sequence[Path],
    settings_for: Settings,
    memory: int | None = None,
    worth_processes_s: float = WORTH_PROCESSES_S,
) -> ReadImages:
    """The images in these files, in their order.

    Args:
        folder: the source's name in messages.
        paths: at least one.
        settings_for: called with a few headers before decoding, and again when later headers may change the result.
        memory: memory limit in bytes, as for `room_for`.
        worth_processes_s: other processes are started if at least this many seconds of work are left.

    Raises:
        SourceError: as `settings_for`; images that fit neither into memory nor on the disk; or too many files cannot be
            decoded: one message has their number, up to 20 names, and three reasons.
    """
    known = _first_look(folder, paths)
    settings = settings_for(known)
    if settings.bits < ALL_BITS:
        _try_first(folder, paths, settings)
    means = Means(worth_processes_s, memory)
    done = _decode_all(folder, paths, settings_for, known, means)
    while (again := settings_for(done.headers)) != settings:
        settings, known = again, done.headers
        del done  # frees its memory
        done = _decode_all(folder, paths, settings_for, known, means)
    read = slice(0, len(paths) - len(done.broken))
    return ReadImages(rows_of(done.images, read), done.origins[read], done.headers, done.broken)


def _first_look(folder: Path, paths: Sequence[Path]) -> Headers:
    """The headers of a few of the files; at least one file can be read.

    Raises:
        SourceError: none of them can be read.
    """
    spread = range(0, len(paths), -(-len(paths) // LOOKED_AT))
    contents: Counter[Content] = Counter()
    broken: dict[Path, str] = {}
    for looked_at, row in enumerate(chain(spread, (row for row in range(len(paths)) if row not in spread))):
        if looked_at >= len(spread) and contents:
            break
        found = read_file(paths[row], look)
        if isinstance(found, str):
            broken[paths[row]] = found
        else:
            contents[found] += 1
    if not contents:
        raise broken_files(folder, broken, len(paths))
    return Headers.of(contents)


def _try_first(folder: Path, paths: Sequence[Path], settings: PixelSettings) -> None:
    """Decodes a few of the files: if none can be decoded, the settings are wrong for all.

    Raises:
        SourceError: none can be decoded.
    """
    few = paths[:: -(-len(paths) // LOOKED_AT)]
    broken = {path: one for path, one in zip(few, read_batch(few, settings), strict=True) if isinstance(one, str)}
    if len(broken) == len(few):
        raise broken_files(folder, broken, len(few), "images that were tried first")


def _decode_all(folder: Path, paths: Sequence[Path], settings_for: Settings, known: Headers, means: Means) -> _Pass:
    """Reads all files. Ends early if a file changes the decision, which the headers then show."""
    settings = settings_for(known)
    done = _Pass(room_for((len(paths), *settings.shape), means.memory), np.zeros(len(paths), ORIGIN), known)
    contents: Counter[Content] = Counter()
    with (
        progress_bar("decoding images", len(paths)) as show,
        closing(outcomes(paths, settings, means)) as found,
    ):
        for row, outcome in enumerate(found):
            if isinstance(outcome, str):
                done.broken[paths[row]] = outcome
            else:
                read = row - len(done.broken)
                content, done.images[read], done.origins[read] = outcome
                contents[content] += 1
                if done.headers.surprised_by(content):
                    done.headers = done.headers.plus(content)
                    if settings_for(done.headers) != settings:
                        return done
            if row % PIECE == 0 or row + 1 == len(paths):
                show(row + 1)
    if not are_few(len(done.broken), len(paths)):
        raise broken_files(folder, done.broken, len(paths))
    done.headers = Headers.of(contents) if contents else known
    return done


def broken_files(folder: Path, broken: dict[Path, str], total: int, what: str = "images") -> SourceError:
    """The error with their number, up to 20 names, and three reasons."""
    files = [(path.relative_to(folder), reason) for path, reason in sorted(broken.items())]
    explained = "; ".join(f"{path}: {reason}" for path, reason in files[:EXPLAINED])
    named = ", ".join(str(path) for path, _ in files[EXPLAINED:NAMED])
    more = f" and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    also = f"; also {named}{more}" if named else ""
    return SourceError(
        f"{len(files):,} of the {total:,} {what} in {folder} cannot be read ({explained}{also}); repair or remove them"
    )
