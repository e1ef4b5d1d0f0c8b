"""IDX files, plain or gzip: big-endian header, then unsigned bytes in row-major order. Knows no folder.

A header is not trusted: memory grows with the real content, which must have exactly the size in the header.
Format: http://yann.lecun.com/exdb/mnist
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.labels import shape_text
from vouch.sources.storage import available_memory

IMAGES, LABELS = 3, 1  # numbers of axes: (N, H, W) and (N,)
UNSIGNED_BYTE = 0x08
TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
CHUNK_BYTES = 1 << 20


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The array in an IDX file. Raises as `parse`, and if the file cannot be opened.

    Args:
        axes: the expected number of axes: IMAGES or LABELS.
    """
    try:
        with path.open("rb") as file:
            return parse(file, str(path), axes)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err


def parse(file: BinaryIO, name: str, axes: int) -> np.ndarray:
    """The array in an open IDX file, plain or gzip, whatever its name.

    Args:
        file: seekable; is not closed.
        name: the file's name in messages.

    Returns:
        uint8, with this number of axes, none of length 0.

    Raises:
        SourceError: not an IDX file, broken gzip, wrong elements or axes, truncated, with surplus bytes, or larger than
            the available memory.
    """
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    try:
        content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file
        shape = _parse_header(content.read(4 + 4 * axes), name, axes)
        _check_room(math.prod(shape), name, shape)
        values = _read_at_most(content, math.prod(shape) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise SourceError(f"{name} is a broken gzip file ({err}); copy or download it again") from err
    if len(values) != math.prod(shape):
        found = "more follow" if len(values) > math.prod(shape) else f"only {len(values):,} follow; it is truncated"
        raise SourceError(
            f"{name}: its header states {math.prod(shape):,} bytes ({shape_text(shape)}), but {found}; "
            "copy or download it again"
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def header(shape: tuple[int, ...]) -> bytes:
    """The header that an IDX file of unsigned bytes of this shape begins with."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def _parse_header(read: bytes, name: str, axes: int) -> tuple[int, ...]:
    magic = header((0,) * axes)[:4].hex(" ")
    expected = f"expected an IDX file of {'images' if axes == IMAGES else 'labels'}, which begins with {magic}"
    if len(read) < 4:
        raise SourceError(f"{name} has only {len(read)} bytes; {expected}")
    if read[:2] != b"\0\0" or read[2] not in TYPES:
        raise SourceError(f"{name} is not an IDX file: it begins with {read[:4].hex(' ')}; {expected}")
    if read[2] != UNSIGNED_BYTE:
        raise SourceError(f"{name} has elements of type {TYPES[read[2]]}; {expected} (uint8)")
    if read[3] != axes:
        other = {IMAGES: "images, 3 axes", LABELS: "labels, 1 axis"}.get(read[3], f"{read[3]} axes")
        raise SourceError(f"{name} has the wrong content: an array of another kind ({other}); {expected}")
    if len(read) < 4 + 4 * axes:
        raise SourceError(f"{name} is truncated: {len(read)} bytes, less than its header; copy or download it again")
    shape = struct.unpack(f">{axes}I", read[4:])
    if 0 in shape:
        raise SourceError(
            f"{name} is empty: its header states {shape_text(shape)}; expected at least one example of one pixel"
        )
    return shape


def _check_room(size: int, name: str, shape: tuple[int, ...]) -> None:
    """Reads the values, decompressed. Takes no more memory than the file's real content."""
    if size > (left := available_memory()):
        raise SourceError(
            f"{name} has {size:,} bytes by its header ({shape_text(shape)}), but only {left:,} bytes of memory are "
            "available; use a part of it"
        )


def _read_at_most(file: BinaryIO, limit: int) -> bytearray:
    content = bytearray()
    while len(content) < limit and (chunk := file.read(min(CHUNK_BYTES, limit - len(content)))):
        content += chunk
    return content
