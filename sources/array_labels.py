"""Labels from arrays in one form: one integer or word per image, or bool of shape (N, K). Reads no file."""

from collections.abc import Mapping

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.sources.errors import SourceError
from vouch.sources.split_names import SplitName

Arrays = dict[SplitName, np.ndarray]


def as_labels(where: str, arrays: Mapping[SplitName, np.ndarray], task: Task | None) -> tuple[Arrays, list[str]]:
    """Labels as `make_source` takes them, and notes for the user.

    (N, 1) becomes (N,); bytes are UTF-8; floats must be whole numbers; bool of shape (N,) gives classes False and True.
    A column for each class means one label per image if every row of all splits has exactly one 1, else any number of
    labels.

    Args:
        where: the file's name in messages.
        task: the wanted kind of labels; None: as in the file.

    Raises:
        SourceError: they have none of these forms.
    """
    labels = {split: _flat(array) for split, array in arrays.items()}
    words: list[str] = []
    if all(array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "buif" for array in labels.values()):
        columns = {split: _columns(where, array) for split, array in labels.items()}
        if task == "multi_label" or not all((array.sum(axis=1) == 1).all() for array in columns.values()):
            return columns, words
        count = next(iter(columns.values())).shape[1]
        words.append(f"labels: one per image, the position of the 1 among {count:,} columns")
        return {split: array.argmax(axis=1) for split, array in columns.items()}, words
    kinds = {array.dtype.kind for array in labels.values()}
    if "f" in kinds:
        words.append("labels: whole numbers stored as floats")
    if "S" in kinds:
        words.append("labels: bytes, read as UTF-8")
    return {split: _one_each(where, array) for split, array in labels.items()}, words


def _flat(labels: np.ndarray) -> np.ndarray:
    """A column or a row in shape (N,)."""
    return labels.reshape(-1) if labels.ndim == 2 and 1 in labels.shape and 0 not in labels.shape else labels


def _columns(where: str, labels: np.ndarray) -> np.ndarray:
    if labels.dtype == np.bool_:
        return labels
    flags = labels == 1
    others = labels[~flags & (labels != 0)]
    if len(others):
        raise SourceError(
            f"the labels of {where} are {labels.dtype} of shape {labels.shape} with values such as {others[0]:g}; "
            "expected a column of 0 and 1 for each class, or shape (N,), one label per image"
        )
    return np.asarray(flags)


def _one_each(where: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1:
        return labels  # `make_source` reports the error
    if labels.dtype.kind == "b":
        return labels.astype(np.str_)
    if labels.dtype.kind == "f":
        wrong = labels[labels != np.rint(labels)]  # also finds NaN
        if len(wrong) or np.isinf(labels).any():
            odd = wrong[0] if len(wrong) else np.inf
            raise SourceError(
                f"the labels of {where} are {labels.dtype} with values such as {odd:g}; expected whole numbers or words"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as err:
            raise SourceError(
                f"the labels of {where} are bytes that are not UTF-8 ({err.object[:20]!r}); save them as strings"
            ) from err
    return labels
