"""Counting a server's right answers on labelled images of the caller's own."""

from collections.abc import Callable

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.multi_label import task_of
from vouch.client.client import Client
from vouch.client.messages import Evaluation
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source


def recount(client: Client, model: str, source: Source, batch_size: int, progress: Callable[[int], None]) -> Evaluation:
    """Sends the images through Predict and holds the labels against the answers.

    Args:
        source: its validation split is counted, or all of it where it does not split.
        batch_size: images a call.
        progress: told how many are done.

    Returns:
        the model's claim, and the count on these images.

    Raises:
        CallFailed: a call failed.
        SourceError: a class that the model does not know, or one label an image where the model answers several, or
            the other way round.
    """
    about = client.model(model)
    unknown = sorted(set(source.classes) - set(about.labels))
    if unknown and about.labels:
        raise SourceError(
            f"model {about.name} does not know class {', '.join(unknown[:5])} of {source.name}; "
            f"choose among {', '.join(about.labels[:20])} with --classes"
        )
    examples = examples_to_count(source)
    several = task_of(examples.labels) == "multi_label"
    if several != (about.task == "multi_label") and about.labels:
        has, answers_with = ("any number of labels", "one") if several else ("one label", "any number")
        raise SourceError(f"{source.name} has {has} an image, model {about.name} answers with {answers_with}")
    truth = _names(source.classes, examples.labels)
    correct = 0
    for start in range(0, len(examples), batch_size):
        rows = slice(start, start + batch_size)
        answers = client.predict(examples.images[rows], about.name, about.version)
        for answer, names in zip(answers, truth[rows], strict=True):
            correct += names == (frozenset(answer.label_set or ()) if several else {answer.label})
        progress(start + len(answers))
    assert about.claim is not None  # it has just answered, so it is served
    return Evaluation(about.name, about.version, about.claim, Accuracy(correct=correct, total=len(examples)))


def _names(classes: tuple[str, ...], labels: np.ndarray) -> list[frozenset[str]]:
    """The labels of each image by their names."""
    if labels.ndim == 1:
        return [frozenset((classes[label],)) for label in labels.tolist()]
    return [frozenset(classes[k] for k in np.flatnonzero(row)) for row in labels]


def examples_to_count(source: Source) -> Examples:
    """
    Raises:
        SourceError: the source has neither a validation split nor one for all.
    """
    for split in ("validation", "all"):
        if split in source.splits and len(source.splits[split]):
            return source.splits[split]
    raise SourceError(f"{source.name} has no validation split to count on; it has {', '.join(source.splits)}")
