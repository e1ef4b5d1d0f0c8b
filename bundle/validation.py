"""The validation split of a bundle as bytes of an .npz file: images and labels, so that anybody can recount."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import VALIDATION
from vouch.bundle.multi_label import Task
from vouch.bundle.npz import Header, Npz

MAX_BYTES = 16 << 30
"""Of all images and labels, as arrays: 100,000 images of 224 x 224 in colour."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Images with their labels, never seen in training."""

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C): raw pixels as they are in the file."""
    labels: np.ndarray
    """int64, shape (N,): positions in the manifest's labels. Multi-label: bool, shape (N, K), which of them it has."""

    def __len__(self) -> int:
        return len(self.images)


def pack(validation: Validation) -> bytes:
    """The .npz file; the same split gives the same bytes."""
    file = io.BytesIO()
    np.savez_compressed(file, images=validation.images, labels=validation.labels)
    return file.getvalue()


def unpack(content: bytes, image_shape: tuple[int, ...], classes: int, task: Task = "single_label") -> Validation:
    """The split that `pack` wrote.

    Args:
        image_shape: (H, W) or (H, W, C), as the manifest says.
        classes: K, the number of the manifest's labels.

    Raises:
        InvalidBundle: not such a file, or it does not fit the manifest.
    """
    arrays = _opened(content, image_shape, (classes,) if task == "multi_label" else ())
    try:
        validation = Validation(arrays.read("images"), arrays.read("labels"))
    except Exception as err:
        raise _broken(err) from err
    _check_labels(validation.labels, classes, task)
    return validation


def unpack_rows(
    file: BinaryIO, image_shape: tuple[int, ...], classes: int, task: Task, count: int
) -> Iterator[Validation]:
    """The same in pieces of so many images, one in memory at a time.

    Args:
        image_shape, classes, task: as `unpack` takes them.

    Raises:
        InvalidBundle: as `unpack`, when the piece that is wrong comes.
    """
    arrays = _opened(file, image_shape, (classes,) if task == "multi_label" else ())
    pieces = zip(arrays.read_rows("images", count), arrays.read_rows("labels", count), strict=True)
    while True:
        try:
            found = next(pieces, None)
        except Exception as err:
            raise _broken(err) from err
        if found is None:
            return
        _check_labels(found[1], classes, task)
        yield Validation(*found)


def _opened(content: bytes | BinaryIO, image_shape: tuple[int, ...], label_shape: tuple[int, ...]) -> Npz:
    try:
        arrays = Npz(content)
        images, labels = arrays.header("images"), arrays.header("labels")
    except Exception as err:  # numpy and zipfile raise a dozen types for broken or hostile content
        raise _broken(err) from err
    _check_headers(images, labels, image_shape, label_shape)
    return arrays


def _check_labels(labels: np.ndarray, classes: int, task: Task) -> None:
    if task == "single_label" and (labels.min() < 0 or labels.max() >= classes):
        raise InvalidBundle(f"{VALIDATION} needs labels from 0 to {classes - 1}")


def _check_headers(images: Header, labels: Header, image_shape: tuple[int, ...], label_shape: tuple[int, ...]) -> None:
    """
    Raises:
        InvalidBundle: they promise other arrays than those of a validation split, or too large ones.
    """
    if images.dtype != np.uint8 or len(images.shape) != 1 + len(image_shape) or images.shape[1:] != image_shape:
        raise InvalidBundle(
            f"{VALIDATION} holds {images.dtype} images of {images.shape[1:]}, not uint8 of {image_shape}"
        )
    count, kind = images.shape[0], np.dtype(np.bool_ if label_shape else np.int64)
    if labels.dtype != kind or labels.shape != (count, *label_shape):
        task = "multi_label" if label_shape else "single_label"
        raise InvalidBundle(
            f"{VALIDATION} holds {count} images and {labels.dtype} labels of shape {labels.shape}; "
            f"a {task} model needs {kind} of {(count, *label_shape)}"
        )
    if count < 1:
        raise InvalidBundle(f"{VALIDATION} needs at least one image")
    if (size := math.prod(images.shape) + math.prod(labels.shape) * kind.itemsize) > MAX_BYTES:
        raise InvalidBundle(f"{VALIDATION} holds {size:,} bytes of images and labels; expected at most {MAX_BYTES:,}")


def _broken(err: Exception) -> InvalidBundle:
    return InvalidBundle(f"{VALIDATION} is not an .npz file with images and labels: {err}")
