"""Images as tables of numbers: .npz files of numpy arrays. Runs nothing that a file brings with it (no pickle)."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

from sources.errors import SourceError
from sources.examples import Source, SplitName
from sources.labels import make_source

PREFIXES: dict[str, SplitName] = {"": "all", "fit_": "fit", "tune_": "tune", "validation_": "validation"}
EXPECTED = (
    "images and labels, or fit_images, fit_labels, validation_images, validation_labels (and tune_... if you like)"
)

NOT_READABLE = (ValueError, EOFError, KeyError, RuntimeError, MemoryError, TokenError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for broken, encrypted, hostile or pickled content; OSError has a handler of its own."""


def read_npz(name: str, path: Path) -> Source:
    """The source in an .npz file: `images` and `labels`, or these for each split, such as `fit_images`, `fit_labels`.

    Raises:
        SourceError: not such a file, an array missing, or arrays that `make_source` refuses.
    """
    try:
        with path.open("rb") as file, _opened(file_name=path, file=file) as arrays:
            return make_source(name, _read_parts(path, arrays))
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
