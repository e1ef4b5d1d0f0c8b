"""Folders of PNG and JPEG files: a folder a class, or a `labels.csv` that gives each file any number of labels."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.decoding import read_images
from vouch.sources.examples import Source, SplitName
from vouch.sources.label_lists import find_lists, read_lists
from vouch.sources.labels import make_multi_label_source, make_source, ordered_classes
from vouch.sources.layout import SUFFIXES, list_files
from vouch.sources.wanted import NOTHING, Wanted


@dataclass(frozen=True)
class ListedFiles:
    """The image files of a folder with their labels, none of them read."""

    files: dict[SplitName, list[tuple[Path, tuple[str, ...]]]]
    """In the order of their names, or of the list."""
    task: Task
    """Whether each has exactly one label, or any number of them."""
    warnings: tuple[str, ...]
    """What is left out, a sentence each."""


def list_image_folder(folder: Path) -> ListedFiles:
    """The image files in a folder, and what they are.

    Raises:
        SourceError: no such layout, a class without an image, or what `read_lists` raises.
        OSError: a folder cannot be read.
    """
    if lists := find_lists(folder):
        listed = read_lists(lists)
        return ListedFiles(listed.splits, "multi_label", tuple(listed.warnings))
    listing = list_files(folder)
    files: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = {
        split: [(path, (label,)) for path, label in part] for split, part in listing.files.items()
    }
    return ListedFiles(files, "single_label", _left_out(folder, listing.left_out))


def read_image_folder(
    name: str, folder: Path, wanted: Wanted = NOTHING, exactly: PixelSettings | None = None
) -> Source:
    """The source in a folder of images, with or without splits.

    Args:
        wanted: what the images become, as far as it is asked for.
        exactly: what the images become, instead of what suits them all.

    Raises:
        SourceError: as `list_image_folder` and `read_images`.
        OSError: a folder cannot be read.
    """
    listed = list_image_folder(folder)
    of_each = {split: [labels for _, labels in part] for split, part in listed.files.items()}
    ordered_classes(name, (label for part in of_each.values() for labels in part for label in labels))  # before reading
    read = read_images(folder, [path for part in listed.files.values() for path, _ in part], wanted, exactly)
    ends = np.cumsum([0, *map(len, of_each.values())]).tolist()
    rows = {split: slice(start, end) for split, (start, end) in zip(of_each, pairwise(ends), strict=True)}
    if listed.task == "multi_label":
        source = make_multi_label_source(
            name, {split: (read.images[rows[split]], labels) for split, labels in of_each.items()}
        )
    else:
        source = make_source(
            name,
            {
                split: (read.images[rows[split]], np.array([one for (one,) in labels]))
                for split, labels in of_each.items()
            },
        )
    splits = {split: replace(part, origins=read.origins[rows[split]]) for split, part in source.splits.items()}
    return replace(source, splits=splits, warnings=listed.warnings)


def _left_out(folder: Path, paths: list[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    some = ", ".join(str(path.relative_to(folder)) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    things = "thing that is no image file" if len(paths) == 1 else "things that are no image files"
    return (f"left out {len(paths):,} {things} among the classes of {folder} ({some}); expected {', '.join(SUFFIXES)}",)
