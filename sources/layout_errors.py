"""What is said where a folder of images is laid out in no way that is known, with what may be meant. Reads nothing."""

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
"""Folders that are no classes where all are called so."""
ARRAYS = {".npz", ".csv", ".tsv", ".zip"}
"""Files that are data by themselves."""


def check_no_contents(folder: Path, labels: Sequence[str], rules: FolderRules) -> None:
    """Whether the folders say what is on the images.

    Raises:
        SourceError: all are called by what kind of files they hold: images beside masks.
    """
    if len(labels) > 1 and not rules.classes and all(label.lower() in CONTENTS for label in labels):
        raise SourceError(
            f"{folder} holds {some(labels)}, which say what files are and not what is on them; expected {EXPECTED}, "
            "a labels.csv, or --label-from in the folder that is meant; --classes if they are classes"
        )


def no_class(folder: Path, images: Sequence[Path], others: Iterable[str], rules: FolderRules) -> SourceError:
    """A folder has no folder of a class.

    Args:
        images: what lies there instead.
        others: what else lies there, as paths from it on.
    """
    if rules.label_from and images:
        return no_label(rules.label_from, folder, images, len(images))
    names = [path.name for path in images] or list(others)
    tables = [folder / name for name in names if Path(name).suffix.lower() in ARRAYS]
    if tables and not images:
        meant = min(tables, key=lambda path: is_test(split_in(path.stem)))
        return SourceError(
            f"{folder} holds {some([path.name for path in tables])} and no image; pass the path of the file that is "
            f"meant, such as {meant}"
        )
    hint = suggestion(names) if images else ""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    there = f"{', '.join(names[:3])}{more} and no folder of a class's images" if names else "no image"
    return SourceError(
        f"{folder} holds {there}; expected {EXPECTED}, a labels.csv, or --label-from where names say labels"
        + (f": {hint}" if hint else "")
    )


def no_label(pattern: str, folder: Path, without: Sequence[Path], total: int) -> SourceError:
    """`--label-from` finds nothing in too many names."""
    return SourceError(
        f"--label-from {pattern} finds no label in {len(without):,} of the {total:,} images in {folder} "
        f"({some([path.name for path in without])}); expected one with a group that is the label, looked for in the "
        "file's name, or in its path from there on if it has a slash"
    )
