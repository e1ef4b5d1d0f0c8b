"""The validation split of a bundle, read in pieces: the stored images, with the claimed answers.

It is in validation.npz if training read arrays, or in validation.zip if it read files. Formats 1 and 2 have only
arrays, with labels and without answers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from vouch.bundle.answers import Answers, AnswersReader, names_of
from vouch.bundle.digest import ValidationDigest
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.listed import VALIDATION_FILES
from vouch.bundle.manifest import MAX_IMAGES, Manifest
from vouch.bundle.npz import Npz
from vouch.bundle.stored_arrays import StoredArrays, check_images
from vouch.bundle.stored_files import StoredFiles

PIECE_BYTES = 32 << 20
"""The most bytes of image files in a piece, unless a single file has more."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Images with their labels, never seen in training."""

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C): raw pixels, as the model takes them."""
    labels: np.ndarray
    """int64, shape (N,): positions in the manifest's labels. Multi-label: bool, shape (N, K)."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Piece:
    """Some images of the split, in order."""

    images: np.ndarray | list[bytes]
    """Pixels, as `Validation` has them, or encoded files."""
    labels: np.ndarray
    """As `Validation` has them."""
    claimed: Answers | None
    """None before format 3."""

    def __len__(self) -> int:
        return len(self.images)


def read_pieces(file: BinaryIO, manifest: Manifest, count: int, most_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """The split in pieces, one in memory at a time.

    Args:
        count: the most images of a piece. No piece crosses a multiple of it.
        most_bytes: the most bytes of a piece's image files; a larger file is a piece of its own.

    Raises:
        InvalidBundle: at the first wrong piece; or at the end, if all pieces together are not the manifest's split.
    """
    try:
        yield from _pieces(file, manifest, count, most_bytes)
    except InvalidBundle:
        raise
    except Exception as err:  # numpy and zipfile raise many types for broken or hostile content
        raise InvalidBundle(f"{manifest.validation_file} is not a validation split: {err}") from err


def read_claimed(file: BinaryIO, manifest: Manifest, count: int) -> Iterator[Answers]:
    """The claimed answers to all images, in pieces; reads no image. Only in format 3. Raises as `read_pieces`."""
    try:
        stored = _stored(file, manifest)
        reader = _reader(stored, manifest)
        for start in range(0, len(stored), count):
            yield reader.take(min(count, len(stored) - start), _names(stored, start, count))
        reader.check_end()
    except Exception as err:
        raise InvalidBundle(f"{manifest.validation_file} is not a validation split: {err}") from err


def images_in(file: BinaryIO, manifest: Manifest) -> int:
    """The split's number of images, from only its headers. Raises as `read_pieces`."""
    try:
        if manifest.has_answers:
            return len(_stored(file, manifest))
        return Npz(file).header("images").shape[0]
    except Exception as err:
        raise InvalidBundle(f"{manifest.validation_file} is not a validation split: {err}") from err


def _stored(file: BinaryIO, manifest: Manifest) -> StoredArrays | StoredFiles:
    files = manifest.validation_file == VALIDATION_FILES
    stored = StoredFiles(file, MAX_IMAGES) if files else StoredArrays(file, manifest.input.shape)
    if len(stored) != manifest.claim.total:
        raise ValueError(f"it has {len(stored):,} images; the claim has {manifest.claim.total:,}")
    return stored


def _reader(stored: StoredArrays | StoredFiles, manifest: Manifest) -> AnswersReader:
    return AnswersReader(stored.answers(), manifest.labels, manifest.thresholds, isinstance(stored, StoredFiles))


def _names(stored: StoredArrays | StoredFiles, start: int, count: int) -> list[str] | None:
    if isinstance(stored, StoredArrays):
        return None
    return [stored.name(place) for place in range(start, min(start + count, len(stored)))]


def _pieces(file: BinaryIO, manifest: Manifest, count: int, most_bytes: int) -> Iterator[Piece]:
    if not manifest.has_answers:
        yield from _with_labels_alone(file, manifest, count)
        return
    stored = _stored(file, manifest)
    reader, digest = _reader(stored, manifest), ValidationDigest()
    pieces = (
        _of_files(stored, reader, count, most_bytes)
        if isinstance(stored, StoredFiles)
        else _of_arrays(stored, reader, count)
    )
    for piece in pieces:
        for image, labels in zip(piece.images, piece.labels, strict=True):
            content = image if isinstance(image, bytes) else np.ascontiguousarray(image).data
            digest.add(content, names_of(labels, manifest.labels))
        yield piece
    reader.check_end()
    if digest.hexdigest() != manifest.validation_digest:
        raise InvalidBundle(
            f"{manifest.validation_file} has other images or labels than the claim: their digest is "
            f"{digest.hexdigest()}, the manifest's validation_digest is {manifest.validation_digest}"
        )


def _of_arrays(stored: StoredArrays, reader: AnswersReader, count: int) -> Iterator[Piece]:
    for images in stored.arrays.read_rows("images", count):
        claimed = reader.take(len(images))
        yield Piece(images, claimed.labels, claimed)


def _of_files(stored: StoredFiles, reader: AnswersReader, count: int, most_bytes: int) -> Iterator[Piece]:
    start = 0
    while start < len(stored):
        end, size = start + 1, stored.size(start)
        while end < min(len(stored), start - start % count + count) and size + stored.size(end) <= most_bytes:
            size += stored.size(end)
            end += 1
        claimed = reader.take(end - start, _names(stored, start, end - start))
        yield Piece([stored.read(place) for place in range(start, end)], claimed.labels, claimed)
        start = end


def _with_labels_alone(file: BinaryIO, manifest: Manifest, count: int) -> Iterator[Piece]:
    """Of formats 1 and 2."""
    several, classes = manifest.task == "multi_label", len(manifest.labels)
    arrays = Npz(file)
    images, labels = arrays.header("images"), arrays.header("labels")
    kind = np.dtype(np.bool_ if several else np.int64)
    check_images(images, manifest.input.shape, kind.itemsize * (classes if several else 1))
    expected = (images.shape[0], classes) if several else (images.shape[0],)
    if labels.dtype != kind or labels.shape != expected:
        raise ValueError(
            f"it contains {images.shape[0]} images and {labels.dtype} labels of shape {labels.shape}; "
            f"a {manifest.task} model needs {kind} of {expected}"
        )
    for piece in zip(arrays.read_rows("images", count), arrays.read_rows("labels", count), strict=True):
        if not several and (piece[1].min() < 0 or piece[1].max() >= classes):
            raise ValueError(f"it needs labels from 0 to {classes - 1}")
        yield Piece(*piece, None)


def in_memory(pieces: Iterator[Piece], decode: Callable[[bytes], np.ndarray]) -> Validation:
    """The whole split, decoded; for small ones."""
    images, labels = list[np.ndarray](), list[np.ndarray]()
    for piece in pieces:
        pixels = piece.images
        images.append(pixels if isinstance(pixels, np.ndarray) else np.stack([decode(file) for file in pixels]))
        labels.append(piece.labels)
    return Validation(np.concatenate(images), np.concatenate(labels))
