"""Folders of PNG and JPEG files: a folder a class, or a `labels.csv` that gives each file any number of labels."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.decoding import read_images
from vouch.sources.examples import Source, SplitName
from vouch.sources.label_lists import find_lists, read_lists
from vouch.sources.labels import make_multi_label_source, make_source, ordered_classes
from vouch.sources.layout import SUFFIXES, list_files


def read_image_folder(
    name: str, folder: Path, size: tuple[int, int] | None = None, exactly: PixelSettings | None = None
) -> Source:
    """The source in a folder of images, with or without splits.

    Args:
        size: height and width to resize to; None: the images have one size.
        exactly: what the images become, instead of what suits them all.

    Raises:
        SourceError: no such layout, a class without an image, or what `read_lists` and `read_images` raise.
        OSError: a folder cannot be read.
    """
    if lists := find_lists(folder):
        listed = read_lists(lists)
        ordered_classes(name, (label for part in listed.splits.values() for _, labels in part for label in labels))
        images = _images(
            folder, {split: [path for path, _ in part] for split, part in listed.splits.items()}, size, exactly
        )
        parts = {split: (images[split], [labels for _, labels in part]) for split, part in listed.splits.items()}
        return make_multi_label_source(name, parts, tuple(listed.warnings))
    listing = list_files(folder)
    files = listing.files
    ordered_classes(name, (label for part in files.values() for _, label in part))  # before the images are read
    images = _images(folder, {split: [path for path, _ in part] for split, part in files.items()}, size, exactly)
    source = make_source(
        name, {split: (images[split], np.array([label for _, label in part])) for split, part in files.items()}
    )
    return replace(source, warnings=_left_out(folder, listing.left_out))


def _left_out(folder: Path, paths: list[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    some = ", ".join(str(path.relative_to(folder)) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    things = "thing that is no image file" if len(paths) == 1 else "things that are no image files"
    return (f"left out {len(paths):,} {things} among the classes of {folder} ({some}); expected {', '.join(SUFFIXES)}",)


def _images(
    folder: Path,
    paths: dict[SplitName, list[Path]],
    size: tuple[int, int] | None,
    exactly: PixelSettings | None,
) -> dict[SplitName, np.ndarray]:
    """The images of each split: views of one array, so that all have one shape."""
    images = read_images(folder, [path for part in paths.values() for path in part], size, exactly)
    ends = np.cumsum([0, *map(len, paths.values())]).tolist()
    return {split: images[start:end] for split, (start, end) in zip(paths, pairwise(ends), strict=True)}
