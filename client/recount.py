"""Counts a server's right answers on the caller's own labelled images.

Files are sent unchanged, so that the count includes the server's decoder, under the rules that the model was trained
with. Arrays are sent as pixels. Memory is bounded, whatever the number of files.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.balanced import Balanced, balanced
from vouch.bundle.multi_label import Task
from vouch.cli.nearest import did_you_mean
from vouch.client.client import Client
from vouch.client.errors import CallFailed
from vouch.client.images import UnusableFile, read_file
from vouch.client.labelled import PIXELS, Labelled
from vouch.client.messages import Evaluation, Predictions
from vouch.client.models import ModelVersion
from vouch.client.streaming import Asked, FitImages, Streams
from vouch.sources.errors import SourceError
from vouch.sources.images import Images, batches
from vouch.sources.left_out import LeftOut, are_few
from vouch.sources.whole_folder import broken_files

MESSAGE_BYTES = 4 << 20
"""Limit for the pixels of a message with more than one image: gRPC's default limit for messages."""


@dataclass(frozen=True)
class Recounted(Evaluation):
    """A claim, and the count on the caller's own images."""

    by_class: Mapping[str, Accuracy]
    """Label -> the accuracy on the images that have it."""
    left_out: LeftOut
    """Files that were not counted: not listed, or refused."""
    refused: LeftOut
    """Files that were listed and could not be read, here or by the server."""
    fit_images: FitImages
    task: Task

    @property
    def balanced(self) -> Balanced | None:
        """Balanced accuracy over the images' classes; None for several labels per image, or if none was counted."""
        if self.task == "multi_label" or not self.served.total:
            return None
        counts = [one for one in self.by_class.values() if one.total]
        return balanced(np.array([one.correct for one in counts]), np.array([one.total for one in counts]))


def recount(
    client: Client, model: str, labelled: Labelled, batch_size: int, progress: Callable[[int], None]
) -> Recounted:
    """Sends the images and compares the answers with the labels.

    Args:
        batch_size: the most images of an array in a message; files are sent one by one.
        progress: called with the number of images done.

    Returns:
        the model's claim, and the count on these images.

    Raises:
        CallFailed: the server cannot be reached, or refuses images of an array.
        SourceError: the model does not know a class; the images have one label each and the model answers with any
            number, or the reverse; or too many files cannot be read.
    """
    about = client.model(model)
    if about.live is None:
        raise SourceError(f"model {about.name} is not served; its state is {about.state}; vouch status shows why")
    _check_labels(labelled, about.live)
    streams, count = Streams(client, about.live), _Count(labelled)
    for asked, answers in streams.answers(_asked(labelled.images, batch_size, count.broken)):
        count.add(asked.start, answers)
        progress(count.done)
    served = Accuracy(correct=count.correct, total=count.answered)
    refused = count.refused()
    return Recounted(
        *(about.name, about.version, about.live.claim, served),
        by_class=count.by_class(),
        left_out=labelled.left_out + refused,
        refused=refused,
        fit_images=streams.fit_images,
        task=labelled.task,
    )


def _check_labels(labelled: Labelled, about: ModelVersion) -> None:
    if unknown := sorted(set(labelled.classes) - set(about.labels)):
        raise SourceError(
            f"model {about.name} does not know class {', '.join(unknown[:5])} of {labelled.name}; "
            f"choose among {', '.join(about.labels[:20])} with --classes{did_you_mean(unknown[0], about.labels)}"
        )
    if labelled.task != about.task:
        several = labelled.task == "multi_label"
        has, answers_with = ("any number of labels", "one") if several else ("one label", "any number")
        raise SourceError(f"{labelled.name} has {has} per image, but model {about.name} answers with {answers_with}")


def _asked(images: Images | Sequence[Path], batch_size: int, broken: dict[Path, str]) -> Iterator[Asked]:
    """The requests; files that cannot be read go into `broken`."""
    if isinstance(images, PIXELS):
        start = 0
        for batch in batches(images, MESSAGE_BYTES, batch_size):
            yield Asked(start, batch)
            start += len(batch)
        return
    for row, path in enumerate(images):
        try:
            if not path.is_file():  # reading a pipe may never end
                raise UnusableFile("is not a regular file, or is a broken link")
            yield Asked(row, [read_file(path)])
        except (OSError, UnusableFile) as err:
            broken[path] = str(getattr(err, "strerror", None) or err)


class _Count:
    """Right answers so far."""

    def __init__(self, labelled: Labelled) -> None:
        self._labelled = labelled
        self.right, self.total = Counter[str](), Counter[str]()
        """Label -> images with a right answer, and all images, that have it."""
        self.correct = self.answered = 0
        self.broken: dict[Path, str] = {}
        """Files that could not be read or that the server refused, with the reasons."""

    @property
    def done(self) -> int:
        """The number of images done."""
        return self.answered + len(self.broken)

    def add(self, start: int, answers: Predictions | CallFailed) -> None:
        """Adds the answers to the images from `start` on. Raises CallFailed if images of an array were refused."""
        labelled = self._labelled
        if isinstance(answers, CallFailed):
            if isinstance(labelled.images, PIXELS):
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

    def refused(self) -> LeftOut:
        """The files in `broken`. Raises SourceError if they are too many, or if there are no others."""
        name, total = self._labelled.name, len(self._labelled.truth)
        if not are_few(len(self.broken), total) or not self.answered:
            raise broken_files(Path(name), self.broken, total)
        files = [f"{path.relative_to(name)}: {reason}" for path, reason in self.broken.items()]
        return LeftOut.of({"broken": files})

    def by_class(self) -> dict[str, Accuracy]:
        """For each label, the accuracy on the images that have it."""
        classes = self._labelled.classes
        return {name: Accuracy(correct=self.right[name], total=self.total[name]) for name in classes}
