"""The validation split of a bundle as bytes of an .npz file: images and labels, so that anybody can recount."""

import io
from dataclasses import dataclass

import numpy as np

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.multi_label import Task


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
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            validation = Validation(np.asarray(arrays["images"]), np.asarray(arrays["labels"]))
    except Exception as err:  # numpy and zipfile raise a dozen types for broken or hostile content
        raise InvalidBundle(f"validation.npz is not an .npz file with images and labels: {err}") from err
    images, labels = validation.images, validation.labels
    if images.dtype != np.uint8 or images.shape[1:] != image_shape:
        raise InvalidBundle(
            f"validation.npz holds {images.dtype} images of {images.shape[1:]}, not uint8 of {image_shape}"
        )
    dtype, shape = (np.int64, (len(images),)) if task == "single_label" else (np.bool_, (len(images), classes))
    if labels.dtype != dtype or labels.shape != shape:
        raise InvalidBundle(
            f"validation.npz holds {len(images)} images and {labels.dtype} labels of shape {labels.shape}; "
            f"a {task} model needs {np.dtype(dtype)} of {shape}"
        )
    if len(labels) == 0 or (task == "single_label" and (labels.min() < 0 or labels.max() >= classes)):
        raise InvalidBundle(f"validation.npz needs labels from 0 to {classes - 1}, one for each of at least one image")
    return validation
