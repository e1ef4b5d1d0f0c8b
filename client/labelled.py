"""The caller's own labelled images: paths of files, or pixels, with each image's labels by name.

No image file is read here: client/recount.py reads them one by one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.client.models import Model
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source, check_chosen
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.image_file import ImageFile
from vouch.sources.images import Images, rows_of
from vouch.sources.left_out import ALL_READ, LeftOut
from vouch.sources.load import list_files, load_as
from vouch.sources.split_names import SplitName
from vouch.sources.summary import in_words, read_in_words
from vouch.sources.wanted import Layout

PIXELS = (np.ndarray, ImageFile)
"""Types of images that are not files."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images to evaluate on, with each image's labels by name."""

    name: str
    classes: tuple[str, ...]
    task: Task
    images: Images | Sequence[Path]
    """Pixels, uint8 of shape (N, H, W) or (N, H, W, C); or the paths of N files."""
    truth: Sequence[frozenset[str]]
    left_out: LeftOut = ALL_READ
    notes: tuple[str, ...] = ()
    """How labels and splits were interpreted, a sentence each."""

    def sentence(self) -> str:
        """One line: the number of images of each class."""
        counts = Counter(label for labels in self.truth for label in labels)
        unlabelled = sum(not labels for labels in self.truth)
        classes = [(name, counts[name]) for name in self.classes]
        found = read_in_words(len(self.truth), self.left_out)
        return f"{found}: {in_words(self.task, classes, unlabelled)}"

    def with_classes(self, wanted: tuple[str, ...]) -> "Labelled":
        """Only the images that have one of these classes or no label at all, with only these labels.

        Raises:
            SourceError: a class does not exist, or is given twice.
        """
        check_chosen(self.name, self.classes, wanted)
        chosen = frozenset(wanted)
        rows = [row for row, labels in enumerate(self.truth) if labels & chosen or not labels]
        images = (
            rows_of(self.images, np.array(rows))
            if isinstance(self.images, PIXELS)
            else [self.images[row] for row in rows]
        )
        truth = [self.truth[row] & chosen for row in rows]
        return replace(self, classes=wanted, images=images, truth=truth)


def find_labelled(spec: str, model: Model, rules: FolderRules = AS_IT_IS, layout: Layout | None = None) -> Labelled:
    """The images that `--data` names: their validation split, or all of them if they are not split.

    Args:
        rules, layout: how they are read, as far as the user has set it.

    Raises:
        SourceError: there are none, or their labels do not fit a model of this task.
    """
    live = model.live
    task = live.task if live is not None else None
    listed = list_files(spec, task, rules)
    if listed is None or layout is not None:  # a layout is refused for files
        return labelled_arrays(load_as(spec, live.pixels if live is not None else None, task, layout, rules))
    split = split_to_count(spec, listed.files)
    paths, labels = zip(*listed.files[split], strict=True)
    classes = {label: None for part in listed.files.values() for _, names in part for label in names}
    truth = [frozenset(names) for names in labels]
    notes = listed.notes + listed.warnings + listed.left_out.sentences()
    return Labelled(spec, tuple(classes), listed.task, paths, truth, listed.left_out, notes)


def labelled_arrays(source: Source) -> Labelled:
    """The same, from a source in memory."""
    examples = examples_to_count(source)
    truth = _names(source.classes, examples.labels)
    notes = source.notes + source.warnings
    return Labelled(source.name, source.classes, examples.task, examples.images, truth, source.left_out, notes)


def examples_to_count(source: Source) -> Examples:
    """The images to evaluate on.

    Raises:
        SourceError: the source has splits, but no validation split.
    """
    return source.splits[split_to_count(source.name, source.splits)]


def split_to_count(name: str, splits: Mapping[SplitName, Sized]) -> SplitName:
    """The split to evaluate on. Raises as `examples_to_count`."""
    wanted: tuple[SplitName, ...] = ("validation", "all")
    for split in wanted:
        if split in splits and len(splits[split]):
            return split
    raise SourceError(f"{name} has no validation split to evaluate on; it has {', '.join(splits)}")


def _names(classes: tuple[str, ...], labels: np.ndarray) -> list[frozenset[str]]:
    """The names of each image's labels."""
    if labels.ndim == 1:
        return [frozenset((classes[label],)) for label in labels.tolist()]
    return [frozenset(classes[k] for k in np.flatnonzero(row)) for row in labels]
