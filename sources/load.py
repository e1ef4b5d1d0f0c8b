"""What `--data` may say, and which reader each kind goes to. Knows no file format."""

from collections.abc import Callable
from pathlib import Path

from vouch.bundle.pixel_settings import PixelSettings
from vouch.cli.nearest import nearest
from vouch.sources.arrays import read_npz
from vouch.sources.digits import load_digits
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.folders import read_image_folder
from vouch.sources.idx import find_files, read_folder
from vouch.sources.mnist import load_mnist
from vouch.sources.tables import read_csv

ACCEPTED = (
    "digits, mnist, or the path of a folder of IDX files, of a folder of images (<label>/*.png, "
    "<split>/<label>/*.png, or any with a labels.csv), of an .npz or of a .csv file"
)


def load(spec: str, size: tuple[int, int] | None = None) -> Source:
    """The labelled images that a `--data` argument names.

    Args:
        spec: `digits`, `mnist` or a path; a folder of that name is `./mnist`.
        size: height and width, for folders of images and .csv files alone; nothing else is resized.

    Raises:
        SourceError: there is no such source, it cannot be read, or `size` is given where it means nothing.
    """
    return _speaking(spec, lambda: _load(spec, size))


def load_as(spec: str, image_shape: tuple[int, ...]) -> Source:
    """The same, with the images of a folder or a .csv file as a model takes them, in size and colour.

    Args:
        image_shape: (H, W) or (H, W, C); empty where it is not known.
    """
    path = Path(spec)
    if not image_shape or spec in ("digits", "mnist"):
        return load(spec)
    if path.is_dir() and not find_files(path):
        channels = image_shape[2] if len(image_shape) == 3 else None
        exactly = PixelSettings(height=image_shape[0], width=image_shape[1], channels=channels)
        return _speaking(spec, lambda: read_image_folder(spec, path, exactly=exactly))
    return load(spec, (image_shape[0], image_shape[1]) if path.suffix.lower() == ".csv" else None)


def _speaking(spec: str, read: Callable[[], Source]) -> Source:
    try:
        return read()
    except OSError as err:
        raise SourceError(f"{err.filename or spec} cannot be read: {err.strerror or err}") from err
    except MemoryError as err:
        raise SourceError(f"{spec} does not fit into memory; give a part of it") from err


def _load(spec: str, size: tuple[int, int] | None) -> Source:
    path = Path(spec)
    if spec in ("digits", "mnist"):
        _check_no_size(spec, size)
        return load_digits(spec) if spec == "digits" else load_mnist(spec)
    if not spec or not path.exists():
        raise SourceError(f"there is no {spec or 'path given'}; {_meant(spec, path)}--data takes {ACCEPTED}")
    if path.is_dir():
        if not find_files(path):
            return read_image_folder(spec, path, size)
        _check_no_size(spec, size)
        return read_folder(spec, path)
    if path.suffix.lower() == ".csv" and path.is_file():
        return read_csv(spec, path, size)
    if path.suffix.lower() == ".npz" and path.is_file():
        _check_no_size(spec, size)
        return read_npz(spec, path)
    raise SourceError(f"{spec} is a file of another kind; --data takes {ACCEPTED}")


def _meant(spec: str, path: Path) -> str:
    beside = {one.name: str(one) for one in path.parent.iterdir()} if path.parent.is_dir() else {}
    meant = nearest(spec, ("digits", "mnist")) or beside.get(nearest(path.name, beside), "")
    return f"did you mean {meant}? " if meant else ""


def _check_no_size(spec: str, size: tuple[int, int] | None) -> None:
    if size:
        raise SourceError(
            f"--size {size[0]}x{size[1]} does not apply to {spec}: it resizes folders of images, and says the shape of "
            "the lines of a .csv file; leave it out"
        )
