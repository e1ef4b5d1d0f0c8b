"""Which image files a folder holds, and what its folders' names mean: classes, or splits with classes inside.

Lists files and reads none.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.split_names import SplitName

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


@dataclass(frozen=True)
class Listing:
    """What a folder with a folder for each class holds."""

    files: dict[SplitName, list[tuple[Path, str]]]
    """The image files of each split, with their labels, in the order of their names."""
    left_out: list[Path]
    """What else stands in the classes' folders, hidden files and folders aside."""


def list_files(folder: Path) -> Listing:
    """The image files in a folder with a folder for each class.

    Raises:
        SourceError: neither layout, both at once, or a class folder without an image.
        OSError: a folder cannot be read.
    """
    splits = split_folders(folder)
    left_out: list[Path] = []
    files = {split: _list_classes(path, left_out) for split, path in (splits or {"all": folder}).items()}
    return Listing(files, left_out)


def split_folders(folder: Path) -> dict[SplitName, Path]:
    """The folders in it that are named after splits; none where no name is a split's.

    Raises:
        SourceError: splits stand beside other folders, or two of them mean the same.
        OSError: the folder cannot be read.
    """
    tops = _folders_in(folder)
    names = [name for name in tops if name.lower() in SPLITS]
    if names and len(names) < len(tops):
        others = ", ".join([name for name in tops if name not in names][:3])
        raise SourceError(f"{folder} holds {names[0]}, a split, beside {others}; expected {LAYOUTS}, not both")
    tested = any(name.lower() == "test" for name in names)
    meaning = SPLITS | ({"val": "tune", "validation": "tune"} if tested else {})  # as train/val/test is used
    splits = {meaning[name.lower()]: folder / name for name in names}
    if len(splits) < len(names):
        raise SourceError(
            f"{folder} has two folders for one split among {', '.join(names)}; expected fit, tune and validation"
        )
    return splits


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image: not hidden, and of one of the endings."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def images_below(folder: Path) -> Iterator[str]:
    """The image files at any depth, as paths from the folder on with `/` between; hidden folders are left out."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = "" if Path(path) == folder else f"{Path(path).relative_to(folder).as_posix()}/"
        yield from (prefix + name for name in sorted(files) if is_image(name))


def _list_classes(folder: Path, left_out: list[Path]) -> list[tuple[Path, str]]:
    classes = _folders_in(folder)
    if not classes:
        raise SourceError(f"{folder} holds {_contents(folder)} and no folder of a class's images; expected {LAYOUTS}")
    files: list[tuple[Path, str]] = []
    for label in classes:
        path = folder / label
        with os.scandir(path) as entries:
            visible = {entry.name: entry.is_dir() for entry in entries if not entry.name.startswith(".")}
        images = sorted(name for name, is_folder in visible.items() if is_image(name) and not is_folder)
        left_out += (path / name for name in sorted(visible.keys() - set(images)))
        if not images:
            suffixes = ", ".join(SUFFIXES)
            raise SourceError(
                f"the class {path} has no image: it holds {_contents(path)}; expected files in {suffixes}"
            )
        files += ((path / name, label) for name in images)
    return files


def _folders_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _contents(folder: Path) -> str:
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208  # names alone
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "") or "nothing"
