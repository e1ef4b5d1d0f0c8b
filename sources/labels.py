"""Makes a source from images with raw labels: named classes, and labels as positions among them.

Checks here, once, what must be true for every source. Knows no file format.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vouch.bundle.manifest import is_class_name
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source
from vouch.sources.images import Images
from vouch.sources.names import Names
from vouch.sources.split_names import SplitName

MAX_CLASSES = 10_000
NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")


def make_source(
    name: str,
    parts: Mapping[SplitName, tuple[Images, np.ndarray]],
    names: Mapping[SplitName, Names] | None = None,
) -> Source:
    """A source with these images and labels; its classes are the labels of all splits together.

    Args:
        parts: split -> images, uint8 of shape (N, H, W) or (N, H, W, C), and labels, integers or strings of shape (N,),
            or bool of shape (N, K): which of K classes, then called 0, 1, 2 ..., an image has.
        names: the images' names; None: their positions in the split.

    Raises:
        SourceError: a split is empty, its images and labels differ in number, splits differ in the shape of images or
            in the form of labels, a label is negative, or `ordered_classes` raises.
    """
    for split, (images, labels) in parts.items():
        _check_part(_where(name, split), images, labels)
    _check_shapes(name, {split: images.shape[1:] for split, (images, _) in parts.items()})
    if any(labels.ndim == 2 for _, labels in parts.values()):
        return _source_of_columns(name, parts)
    names = names or {split: _places(split) for split in parts}
    distinct = {split: np.unique(labels, return_inverse=True) for split, (_, labels) in parts.items()}
    classes = ordered_classes(name, (str(value) for values, _ in distinct.values() for value in values.tolist()))
    position = {label: k for k, label in enumerate(classes)}
    splits: dict[SplitName, Examples] = {}
    for split, (values, inverse) in distinct.items():
        label_of_value = np.array([position[str(value)] for value in values.tolist()], dtype=np.int64)
        splits[split] = Examples(parts[split][0], label_of_value[inverse], names=names[split])
    return Source(name, classes, splits)


def make_multi_label_source(
    name: str,
    parts: Mapping[SplitName, tuple[Images, Sequence[Sequence[str]]]],
    names: Mapping[SplitName, Names] | None = None,
) -> Source:
    """A source of images with any number of labels; its classes are the labels of all splits together.

    Args:
        parts: split -> images as for `make_source`, and each image's labels without repetition.
        names: as for `make_source`.

    Raises:
        SourceError: as `make_source`.
    """
    classes = ordered_classes(name, (label for _, lists in parts.values() for labels in lists for label in labels))
    position = {label: k for k, label in enumerate(classes)}
    names = names or {split: _places(split) for split in parts}
    splits: dict[SplitName, Examples] = {}
    for split, (images, lists) in parts.items():
        columns = np.zeros((len(lists), len(classes)), dtype=np.bool_)
        for row, labels in enumerate(lists):
            columns[row, [position[label] for label in labels]] = True
        _check_part(_where(name, split), images, columns)
        splits[split] = Examples(images, columns, names=names[split])
    _check_shapes(name, {split: part.images.shape[1:] for split, part in splits.items()})
    return Source(name, classes, splits)


def ordered_classes(source: str, labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels in natural order: numbers by their value, so 2 comes before 10.

    Raises:
        SourceError: no label, more than 10,000, an unprintable one (empty, or with control characters), or two that
            look the same.
    """
    classes = _as_counted(set(labels))
    for label in classes:
        if not is_class_name(label):
            raise SourceError(f"{source} has a class named {label!a}; expected printable characters")
    if not classes:
        raise SourceError(f"{source} has no labels; expected at least two classes")
    if len(classes) > MAX_CLASSES:
        raise SourceError(
            f"{source} has {len(classes):,} classes; the limit is {MAX_CLASSES:,}: leave some out, or merge some"
        )
    _check_twins(source, classes)
    return tuple(classes)


def one_class(source: str, classes: Sequence[str]) -> str:
    """The error of a source with one class, from which nothing can be learned."""
    return f"{source} has only one class, {classes[0]}; expected at least two classes"


def _as_counted(labels: set[str]) -> list[str]:
    """The sort key: all numbers by their value; in other names, each number in the name by its value."""
    if all(NUMBER.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (float(label), label))
    return sorted(labels, key=lambda label: (re.sub("[0-9]+", lambda digits: digits[0].zfill(20), label), label))


def _check_twins(source: str, classes: Iterable[str]) -> None:
    """Checks that no two names look the same.

    Raises:
        SourceError: two names differ only in case, in Unicode composition, or in blanks.
    """
    seen: dict[str, str] = {}
    for label in classes:
        twin = seen.setdefault(_composed(" ".join(_composed(label).casefold().split())), label)
        if twin is not label:
            what = "blanks"
            if _composed(label) == _composed(twin):
                what = "Unicode composition"
            elif _composed(label).casefold() == _composed(twin).casefold():
                what = "case"
            shown = ascii if what == "Unicode composition" else repr
            first, second = shown(twin), shown(label)
            raise SourceError(
                f"{source} has a class {first} and a class {second}, which differ only in {what}; expected one name "
                "for each class: rename one of them"
            )


def _composed(label: str) -> str:
    return unicodedata.normalize("NFC", label)


def one_label_alone(name: str) -> SourceError:
    """The error if several labels per image are wanted from a source that cannot express them."""
    return SourceError(
        f"{name} has one class per image, not several labels; for several labels per image, use a folder with a "
        "labels.csv, or an .npz file with labels of type bool"
    )


def shape_text(shape: Iterable[int]) -> str:
    """A shape in words for messages: `28 x 28`."""
    return " x ".join(str(length) for length in shape)


def _places(split: SplitName) -> Names:
    """Names of images in arrays: `images[17]`, or `validation[17]` if the source has splits."""
    return Names("images" if split == "all" else split)


def _where(name: str, split: SplitName) -> str:
    return name if split == "all" else f"{name} ({split})"


def _source_of_columns(name: str, parts: Mapping[SplitName, tuple[Images, np.ndarray]]) -> Source:
    forms = {labels.shape[1:] for _, labels in parts.values()}
    if len(forms) > 1:
        found = ", ".join(f"{labels.dtype} {labels.shape} in {split}" for split, (_, labels) in parts.items())
        raise SourceError(f"the labels of {name} differ in form between its splits: {found}; expected one form for all")
    classes = ordered_classes(name, (str(k) for k in range(forms.pop()[0])))
    return Source(name, classes, {split: Examples(*part, names=_places(split)) for split, part in parts.items()})


def _check_shapes(name: str, shapes: Mapping[SplitName, tuple[int, ...]]) -> None:
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{shape_text(shape)} in {split}" for split, shape in shapes.items())
        raise SourceError(
            f"the images of {name} differ in shape between its splits: {found}; expected one shape for all"
        )


def _check_part(where: str, images: Images, labels: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and not 1 <= images.shape[3] <= 4):
        raise SourceError(
            f"the images of {where} are {images.dtype} of shape {images.shape}; expected uint8 from 0 to 255 of shape "
            "(N, H, W) or (N, H, W, C) with up to 4 channels: scale, convert or transpose them before saving"
        )
    single = labels.ndim == 1 and labels.dtype.kind in "iuU"
    if not single and not (labels.ndim == 2 and labels.dtype == np.bool_):
        raise SourceError(
            f"the labels of {where} are {labels.dtype} of shape {labels.shape}; expected integers or strings of shape "
            "(N,), one per image, or bool of shape (N, K), any number per image"
        )
    if 0 in images.shape or 0 in labels.shape:
        raise SourceError(
            f"{where} has no examples: images {images.shape}, labels {labels.shape}; expected at least one"
        )
    if len(images) != len(labels):
        raise SourceError(
            f"{where} has {len(images):,} images but {len(labels):,} labels; expected one label per image"
        )
    if labels.dtype.kind == "i" and (lowest := int(labels.min())) < 0:
        raise SourceError(
            f"{where} has a label {lowest}; expected 0 or more: drop unlabelled images, or name classes with strings"
        )
