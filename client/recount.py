"""Counting a server's right answers on labelled images of the caller's own.

PNG and JPEG files are sent as they are, so that what is counted is what serves: the server's own decoder, under the
rules that the model was trained with. Arrays go as pixels.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.multi_label import Task
from vouch.client.client import Client
from vouch.client.errors import CallFailed
from vouch.client.images import Content, UnusableFile, read_file
from vouch.client.messages import Evaluation, Model, ModelVersion, Prediction
from vouch.sources.decoding import broken_files
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source, check_chosen
from vouch.sources.load import list_files, load_as
from vouch.sources.split_names import SplitName
from vouch.sources.summary import in_words

MESSAGE_BYTES = 4 << 20
"""A call has no more of images, if it has more than one: what gRPC servers take unless they are told otherwise."""


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
    return Labelled(source.name, source.classes, examples.task, examples.images[:], truth, notes)


def recount(
    client: Client, model: str, labelled: Labelled, batch_size: int, progress: Callable[[int], None]
) -> Evaluation:
    """Sends the images through Predict and holds the labels against the answers.

    Args:
        batch_size: images a call, at most.
        progress: told how many are done.

    Returns:
        the model's claim, and the count on these images.

    Raises:
        CallFailed: a call failed.
        SourceError: a class that the model does not know, one label an image where the model answers several, or the
            other way round; or files that cannot be read, all of them in one message.
    """
    about = client.model(model)
    if about.live is not None:  # else the first call says why
        _check_labels(labelled, about.live)
    correct, done, broken = 0, 0, dict[Path, str]()
    for rows, images in _batches(labelled.images, batch_size, broken):
        for row, answer in _answers(client, about, labelled, rows, images, broken):
            answered = answer.label_set if labelled.task == "multi_label" else (answer.label,)
            correct += labelled.truth[row] == frozenset(answered or ())
        done += len(rows)
        progress(done)
    if broken:
        raise broken_files(Path(labelled.name), broken, len(labelled.truth))
    assert about.live is not None  # it has just answered
    return Evaluation(about.name, about.version, about.live.claim, Accuracy(correct=correct, total=len(labelled.truth)))


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


def _batches(
    images: np.ndarray | Sequence[Path], batch_size: int, broken: dict[Path, str]
) -> Iterator[tuple[list[int], Content]]:
    """Positions and what is sent of them; files that cannot be read go into `broken`."""
    if isinstance(images, np.ndarray):
        step = min(batch_size, max(1, MESSAGE_BYTES // images[0].nbytes))
        for start in range(0, len(images), step):
            part = images[start : start + step]
            yield list(range(start, start + len(part))), part
        return
    rows, files, size = list[int](), list[bytes](), 0
    for row, path in enumerate(images):
        try:
            if not path.is_file():  # a pipe would never end
                raise UnusableFile("is no plain file, or a link to nothing")
            file = read_file(path)
        except (OSError, UnusableFile) as err:
            broken[path] = str(getattr(err, "strerror", None) or err)
            continue
        if files and (len(files) == batch_size or size + len(file) > MESSAGE_BYTES):
            yield rows, files
            rows, files, size = [], [], 0
        rows.append(row)
        files.append(file)
        size += len(file)
    if files:
        yield rows, files


def _answers(
    client: Client, about: Model, labelled: Labelled, rows: list[int], images: Content, broken: dict[Path, str]
) -> Iterator[tuple[int, Prediction]]:
    """Each position with its answer. Where a call is refused, its files are sent one by one: these are in `broken`."""
    try:
        answers = client.predict(images, about.name, about.version)
    except CallFailed as err:
        if not err.is_of_the_request or isinstance(labelled.images, np.ndarray):
            raise
        if len(rows) == 1:
            broken[labelled.images[rows[0]]] = err.details.removeprefix("file 0: ")
            return
        for row, file in zip(rows, images, strict=True):
            yield from _answers(client, about, labelled, [row], [file], broken)
    else:
        yield from zip(rows, answers, strict=True)


def _names(classes: tuple[str, ...], labels: np.ndarray) -> list[frozenset[str]]:
    """The labels of each image by their names."""
    if labels.ndim == 1:
        return [frozenset((classes[label],)) for label in labels.tolist()]
    return [frozenset(classes[k] for k in np.flatnonzero(row)) for row in labels]
