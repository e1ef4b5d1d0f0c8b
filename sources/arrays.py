"""Images and labels as numpy arrays in one .npz file. Runs no code from the file (no pickle).

Every array's header is checked before its values are read.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.bundle.npz import Header, Npz
from vouch.sources.array_images import read_images
from vouch.sources.array_keys import EXPECTED, Keys, Pair, keys_of
from vouch.sources.array_labels import as_labels
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source
from vouch.sources.split_names import SplitName, how_taken
from vouch.sources.storage import available_memory
from vouch.sources.wanted import NOTHING, Wanted

MOST_INFLATED = 1_100
"""The most bytes that one byte of an archive can become, by compression method; a larger header is wrong."""


def read_npz(name: str, path: Path, task: Task | None = None, wanted: Wanted = NOTHING) -> Source:
    """The source in an .npz file: arrays of images and of labels, or both for each split.

    Args:
        task: the wanted kind of labels; None: as in the file.
        wanted: the order of the images' axes, and the memory limit.

    Raises:
        SourceError: not such a file, an array is missing, too large or of another kind, or `make_source` fails.
    """
    try:
        with path.open("rb") as file:
            return _read(name, path, _opened(path, file), task, wanted)
    except SourceError:
        raise
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except MemoryError:
        raise
    except Exception as err:  # numpy and zipfile raise a dozen types for broken, hostile or pickled content
        reason, advice = str(err) or type(err).__name__, "save it with numpy.savez"
        if "Object arrays" in reason:
            reason, advice = "it holds Python objects", "save words as numpy strings, by astype(str)"
        raise SourceError(f"{path} is not a readable .npz file: {reason}; {advice}") from err


def _opened(path: Path, file: BinaryIO) -> Npz:
    if file.read(6) == b"\x93NUMPY":
        raise SourceError(f"{path} is a single array (.npy), not an .npz file; expected {EXPECTED}")
    return Npz(file)


def _read(name: str, path: Path, npz: Npz, task: Task | None, wanted: Wanted) -> Source:
    keys = _without_names(npz) or keys_of(npz.names(), str(path))
    headers = {split: (pair.images, npz.header(pair.images)) for split, pair in keys.pairs.items()}
    label_headers = {split: (pair.labels, npz.header(pair.labels)) for split, pair in keys.pairs.items()}
    for array, header in (*headers.values(), *label_headers.values()):
        _check_size(path, array, header)
    raw = {split: npz.read(pair.labels) for split, pair in keys.pairs.items()}
    labels, said_of_labels = as_labels(str(path), raw, task)
    _check_counts(path, keys, headers, labels)
    images, said_of_images = read_images(npz, str(path), headers, wanted)
    source = make_source(name, {split: (images[split], labels[split]) for split in keys.pairs})
    words = keys.in_words() + said_of_labels + said_of_images
    notes = [how_taken(keys.splits)] if any(called != split for called, split in keys.splits.items()) else []
    return replace(source, notes=(*notes, *([f"{path.name}: {'; '.join(words)}"] if words else [])))


def _without_names(npz: Npz) -> Keys | None:
    """Images and labels, if numpy.savez stored two arrays without names that differ in their axes."""
    if sorted(npz.names()) != ["arr_0", "arr_1"]:
        return None
    by_axes = sorted(npz.names(), key=lambda name: len(npz.header(name).shape))
    labels, images = (len(npz.header(name).shape) for name in by_axes)
    return Keys({"all": Pair(by_axes[1], by_axes[0])}, {}, ()) if labels <= 2 < images else None


def _check_size(path: Path, array: str, header: Header) -> None:
    """Checks an array's size before it is read.

    Raises:
        SourceError: the header states more than the file can hold, or more than the available memory.
    """
    size = math.prod(header.shape) * header.dtype.itemsize
    shape = " x ".join(map(str, header.shape)) or "nothing"
    if size > MOST_INFLATED * path.stat().st_size:
        raise SourceError(
            f"{path}: the header of {array} states {size:,} bytes ({shape} {header.dtype}), more than a file of "
            f"{path.stat().st_size:,} bytes can hold; save it again"
        )
    whole = header.fortran_order or header.dtype.kind in "US" or len(header.shape) < 3
    if whole and size > available_memory():
        raise SourceError(
            f"{path}: {array} takes {size / 1e9:,.1f} GB of memory ({shape} {header.dtype}), but only "
            f"{available_memory() / 1e9:,.1f} GB are available; use a part of it"
        )


def _check_counts(
    path: Path, keys: Keys, headers: dict[SplitName, tuple[str, Header]], labels: dict[SplitName, np.ndarray]
) -> None:
    for split, (array, header) in headers.items():
        if not header.shape or not labels[split].ndim:
            raise SourceError(f"{path}: {array} or its labels is a single number; expected {EXPECTED}")
        images, count = header.shape[0], len(labels[split])
        if images != count and 0 not in (images, count):
            raise SourceError(
                f"{path} has {images:,} images but {count:,} labels in {array} and {keys.pairs[split].labels}; "
                "expected one label per image"
            )
