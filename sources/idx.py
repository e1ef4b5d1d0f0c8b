"""IDX files, plain or gzip: big-endian header, then unsigned bytes in row-major order; and folders of them.

A header is never believed: memory grows with what a file really holds, and a file holds exactly what its header says.
Format: http://yann.lecun.com/exdb/mnist
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source, shape_text
from vouch.sources.split_names import SplitName

IMAGES, LABELS = 3, 1  # numbers of axes: (N, H, W) and (N,)
UNSIGNED_BYTE = 0x08
TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
CHUNK_BYTES = 1 << 20

FILE_NAME = re.compile(r"(?P<prefix>.+)-(?P<kind>images(?=.idx3)|labels(?=.idx1))[-.]idx[31]-ubyte(\.gz)?")
SPLITS: dict[str, SplitName] = {
    "train": "fit",
    "fit": "fit",
    "tune": "tune",
    "t10k": "validation",
    "test": "validation",
    "validation": "validation",
    "val": "validation",
}  # how a prefix ends -> split


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The array in an IDX file. Raises as `parse`, and where the file cannot be opened.

    Args:
        axes: how many the array must have: IMAGES or LABELS.
    """
    try:
        with path.open("rb") as file:
            return parse(file, str(path), axes)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err


def parse(file: BinaryIO, name: str, axes: int) -> np.ndarray:
    """The array in an open IDX file, plain or gzip, whatever it is called.

    Args:
        file: can be rewound; is not closed.
        name: what messages call it.

    Returns:
        uint8, with this number of axes, none of them of length 0.

    Raises:
        SourceError: not an IDX file, broken gzip, other elements or axes, cut short, or with surplus bytes.
    """
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    try:
        content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file
        shape = _parse_header(content.read(4 + 4 * axes), name, axes)
        values = _read_at_most(content, math.prod(shape) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise SourceError(f"{name} is a broken gzip file ({err}); copy or download it again") from err
    if len(values) != math.prod(shape):
        found = "more follow" if len(values) > math.prod(shape) else f"only {len(values):,} are there; it is cut short"
        raise SourceError(
            f"{name}: its header promises {math.prod(shape):,} bytes ({shape_text(shape)}), but {found}; "
            "copy or download it again"
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def header(shape: tuple[int, ...]) -> bytes:
    """The header that an IDX file of unsigned bytes of this shape begins with."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def find_files(folder: Path) -> dict[str, dict[str, Path]]:
    """The IDX files of a folder by their names: prefix -> `images` or `labels` -> path, a plain file before its .gz.

    Raises:
        OSError: the folder cannot be read.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):
        if (match := FILE_NAME.fullmatch(path.name)) and path.is_file():
            found.setdefault(match["prefix"], {})[match["kind"]] = path
    return dict(sorted(found.items()))


def read_folder(name: str, folder: Path) -> Source:
    """The source in a folder of IDX files, one pair of images and labels a split.

    Raises:
        SourceError: a file lacks its partner, is broken, or belongs to no split or to one that is already there.
    """
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {}
    for prefix, pair in find_files(folder).items():
        split = next((split for ending, split in SPLITS.items() if prefix.lower().endswith(ending)), None)
        if split is None:
            endings = ", ".join(SPLITS)
            raise SourceError(
                f"{folder}: {prefix}-... belongs to no split; expected a name whose first part ends in {endings}"
            )
        if split in parts:
            raise SourceError(
                f"{folder} has more than one pair of files for {split}, {prefix}-... among them; expected one"
            )
        parts[split] = _read_pair(folder, prefix, pair)
    return make_source(name, parts)


def _read_pair(folder: Path, prefix: str, pair: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    for kind, axes in (("images", IMAGES), ("labels", LABELS)):
        if kind not in pair:
            other = next(iter(pair.values())).name
            raise SourceError(
                f"{folder} has {other} but no {prefix}-{kind}-idx{axes}-ubyte[.gz]; put it beside the other"
            )
    images, labels = read_idx(pair["images"], IMAGES), read_idx(pair["labels"], LABELS)
    if len(images) != len(labels):
        raise SourceError(
            f"{pair['images']} has {len(images):,} images but {pair['labels'].name} has {len(labels):,} labels; "
            "expected one label an image: are they from one set?"
        )
    return images, labels


def _parse_header(read: bytes, name: str, axes: int) -> tuple[int, ...]:
    magic = header((0,) * axes)[:4].hex(" ")
    expected = f"expected an IDX file of {'images' if axes == IMAGES else 'labels'}, which begins with {magic}"
    if len(read) < 4:
        raise SourceError(f"{name} has only {len(read)} bytes; {expected}")
    if read[:2] != b"\0\0" or read[2] not in TYPES:
        raise SourceError(f"{name} is not an IDX file: it begins with {read[:4].hex(' ')}; {expected}")
    if read[2] != UNSIGNED_BYTE:
        raise SourceError(f"{name} holds elements of type {TYPES[read[2]]}; {expected} (uint8)")
    if read[3] != axes:
        other = {IMAGES: "images, 3 axes", LABELS: "labels, 1 axis"}.get(read[3], f"{read[3]} axes")
        raise SourceError(f"{name} is mislabelled: it holds an array of another kind ({other}); {expected}")
    if len(read) < 4 + 4 * axes:
        raise SourceError(f"{name} is cut short: {len(read)} bytes, less than its header; copy or download it again")
    shape = struct.unpack(f">{axes}I", read[4:])
    if 0 in shape:
        raise SourceError(
            f"{name} is empty: its header says {shape_text(shape)}; expected at least one example of one pixel"
        )
    return shape


def _read_at_most(file: BinaryIO, limit: int) -> bytearray:
    content = bytearray()
    while len(content) < limit and (chunk := file.read(min(CHUNK_BYTES, limit - len(content)))):
        content += chunk
    return content
