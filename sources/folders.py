"""Folders of PNG and JPEG files, one folder a class: `<split>/<label>/*.png` or `<label>/*.png`.

Decodes with bundle.pixels alone, as the server does; reads nothing but the files it lists.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from bundle.errors import InvalidImage
from bundle.pixels import PixelSettings, decode, read_size
from cli.console import progress_bar
from sources.errors import SourceError
from sources.examples import Source, SplitName
from sources.labels import make_source, ordered_classes, shape_text

SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS: dict[str, SplitName] = {
    "fit": "fit",
    "train": "fit",
    "tune": "tune",
    "validation": "validation",
    "val": "validation",
    "test": "validation",
}
LAYOUTS = "<label>/*.png|jpg|jpeg or <split>/<label>/*.png|jpg|jpeg"

Files = dict[SplitName, list[tuple[Path, str]]]
"""The image files of each split, with their labels, in the order of their names."""
Header = tuple[int, int, int | None]
"""Height, width and channels of an image file."""
Result = TypeVar("Result")


def read_image_folder(name: str, folder: Path, size: tuple[int, int] | None = None) -> Source:
    """The source in a folder of images: grey where all images are, else red, green and blue.

    Args:
        size: height and width to resize to; None: the images have one size.

    Raises:
        SourceError: no such layout, a class without an image, sizes that differ where none is given, or files that
            cannot be decoded: all of them are named in one message.
    """
    files = list_files(folder)
    ordered_classes(name, (label for part in files.values() for _, label in part))
    paths = [path for part in files.values() for path, _ in part]
    broken: dict[Path, str] = {}
    headers = dict(_each("looking at images", paths, read_size, broken))
    if not headers:
        raise _broken(folder, broken, len(paths))
    settings = _common_settings(folder, set(headers.values()), size)
    try:
        images = np.empty((len(paths), *settings.shape), dtype=np.uint8)
    except (MemoryError, ValueError) as err:  # ValueError: more bytes than there are addresses
        shape = shape_text(settings.shape)
        raise SourceError(
            f"{len(paths):,} images of {shape} in {folder} do not fit into memory; pass a smaller --size HxW"
        ) from err
    row = {path: i for i, path in enumerate(paths)}
    for path, pixels in _each("decoding images", list(headers), lambda encoded: decode(encoded, settings), broken):
        images[row[path]] = pixels
    if broken:
        raise _broken(folder, broken, len(paths))
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {}
    for split, part in files.items():
        first = row[part[0][0]]
        parts[split] = images[first : first + len(part)], np.array([label for _, label in part])
    return make_source(name, parts)


def list_files(folder: Path) -> Files:
    """The image files in a folder of either layout; hidden files and folders are left out.

    Raises:
        SourceError: neither layout, both at once, or a class folder without an image.
        OSError: a folder cannot be read.
    """
    tops = _folders_in(folder)
    splits = [path for path in tops if path.name.lower() in SPLITS]
    if not splits:
        return {"all": _list_classes(folder, tops)}
    if len(splits) < len(tops):
        others = ", ".join([path.name for path in tops if path not in splits][:3])
        raise SourceError(f"{folder} holds {splits[0].name}, a split, beside {others}; expected {LAYOUTS}, not both")
    names = {path.name.lower() for path in splits}
    meaning = SPLITS | ({"val": "tune", "validation": "tune"} if "test" in names else {})  # as train/val/test is used
    files = {meaning[path.name.lower()]: _list_classes(path, _folders_in(path)) for path in splits}
    if len(files) < len(splits):
        found = ", ".join(path.name for path in splits)
        raise SourceError(f"{folder} has two folders for one split among {found}; expected fit, tune and validation")
    return files


def _list_classes(folder: Path, classes: list[Path]) -> list[tuple[Path, str]]:
    if not classes:
        raise SourceError(f"{folder} holds {_contents(folder)} and no folder of a class's images; expected {LAYOUTS}")
    files: list[tuple[Path, str]] = []
    for path in classes:
        images = [file for file in _visible(path) if file.suffix.lower() in SUFFIXES and not file.is_dir()]
        if not images:
            suffixes = ", ".join(SUFFIXES)
            raise SourceError(
                f"the class {path} has no image: it holds {_contents(path)}; expected files in {suffixes}"
            )
        files += ((file, path.name) for file in images)
    return files


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _contents(folder: Path) -> str:
    names = [path.name for path in _visible(folder)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "") or "nothing"


def _each(
    title: str, paths: list[Path], read: Callable[[bytes], Result], broken: dict[Path, str]
) -> Iterator[tuple[Path, Result]]:
    """What `read` makes of each file; files it refuses go to `broken`, with the reason."""
    with progress_bar(title, len(paths)) as show:
        for done, path in enumerate(paths, start=1):
            try:
                if not path.is_file():  # a pipe would never end
                    raise InvalidImage("it is no plain file, or a link to nothing")
                result = read(path.read_bytes())
            except (InvalidImage, OSError) as err:
                broken[path] = str(err)
            else:
                yield path, result
            show(done)


def _common_settings(folder: Path, headers: set[Header], size: tuple[int, int] | None) -> PixelSettings:
    """What all images become; colour where one of them has it."""
    sizes = {(height, width) for height, width, _ in headers}
    if size is None and len(sizes) > 1:
        found = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:3])
        more = ", ..." if len(sizes) > 3 else ""
        raise SourceError(f"the images in {folder} have {len(sizes):,} sizes ({found}{more}); pass --size HxW for all")
    height, width = size or sizes.pop()
    channels = 3 if any(channels for _, _, channels in headers) else None
    return PixelSettings(height=height, width=width, channels=channels)


def _broken(folder: Path, broken: dict[Path, str], total: int) -> SourceError:
    named = "; ".join(f"{path.relative_to(folder)}: {reason}" for path, reason in sorted(broken.items())[:3])
    more = "; ..." if len(broken) > 3 else ""
    return SourceError(
        f"{len(broken):,} of the {total:,} images in {folder} cannot be read ({named}{more}); repair or remove them"
    )
