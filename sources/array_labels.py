"""Labels as arrays hold them, in one form: integers or words, one an image, or bool of shape (N, K). Reads no file."""

from collections.abc import Mapping

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.sources.errors import SourceError
from vouch.sources.split_names import SplitName

Arrays = dict[SplitName, np.ndarray]


def as_labels(where: str, arrays: Mapping[SplitName, np.ndarray], task: Task | None) -> tuple[Arrays, list[str]]:
    """Labels as `make_source` takes them, and what is worth a note.

    (N, 1) is (N,); bytes are UTF-8; floats are whole numbers; bool of shape (N,) is a class False and a class True.
    A column for each class, with exactly one 1 in every row of all splits, is one label an image; with any number, any
    number of labels.

    Args:
        where: what messages call the file.
        task: how labels are wanted; None: as they are.

    Raises:
        SourceError: they are none of these.
    """
    labels = {split: _flat(array) for split, array in arrays.items()}
    words: list[str] = []
    if all(array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "buif" for array in labels.values()):
        columns = {split: _columns(where, array) for split, array in labels.items()}
        if task == "multi_label" or not all((array.sum(axis=1) == 1).all() for array in columns.values()):
            return columns, words
        count = next(iter(columns.values())).shape[1]
        words.append(f"labels: one an image, the place of the 1 among {count:,} columns")
        return {split: array.argmax(axis=1) for split, array in columns.items()}, words
    kinds = {array.dtype.kind for array in labels.values()}
    if "f" in kinds:
        words.append("labels: whole numbers stored as floats")
    if "S" in kinds:
        words.append("labels: bytes, read as UTF-8")
    return {split: _one_each(where, array) for split, array in labels.items()}, words


def _flat(labels: np.ndarray) -> np.ndarray:
    """A column, or a row, as (N,)."""
    return labels.reshape(-1) if labels.ndim == 2 and 1 in labels.shape and 0 not in labels.shape else labels


def _columns(where: str, labels: np.ndarray) -> np.ndarray:
    if labels.dtype == np.bool_:
        return labels
    flags = labels == 1
    others = labels[~flags & (labels != 0)]
    if len(others):
        raise SourceError(
            f"the labels of {where} are {labels.dtype} of shape {labels.shape} with values such as {others[0]:g}; "
            "expected 0 and 1 in a column for each class, or shape (N,), one an image"
        )
    return np.asarray(flags)


def _one_each(where: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1:
        return labels  # `make_source` says what is wrong with it
    if labels.dtype.kind == "b":
        return labels.astype(np.str_)
    if labels.dtype.kind == "f":
        wrong = labels[labels != np.rint(labels)]  # what is no number is none either
        if len(wrong) or np.isinf(labels).any():
            odd = wrong[0] if len(wrong) else np.inf
            raise SourceError(
                f"the labels of {where} are {labels.dtype} with values such as {odd:g}; expected whole "
                "numbers, or words"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as err:
            raise SourceError(
                f"the labels of {where} are bytes that are no UTF-8 ({err.object[:20]!r}); save them as strings"
            ) from err
    return labels
