"""Folders of image files: a folder per class, or a `labels.csv` with each file's labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.common_settings import common_settings
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.finding_lists import FoundLists, find_lists
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.groups import GroupedFiles, check_several, grouped_by_names
from vouch.sources.headers import Headers
from vouch.sources.images import rows_of
from vouch.sources.label_lists import read_lists
from vouch.sources.labels import make_multi_label_source, make_source, one_label_alone, ordered_classes
from vouch.sources.layout import list_files
from vouch.sources.left_out import ALL_READ, LeftOut, check_strict
from vouch.sources.names import Names
from vouch.sources.split_names import SplitName
from vouch.sources.survey import Decide, Survey
from vouch.sources.wanted import NOTHING, Wanted
from vouch.sources.whole_folder import ReadImages, read_images


@dataclass(frozen=True)
class ListedFiles:
    """The image files of a folder with their labels; no image is read."""

    folder: Path
    files: dict[SplitName, list[tuple[Path, tuple[str, ...]]]]
    """In the order of names, or of the list."""
    task: Task
    """Whether each image has exactly one label, or any number of labels."""
    warnings: tuple[str, ...] = ()
    """Warnings about a list, a sentence each."""
    notes: tuple[str, ...] = ()
    """How labels and splits were interpreted, a sentence each."""
    left_out: LeftOut = ALL_READ
    """Files that were left out."""
    groups: GroupedFiles | None = None
    """The groups of the files, if the user wants groups."""

    @property
    def paths(self) -> list[Path]:
        """The paths of all splits, one split after the other."""
        return [path for part in self.files.values() for path, _ in part]


def list_image_folder(folder: Path, task: Task | None = None, rules: FolderRules = AS_IT_IS) -> ListedFiles:
    """The image files in a folder, with their labels.

    Args:
        task: the wanted kind of labels of a list; None: as in the list. In class folders each image has one label.

    Raises:
        SourceError: unknown layout, errors of `read_lists`, labels that do not fit `task`, or a file is left out
            although that is not allowed.
        OSError: a folder cannot be read.
    """
    listed = _list(folder, task, rules)
    if rules.strict:
        check_strict(str(folder), listed.left_out)
    return listed


def _list(folder: Path, task: Task | None, rules: FolderRules) -> ListedFiles:
    if not rules.label_from and (found := find_lists(folder, rules.groups)).lists:
        columns = dict.fromkeys(name for one in found.lists.values() for name in one.columns.names)
        return _grouped(_of_lists(folder, found, task), rules.groups, list(columns))
    if task == "multi_label":
        raise one_label_alone(str(folder))
    listing = list_files(folder, rules)
    files: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = {
        split: [(path, (label,)) for path, label in part] for split, part in listing.files.items()
    }
    listed = ListedFiles(folder, files, "single_label", notes=listing.notes, left_out=listing.left_out)
    return _grouped(listed, rules.groups)


def _grouped(listed: ListedFiles, groups: str, columns: Sequence[str] = ()) -> ListedFiles:
    """Adds the wanted groups, unless a list has them; arguments as for `grouped_by_names`."""
    if groups and listed.groups is None:
        listed = replace(listed, groups=grouped_by_names(groups, listed.folder, listed.paths, columns))
    if listed.groups:
        check_several(str(listed.folder), listed.groups)
    return listed


def read_image_folder(
    name: str,
    listed: ListedFiles,
    wanted: Wanted = NOTHING,
    exactly: PixelSettings | None = None,
    decide: Decide | None = None,
) -> Source:
    """The source with these files, decoded.

    Args:
        wanted: how the images are decoded, as far as the user has set it.
        exactly: how the images are decoded, instead of a choice that suits them all.
        decide: chooses how the images are decoded from the survey, instead of `wanted`.

    Raises:
        SourceError: as `read_images` and `decide`; or files differ in size and no size is set.
    """
    files = listed.files
    classes = ordered_classes(name, (label for part in files.values() for _, labels in part for label in labels))
    sizes = {split: len(part) for split, part in files.items()}

    def settings_for(headers: Headers) -> PixelSettings:
        if exactly:
            return exactly
        decided = decide(Survey(name, classes, listed.task, sizes, headers.shape, headers)) if decide else wanted
        return common_settings(listed.folder, headers, decided)

    read = read_images(listed.folder, listed.paths, settings_for, wanted.memory)
    files = {split: [one for one in part if one[0] not in read.broken] for split, part in files.items()}
    source = _source_of(name, replace(listed, files=files), read)
    broken = [f"{path.relative_to(listed.folder)}: {reason}" for path, reason in sorted(read.broken.items())]
    left_out = listed.left_out + LeftOut.of({"broken": broken})
    return replace(
        source,
        warnings=listed.warnings + left_out.warnings(),
        notes=listed.notes + left_out.notes(),
        headers=read.headers,
        left_out=left_out,
    )


def _source_of(name: str, listed: ListedFiles, read: ReadImages) -> Source:
    """The labels of the files that were read, in their order."""
    files, folder = listed.files, listed.folder
    ends = np.cumsum([0, *map(len, files.values())]).tolist()
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
    if not listed.groups:
        return replace(source, splits=splits)
    groups, numbers = listed.groups.numbered([[path for path, _ in part] for part in files.values()])
    number_of = dict(zip(files, numbers, strict=True))
    grouped = {split: replace(part, groups=number_of[split]) for split, part in splits.items()}
    return replace(source, splits=grouped, groups=groups)


def _of_lists(folder: Path, found: FoundLists, task: Task | None) -> ListedFiles:
    listed = read_lists(folder, found)
    notes = tuple(listed.notes)
    warnings, groups = tuple(listed.warnings), listed.groups
    if listed.not_one and task == "single_label":
        raise SourceError(f"expected exactly one label per file, but {listed.not_one}")
    if task == "multi_label" or listed.not_one:
        reason = f"because {listed.not_one}" if listed.not_one else "as requested"
        note = f"labels: any number per image, {reason}"
        return ListedFiles(folder, listed.splits, "multi_label", warnings, (note, *notes), listed.left_out, groups)
    paths = [one.path for one in found.lists.values()]
    where = str(paths[0]) if len(paths) == 1 else f"each {paths[0].name}"
    note = f"labels: one per image, as in {where}"
    return ListedFiles(folder, listed.splits, "single_label", warnings, (note, *notes), listed.left_out, groups)
