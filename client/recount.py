"""Counting a server's right answers on labelled images of the caller's own.

Files are sent as they are, so that what is counted is what serves: the server's own decoder, under the rules that the
model was trained with. Arrays go as pixels. What is in memory at a time is bounded, however many files there are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.multi_label import Task
from vouch.client.client import Client
from vouch.client.errors import CallFailed
from vouch.client.images import UnusableFile, read_file
from vouch.client.messages import Evaluation, Model, ModelVersion, Predictions
from vouch.client.streaming import Asked, FitImages, Streams
from vouch.sources.decoding import broken_files
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source, check_chosen
from vouch.sources.load import list_files, load_as
from vouch.sources.split_names import SplitName
from vouch.sources.summary import in_words

MESSAGE_BYTES = 4 << 20
"""A message has no more of pixels, if it has more than one image: what gRPC servers take unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images to count on, with the labels of each by name."""

    name: str
    classes: tuple[str, ...]
    task: Task
    images: np.ndarray | Sequence[Path]
    """Pixels, uint8 of shape (N, H, W) or (N, H, W, C); or the paths of N files."""
    truth: Sequence[frozenset[str]]
    notes: tuple[str, ...] = ()
    """How labels were taken and what was left out, a sentence each."""

    def sentence(self) -> str:
        """How many images of which classes there are."""
        counts = Counter(label for labels in self.truth for label in labels)
        unlabelled = sum(not labels for labels in self.truth)
        classes = [(name, counts[name]) for name in self.classes]
        return f"read {len(self.truth):,} images: {in_words(self.task, classes, unlabelled)}"

    def with_classes(self, wanted: tuple[str, ...]) -> "Labelled":
        """The files of these classes only; of several labels these only, and files that had none of any.

        Raises:
            SourceError: a class is not there, or is named twice.
        """
        check_chosen(self.name, self.classes, wanted)
        chosen = frozenset(wanted)
        rows = [row for row, labels in enumerate(self.truth) if labels & chosen or not labels]
        images = self.images[rows] if isinstance(self.images, np.ndarray) else [self.images[row] for row in rows]
        truth = [self.truth[row] & chosen for row in rows]
        return replace(self, classes=wanted, images=images, truth=truth)


@dataclass(frozen=True)
class Recounted(Evaluation):
    """A claim, and the count on images of the caller's own."""

    by_class: Mapping[str, Accuracy] = field(default_factory=dict)
    """Of the images that have a label, how many were answered right."""
    fit_images: FitImages = field(default_factory=FitImages)


def find_labelled(spec: str, model: Model) -> Labelled:
    """The images that `--data` names: their validation split, or all of them where they are not split.

    Raises:
        SourceError: there are none, or their labels are no measure of a model of this task.
    """
    live = model.live
    task = live.task if live is not None else None
    listed = list_files(spec, task)
    if listed is None:
        return labelled_arrays(load_as(spec, live.pixels if live is not None else None, task))
    split = split_to_count(spec, listed.files)
    paths, labels = zip(*listed.files[split], strict=True)
    classes = {label: None for part in listed.files.values() for _, names in part for label in names}
    truth = [frozenset(names) for names in labels]
    return Labelled(spec, tuple(classes), listed.task, paths, truth, listed.notes + listed.warnings)


def labelled_arrays(source: Source) -> Labelled:
    """The same of a source that is in memory."""
    examples = examples_to_count(source)
    truth = _names(source.classes, examples.labels)
    notes = source.notes + source.warnings
    return Labelled(source.name, source.classes, examples.task, examples.images, truth, notes)


def recount(
    client: Client, model: str, labelled: Labelled, batch_size: int, progress: Callable[[int], None]
) -> Recounted:
    """Sends the images and holds the labels against the answers.

    Args:
        batch_size: images of an array in a message, at most; files go one by one.
        progress: told how many are done.

    Returns:
        the model's claim, and the count on these images.

    Raises:
        CallFailed: the server cannot be called, or refuses images of an array.
        SourceError: a class that the model does not know, one label an image where the model answers several, or the
            other way round; or too many files that cannot be read.
    """
    about = client.model(model)
    if about.live is None:
        raise SourceError(f"model {about.name} is not served, it is {about.state}; vouch status tells why")
    _check_labels(labelled, about.live)
    streams, count = Streams(client, about.live), _Count(labelled)
    for asked, answers in streams.answers(_asked(labelled.images, batch_size, count.broken)):
        count.add(asked.start, answers)
        progress(count.done)
    if count.broken:
        raise broken_files(Path(labelled.name), count.broken, len(labelled.truth))
    served = Accuracy(correct=count.correct, total=count.answered)
    return Recounted(about.name, about.version, about.live.claim, served, count.by_class(), streams.fit_images)


def examples_to_count(source: Source) -> Examples:
    """
    Raises:
        SourceError: the source has neither a validation split nor one for all.
    """
    return source.splits[split_to_count(source.name, source.splits)]


def split_to_count(name: str, splits: Mapping[SplitName, Sized]) -> SplitName:
    """Which of the splits is counted on. Raises as `examples_to_count`."""
    wanted: tuple[SplitName, ...] = ("validation", "all")
    for split in wanted:
        if split in splits and len(splits[split]):
            return split
    raise SourceError(f"{name} has no validation split to count on; it has {', '.join(splits)}")


def _check_labels(labelled: Labelled, about: ModelVersion) -> None:
    if unknown := sorted(set(labelled.classes) - set(about.labels)):
        raise SourceError(
            f"model {about.name} does not know class {', '.join(unknown[:5])} of {labelled.name}; "
            f"choose among {', '.join(about.labels[:20])} with --classes"
        )
    if labelled.task != about.task:
        several = labelled.task == "multi_label"
        has, answers_with = ("any number of labels", "one") if several else ("one label", "any number")
        raise SourceError(f"{labelled.name} has {has} an image, model {about.name} answers with {answers_with}")


def _asked(images: np.ndarray | Sequence[Path], batch_size: int, broken: dict[Path, str]) -> Iterator[Asked]:
    """What is sent; files that cannot be read go into `broken`."""
    if isinstance(images, np.ndarray):
        step = min(batch_size, max(1, MESSAGE_BYTES // images[0].nbytes))
        for start in range(0, len(images), step):
            yield Asked(start, images[start : start + step])
        return
    for row, path in enumerate(images):
        try:
            if not path.is_file():  # a pipe would never end
                raise UnusableFile("is no plain file, or a link to nothing")
            yield Asked(row, [read_file(path)])
        except (OSError, UnusableFile) as err:
            broken[path] = str(getattr(err, "strerror", None) or err)


class _Count:
    """Right answers so far."""

    def __init__(self, labelled: Labelled) -> None:
        self._labelled = labelled
        self.right, self.total = Counter[str](), Counter[str]()
        """Label -> images that have it, and how many of them were answered right."""
        self.correct = self.answered = 0
        self.broken: dict[Path, str] = {}
        """Files that could not be read, or that the server refused, with the reason."""

    @property
    def done(self) -> int:
        """Images."""
        return self.answered + len(self.broken)

    def add(self, start: int, answers: Predictions | CallFailed) -> None:
        """The answers to images from this one on. Raises CallFailed: those of an array were refused."""
        labelled = self._labelled
        if isinstance(answers, CallFailed):
            if isinstance(labelled.images, np.ndarray):
                raise answers
            self.broken[labelled.images[start]] = answers.details.removeprefix("file 0: ")
            return
        for truth, answer in zip(labelled.truth[start : start + len(answers)], answers, strict=True):
            answered = answer.label_set if labelled.task == "multi_label" else (answer.label,)
            right = truth == frozenset(answered or ())
            self.answered += 1
            self.correct += right
            self.total.update(truth)
            self.right.update(truth if right else ())

    def by_class(self) -> dict[str, Accuracy]:
        """Of the images that have a label, how many were answered right."""
        classes = self._labelled.classes
        return {name: Accuracy(correct=self.right[name], total=self.total[name]) for name in classes}


def _names(classes: tuple[str, ...], labels: np.ndarray) -> list[frozenset[str]]:
    """The labels of each image by their names."""
    if labels.ndim == 1:
        return [frozenset((classes[label],)) for label in labels.tolist()]
    return [frozenset(classes[k] for k in np.flatnonzero(row)) for row in labels]
