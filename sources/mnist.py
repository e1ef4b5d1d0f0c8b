"""MNIST: 60,000 and 10,000 handwritten digits, from the disk or downloaded once, and checked by SHA-256.

The hash is of the content, not of its gzip file, which may differ. A file appears in the cache complete or not at all,
so that several processes can download at the same time.
"""

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

from vouch.cli.console import progress_bar
from vouch.sources import idx
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.idx_files import find_files
from vouch.sources.labels import make_source

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}  # name -> SHA-256 of the content, as distributed by Yann LeCun, Corinna Cortes and Christopher Burges
ROUNDS = 3  # over all mirrors
TIMEOUT_S = 10.0
MAX_FILE_BYTES = 32 << 20  # the largest has 9.9 million
CHUNK_BYTES = 1 << 16


def load_mnist(name: str, mirrors: Sequence[str] = MIRRORS, pause_s: float = 1.0) -> Source:
    """MNIST under this name: uint8 of shape (N, 28, 28), 60,000 in fit and 10,000 in validation.

    Read from $VOUCH_DATA/mnist if that is a folder; else from the user's cache, into which missing and changed
    files are downloaded.

    Args:
        mirrors: addresses that end in a slash, tried in order.
        pause_s: before the second round over the mirrors; doubled before the third.

    Raises:
        SourceError: a file in $VOUCH_DATA/mnist is missing or is not MNIST's; or one could not be downloaded or cached.
    """
    given = os.environ.get("VOUCH_DATA")
    if given and (Path(given) / "mnist").is_dir():
        arrays = _read_given(Path(given) / "mnist")
    else:
        cache = _cache_folder()
        arrays = {file: _read_cached(cache / f"{file}.gz", file, mirrors, pause_s) for file in FILES}
    train_images, train_labels, test_images, test_labels = (arrays[file] for file in FILES)
    return make_source(name, {"fit": (train_images, train_labels), "validation": (test_images, test_labels)})


def _read_given(folder: Path) -> dict[str, np.ndarray]:
    found = find_files(folder)
    arrays: dict[str, np.ndarray] = {}
    for file in FILES:
        prefix, kind, *_ = file.split("-")
        if kind not in found.get(prefix, {}):
            raise SourceError(f"{folder} has no {file}[.gz]; put MNIST's four files there, or unset VOUCH_DATA")
        path = found[prefix][kind]
        arrays[file] = _checked(idx.read_idx(path, _axes(file)), file, str(path))
    return arrays


def _read_cached(path: Path, file: str, mirrors: Sequence[str], pause_s: float) -> np.ndarray:
    if path.is_file():
        try:
            return _checked(idx.read_idx(path, _axes(file)), file, str(path))
        except SourceError:
            pass  # it is downloaded again
    content, array = _fetch(file, mirrors, pause_s)
    try:
        _write_whole(path, content)
    except OSError as err:
        raise SourceError(
            f"{path} cannot be written ({err.strerror}); set XDG_CACHE_HOME to a writable folder, or put MNIST's four "
            "files into $VOUCH_DATA/mnist"
        ) from err
    return array


def _fetch(file: str, mirrors: Sequence[str], pause_s: float) -> tuple[bytes, np.ndarray]:
    """A file's gzip bytes and its array, from the first mirror that gives the right one."""
    last: Exception | None = None
    for attempt in range(ROUNDS):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        for mirror in mirrors:
            try:
                content = _download(f"{mirror}{file}.gz")
                return content, _checked(idx.parse(io.BytesIO(content), mirror + file, _axes(file)), file, mirror)
            except (OSError, HTTPException, SourceError) as err:
                last = err
    raise SourceError(
        f"mnist is not on this machine and could not be downloaded ({last}): put its four files into "
        "$VOUCH_DATA/mnist, pass their folder with --data FOLDER, or use --data digits, which needs no download"
    ) from last


def _download(url: str) -> bytes:
    content, title = bytearray(), f"downloading {url.rsplit('/', 1)[1]}"
    try:
        answer = urlopen(url, timeout=TIMEOUT_S)  # noqa: S310  # the mirrors' addresses are ours, not the user's
    except HTTPError as err:
        err.close()  # it is a response too, with an open connection
        raise
    with answer, progress_bar(title, answer.length) as show:
        while chunk := answer.read(CHUNK_BYTES):
            content += chunk
            show(len(content))
            if len(content) > MAX_FILE_BYTES:
                raise SourceError(f"{url} is larger than {MAX_FILE_BYTES:,} bytes")
    return bytes(content)


def _checked(array: np.ndarray, file: str, where: str) -> np.ndarray:
    """The array, if header and values together are the content of this file."""
    digest = hashlib.sha256(idx.header(array.shape))
    digest.update(array.data)
    if digest.hexdigest() != FILES[file]:
        raise SourceError(
            f"{where} is not MNIST's {file}: SHA-256 {digest.hexdigest()}, expected {FILES[file]}; "
            "replace it, or pass --data FOLDER for other images"
        )
    return array


def _axes(file: str) -> int:
    return idx.IMAGES if "images" in file else idx.LABELS


def _cache_folder() -> Path:
    """$XDG_CACHE_HOME/vouch/mnist, or ~/.cache/vouch/mnist (XDG Base Directory Specification: only if absolute)."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError as err:
        raise SourceError("there is no home folder for mnist; set XDG_CACHE_HOME or VOUCH_DATA") from err
    return base / "vouch" / "mnist"


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp's files are private to their owner
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
