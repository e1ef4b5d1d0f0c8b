"""The files of a bundle (the manifest and the listed files): their names and size limits. Does not know their content,
so that watching a models folder loads no arrays.
"""

from typing import Annotated, Final

from pydantic import Field

from vouch.bundle.part import Part, Sha256

MANIFEST, MODEL, CARD = "manifest.json", "model.onnx", "README.md"
VALIDATION: Final = "validation.npz"
VALIDATION_FILES: Final = "validation.zip"
REPORT: Final = "report.html"
FIT_DIGESTS: Final = "fit-digests.bin"

MAX_FILES = 64
MAX_VALIDATION_BYTES = 16 << 30
"""Limit for all validation images and their labels as arrays: 100,000 images of 224 x 224 in colour."""
FIT_KEY_BYTES = 16
MAX_FIT_IMAGES = 1 << 23
MAX_FIT_DIGESTS_BYTES = FIT_KEY_BYTES + MAX_FIT_IMAGES * 8
"""64 MiB; a bundle with more images has no digests."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""The most characters of a model's name."""
FileName = Annotated[str, Field(max_length=255)]


class FileEntry(Part):
    """The size and the hash that a file of the bundle must have."""

    sha256: Sha256
    size: int = Field(ge=0)
