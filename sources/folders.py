"""Folders of PNG and JPEG files: a folder a class, or a `labels.csv` that gives each file its labels."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.decoding import read_images
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.finding_lists import FoundLists, find_lists
from vouch.sources.images import rows_of
from vouch.sources.label_lists import read_lists
from vouch.sources.labels import make_multi_label_source, make_source, one_label_alone, ordered_classes
from vouch.sources.layout import SUFFIXES, list_files
from vouch.sources.left_out import ALL_READ, LeftOut
from vouch.sources.names import Names
from vouch.sources.split_names import SplitName
from vouch.sources.survey import Check, Survey, no_check
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
    notes: tuple[str, ...] = ()
    """How labels were taken, a sentence each."""
    left_out: LeftOut = ALL_READ
    """What is among them and is not listed."""


def list_image_folder(folder: Path, task: Task | None = None) -> ListedFiles:
    """The image files in a folder, and what they are.

    Args:
        task: how the labels of a list are taken; None: as they are. Of class folders each image has one.

    Raises:
        SourceError: no such layout, a class without an image, what `read_lists` raises, or labels that cannot be taken
            so.
        OSError: a folder cannot be read.
    """
    found = find_lists(folder)
    if found.lists:
        return _of_lists(found, task)
    if task == "multi_label":
        raise one_label_alone(str(folder))
    listing = list_files(folder)
    files: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = {
        split: [(path, (label,)) for path, label in part] for split, part in listing.files.items()
    }
    return ListedFiles(files, "single_label", _left_out(folder, listing.left_out))


def read_image_folder(
    name: str,
    folder: Path,
    wanted: Wanted = NOTHING,
    exactly: PixelSettings | None = None,
    task: Task | None = None,
    check: Check = no_check,
) -> Source:
    """The source in a folder of images, with or without splits.

    Args:
        wanted: what the images become, as far as it is asked for.
        exactly: what the images become, instead of what suits them all.
        task: as `list_image_folder`.
        check: told what is known before any image is decoded; may raise.

    Raises:
        SourceError: as `list_image_folder`, `read_images` and `check`.
        OSError: a folder cannot be read.
    """
    listed = list_image_folder(folder, task)
    files = listed.files
    classes = ordered_classes(name, (label for part in files.values() for _, labels in part for label in labels))
    sizes = {split: len(part) for split, part in files.items()}

    def check_all(settings: PixelSettings) -> None:
        check(Survey(name, classes, listed.task, sizes, settings.shape))

    paths = [path for part in files.values() for path, _ in part]
    read = read_images(folder, paths, wanted, exactly, check=check_all)
    ends = np.cumsum([0, *sizes.values()]).tolist()
    rows = {split: slice(start, end) for split, (start, end) in zip(files, pairwise(ends), strict=True)}
    names = {
        split: Names(folder=folder, files=[path.relative_to(folder).as_posix() for path, _ in part])
        for split, part in files.items()
    }
    if listed.task == "multi_label":
        several = {
            split: (rows_of(read.images, rows[split]), [labels for _, labels in part]) for split, part in files.items()
        }
        source = make_multi_label_source(name, several, names)
    else:
        one = {
            split: (rows_of(read.images, rows[split]), np.array([one for _, (one,) in part]))
            for split, part in files.items()
        }
        source = make_source(name, one, names)
    splits = {split: replace(part, origins=read.origins[rows[split]]) for split, part in source.splits.items()}
    return replace(source, splits=splits, warnings=listed.warnings, notes=listed.notes, file_sizes=read.sizes)


def _of_lists(found: FoundLists, task: Task | None) -> ListedFiles:
    listed = read_lists(found)
    notes = tuple(listed.notes)
    warnings = tuple(listed.warnings)
    if listed.not_one and task == "single_label":
        raise SourceError(f"expected exactly one label for every file, but {listed.not_one}")
    if task == "multi_label" or listed.not_one:
        reason = f"because {listed.not_one}" if listed.not_one else "as was asked for"
        note = f"labels: an image may have any number of them, {reason}"
        return ListedFiles(listed.splits, "multi_label", warnings, (note, *notes))
    paths = [one.path for one in found.lists.values()]
    where = str(paths[0]) if len(paths) == 1 else f"each {paths[0].name}"
    note = f"labels: one an image, as {where} has it for every file"
    return ListedFiles(listed.splits, "single_label", warnings, (note, *notes))


def _left_out(folder: Path, paths: list[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    some = ", ".join(str(path.relative_to(folder)) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    things = "thing that is no image file" if len(paths) == 1 else "things that are no image files"
    return (f"left out {len(paths):,} {things} among the classes of {folder} ({some}); expected {', '.join(SUFFIXES)}",)
