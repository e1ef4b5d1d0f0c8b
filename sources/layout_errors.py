"""Errors for a folder of images with an unknown layout, with what may be meant. Reads no file."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.folder_rules import FolderRules
from vouch.sources.label_pattern import suggestion
from vouch.sources.left_out import some
from vouch.sources.split_names import is_test, split_in

EXPECTED = "a folder for each class (LABEL/*.png), or these in a folder for each split (train/LABEL/*.png)"
CONTENTS = {
    *("images", "image", "imgs", "img", "jpegimages", "jpegs", "photos", "masks", "mask", "annotations", "annotation"),
    *("labels", "label", "trimaps", "segmentations", "segmentation", "groundtruth", "ground_truth", "gt", "bboxes"),
}
"""Names of folders that are not classes, if all folders have such names."""
ARRAYS = {".npz", ".csv", ".tsv", ".zip"}
"""Suffixes of files that are a whole data set."""


def check_no_contents(folder: Path, labels: Sequence[str], rules: FolderRules) -> None:
    """Checks that the folders can be classes.

    Raises:
        SourceError: all are named after a kind of file, such as images and masks.
    """
    if len(labels) > 1 and not rules.classes and all(label.lower() in CONTENTS for label in labels):
        raise SourceError(
            f"{folder} contains {some(labels)}, which are kinds of files, not classes; expected {EXPECTED}, a "
            "labels.csv, or --label-from for the right folder; pass --classes if they are classes"
        )


def no_class(folder: Path, images: Sequence[Path], others: Iterable[str], rules: FolderRules) -> SourceError:
    """The error of a folder without a folder for a class.

    Args:
        images: the images in it.
        others: other files in it, as paths below it.
    """
    if rules.label_from and images:
        return no_label(rules.label_from, folder, images, len(images))
    names = [path.name for path in images] or list(others)
    tables = [folder / name for name in names if Path(name).suffix.lower() in ARRAYS]
    if tables and not images:
        meant = min(tables, key=lambda path: is_test(split_in(path.stem)))
        return SourceError(
            f"{folder} contains {some([path.name for path in tables])} and no image; pass the path of the file, "
            f"such as {meant}"
        )
    hint = suggestion(names) if images else ""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    there = f"{', '.join(names[:3])}{more}, but no folder for a class" if names else "no image"
    return SourceError(
        f"{folder} contains {there}; expected {EXPECTED}, a labels.csv, or --label-from if names contain labels"
        + (f": {hint}" if hint else "")
    )


def no_label(pattern: str, folder: Path, without: Sequence[Path], total: int) -> SourceError:
    """The error if `--label-from` finds no label in too many names."""
    return SourceError(
        f"--label-from {pattern} finds no label in {len(without):,} of the {total:,} images in {folder} "
        f"({some([path.name for path in without])}); expected a group that is the label. It is searched in the "
        "file's name or, if the expression has a slash, in the path below the folder"
    )
