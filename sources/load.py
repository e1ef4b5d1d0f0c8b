"""The values of `--data`, and the reader for each kind. Knows no file format."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import ALL_BITS, PixelSettings
from vouch.cli.nearest import nearest
from vouch.sources.arrays import read_npz
from vouch.sources.digits import load_digits
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source, check_chosen
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.folders import ListedFiles, list_image_folder, read_image_folder
from vouch.sources.idx_files import find_sets, read_folder, read_zip
from vouch.sources.labels import one_class, one_label_alone, ordered_classes
from vouch.sources.layout import of_one_class
from vouch.sources.left_out import check_strict
from vouch.sources.mnist import load_mnist
from vouch.sources.survey import Decide, Survey
from vouch.sources.tables import read_csv
from vouch.sources.text_tables import SUFFIXES as TABLES
from vouch.sources.wanted import NOTHING, Layout, Wanted

Read = TypeVar("Read")
NAMED = ("digits", "mnist")
DIGITS = tuple("0123456789")
"""The classes of digits and of MNIST."""
ACCEPTED = (
    "digits, mnist, or a path: a folder of images (LABEL/*.png or SPLIT/LABEL/*.png; or any folder with a labels.csv "
    "or with --label-from), a folder or .zip of IDX files, an .npz file or a .csv file"
)


def load(
    spec: str,
    wanted: Wanted = NOTHING,
    task: Task | None = None,
    decide: Decide | None = None,
    rules: FolderRules = AS_IT_IS,
) -> Source:
    """The labelled images that a `--data` argument names.

    Args:
        spec: `digits`, `mnist` or a path; a folder with such a name is `./mnist`.
        wanted: how images are decoded. Size and channels are only for folders of images and .csv files, bits only for
            folders of images, the layout only for .npz and .csv files. The ground applies to transparent images, so
            it is allowed for all sources.
        task: the wanted kind of labels; None: as in the source.
        decide: chooses how image files are decoded from the survey; None: as `wanted`. Arrays are not changed.
        rules: the user's rules for a folder of images.

    Raises:
        SourceError: the source does not exist or cannot be read, something in `wanted` does not apply to it, or the
            labels do not fit `task`; or a file is left out although that is not allowed.
    """
    return _speaking(spec, lambda: _taken(_load(spec, wanted, task, decide, rules), task))


def look(spec: str, wanted: Wanted = NOTHING, task: Task | None = None, rules: FolderRules = AS_IT_IS) -> None:
    """Checks what can be known from names and lists, without reading the content of images or arrays.

    Args:
        spec, wanted, task, rules: as for `load`.

    Raises:
        SourceError: as `load`; or a class does not exist, or there is only one.
    """
    _speaking(spec, lambda: _look(spec, wanted, task, rules))


def _look(spec: str, wanted: Wanted, task: Task | None, rules: FolderRules) -> None:
    if listed := list_files(spec, task, rules):
        labels = (label for part in listed.files.values() for _, labels in part for label in labels)
        known = ordered_classes(spec, labels)
        if len(known) < 2:
            raise SourceError(one_class(spec, known) + of_one_class(Path(spec), rules))
    else:
        _reader(spec, Path(spec), wanted, task)
        known = DIGITS if spec in NAMED else ()
        if known and task == "multi_label":
            raise one_label_alone(spec)
    if rules.classes and known:
        check_chosen(spec, known, rules.classes)


def load_as(
    spec: str,
    pixels: PixelSettings | None,
    task: Task | None = None,
    layout: Layout | None = None,
    rules: FolderRules = AS_IT_IS,
) -> Source:
    """As `load`, with the images of a folder or a .csv file decoded for a model.

    Args:
        pixels: the model's settings; None if unknown.
        task: the model's task; None if unknown.
        layout: as in `Wanted`.
        rules: as `load`.
    """
    wanted = Wanted(layout=layout)
    if pixels is not None and (listed := list_files(spec, task, rules)):
        check_layout(spec, wanted.layout)
        return _speaking(spec, lambda: read_image_folder(spec, listed, exactly=pixels))
    if pixels is not None and Path(spec).suffix.lower() in TABLES:
        wanted = replace(wanted, size=(pixels.height, pixels.width), channels=pixels.channels or 1)
    source = load(spec, wanted, task, rules=rules)
    return _with_one_channel(source) if pixels is not None and pixels.channels == 1 else source


def _with_one_channel(source: Source) -> Source:
    """Adds a channel axis to grey images, as older bundles may need it."""
    splits = dict(source.splits)
    for split, part in splits.items():
        if isinstance(part.images, np.ndarray) and part.images.ndim == 3:
            splits[split] = replace(part, images=part.images[..., None])
    return replace(source, splits=splits)


def _taken(source: Source, task: Task | None) -> Source:
    """The source with labels of the wanted kind.

    Raises:
        SourceError: an image does not have exactly one label, or the source cannot express several.
    """
    if task == "multi_label" and source.task != task:
        raise one_label_alone(source.name)
    if task == "single_label":
        return source.as_single_label()
    return source


def list_files(spec: str, task: Task | None = None, rules: FolderRules = AS_IT_IS) -> ListedFiles | None:
    """The image files that a `--data` argument names, with their labels; None if it names arrays.

    Args:
        task, rules: as for `load`.

    Raises:
        SourceError: as `load`.
    """
    if not is_image_folder(spec):
        _check_folder_rules(spec, rules)
        return None
    return _speaking(spec, lambda: list_image_folder(Path(spec), task, rules))


def is_image_folder(spec: str) -> bool:
    """Whether it names a folder of image files."""
    return bool(spec) and spec not in NAMED and Path(spec).is_dir() and not find_sets(Path(spec))


def _speaking(spec: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except OSError as err:
        raise SourceError(f"{err.filename or spec} cannot be read: {err.strerror or err}") from err
    except MemoryError as err:
        raise SourceError(f"{spec} does not fit into memory; use a part of it") from err


def _load(spec: str, wanted: Wanted, task: Task | None, decide: Decide | None, rules: FolderRules) -> Source:
    if listed := list_files(spec, task, rules):
        check_layout(spec, wanted.layout)
        source = read_image_folder(spec, listed, wanted, decide=decide)
    else:
        source = _reader(spec, Path(spec), wanted, task)()
        if decide:
            decide(Survey.of(source))
    if rules.strict:
        check_strict(spec, source.left_out)
    return source


def _reader(spec: str, path: Path, wanted: Wanted, task: Task | None) -> Callable[[], Source]:
    """The reader for these arrays. Raises SourceError if there are none, or if an option does not apply."""
    if spec in NAMED:
        _check_arrays(spec, wanted)
        return lambda: load_digits(spec) if spec == "digits" else load_mnist(spec)
    if not spec or not path.exists():
        raise SourceError(f"{spec or 'the path'} does not exist; {_meant(spec, path)}expected {ACCEPTED}")
    if path.is_dir():
        _check_arrays(spec, wanted)
        return lambda: read_folder(spec, path)
    if path.suffix.lower() in TABLES and path.is_file():
        _check_arrays(spec, replace(wanted, size=None, channels=0, layout=None))
        return lambda: read_csv(spec, path, wanted)
    if path.suffix.lower() == ".zip" and path.is_file():
        _check_arrays(spec, wanted)
        return lambda: read_zip(spec, path)
    if path.suffix.lower() == ".npz" and path.is_file():
        _check_arrays(spec, replace(wanted, layout=None))
        return lambda: read_npz(spec, path, task, wanted)
    raise SourceError(f"{spec} is a file of an unsupported kind; expected {ACCEPTED}")


def _check_folder_rules(spec: str, rules: FolderRules) -> None:
    said = {f"--label-from {rules.label_from}": rules.label_from, f"--groups {rules.groups}": rules.groups}
    for flag, given in {**said, "--no-splits": not rules.splits}.items():
        if given:
            raise SourceError(f"{flag} does not apply to {spec}, only to folders of images; leave it out")


def _meant(spec: str, path: Path) -> str:
    beside = {one.name: str(one) for one in path.parent.iterdir()} if path.parent.is_dir() else {}
    meant = nearest(spec, NAMED) or beside.get(nearest(path.name, beside), "")
    return f"did you mean {meant}? " if meant else ""


def _check_arrays(spec: str, wanted: Wanted) -> None:
    """Checks options that do not apply to arrays, whose pixels are used unchanged."""
    check_layout(spec, wanted.layout)
    if wanted.size:
        raise SourceError(
            f"--size {wanted.size[0]}x{wanted.size[1]} does not apply to {spec}: it resizes folders of images, and is "
            "the shape of the lines of a .csv file; leave it out"
        )
    for flag, given, usual in (("--bits", wanted.bits, ALL_BITS), ("--channels", wanted.channels, 0)):
        if given != usual:
            raise SourceError(
                f"{flag} {given} does not apply to {spec}, whose pixels are used unchanged, only to folders of images; "
                "leave it out"
            )


def check_layout(spec: str, layout: Layout | None) -> None:
    """Checks that no order of axes is given where it does not apply.

    Raises:
        SourceError: one is given.
    """
    if layout:
        raise SourceError(
            f"--layout {layout} does not apply to {spec}: it is the order of axes in an .npz or a .csv file; leave "
            "it out"
        )
