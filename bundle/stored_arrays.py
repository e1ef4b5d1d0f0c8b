"""validation.npz: images from an array, with the claimed answers; before format 3, only with their labels."""

import io
import math
import zipfile
from collections.abc import Iterable, Sequence
from typing import IO, BinaryIO

import numpy as np

from vouch.bundle.answers import ANSWERS, Answers, lines, names_of
from vouch.bundle.digest import ValidationDigest
from vouch.bundle.listed import MAX_VALIDATION_BYTES
from vouch.bundle.npz import Header, Npz
from vouch.bundle.stored_files import READ_BYTES, WRITTEN


def write_arrays(file: BinaryIO, batches: Iterable[np.ndarray], answers: Answers, names: Sequence[str]) -> str:
    """Writes the archive, and returns the digest of the split; equal splits give equal bytes.

    Args:
        batches: of the images, in order: uint8, shape (n, H, W) or (n, H, W, C).
        answers: to all images.
        names: of the K classes.
    """
    digest, labels = ValidationDigest(), iter(answers.labels)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with _new(archive, "images.npy") as member:
            for number, batch in enumerate(batches):
                if not number:
                    shape = (len(answers), *batch.shape[1:])
                    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(member, header)
                rows = np.ascontiguousarray(batch)
                member.write(rows.data)
                for row in rows:
                    digest.add(row.data, names_of(next(labels), names))
        with _new(archive, ANSWERS) as member:
            for line in lines(answers, names):
                member.write(line)
    return digest.hexdigest()


def _new(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name, WRITTEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)


class StoredArrays:
    """The archive, with its headers checked. Raises ValueError if it is not such an archive, or errors of zipfile."""

    def __init__(self, file: BinaryIO, image_shape: tuple[int, ...]) -> None:
        self.arrays = Npz(file, ("images.npy", ANSWERS))
        images = self.arrays.header("images")
        check_images(images, image_shape)
        if images.fortran_order:
            raise ValueError("its images are not in row-major order, so they cannot be read in pieces")
        self._count = images.shape[0]

    def __len__(self) -> int:
        return self._count

    def answers(self) -> BinaryIO:
        """The claimed answers, for reading in pieces."""
        return io.BufferedReader(self.arrays.open(ANSWERS), READ_BYTES)  # type: ignore[type-var]  # it can be read like a raw file


def check_images(images: Header, image_shape: tuple[int, ...], label_bytes: int = 0) -> None:
    """Checks the header of the images.

    Args:
        label_bytes: of the labels of one image, if they are an array too.

    Raises:
        ValueError: it is not an array of validation images, or it is too large.
    """
    if images.dtype != np.uint8 or len(images.shape) != 1 + len(image_shape) or images.shape[1:] != image_shape:
        raise ValueError(f"it contains {images.dtype} images of {images.shape[1:]}, not uint8 of {image_shape}")
    if images.shape[0] < 1:
        raise ValueError("it needs at least one image")
    if (size := math.prod(images.shape) + images.shape[0] * label_bytes) > MAX_VALIDATION_BYTES:
        raise ValueError(f"it contains {size:,} bytes of images and labels; expected at most {MAX_VALIDATION_BYTES:,}")
