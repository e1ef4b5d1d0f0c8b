"""What the folders in a folder of images mean: classes, or splits with classes inside. Lists files and reads none.

Stray files are left out and counted. Ambiguous folders are an error that names both meanings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.image_kinds import SUFFIXES
from vouch.sources.label_pattern import labels_in
from vouch.sources.layout_errors import EXPECTED, check_no_contents, no_class, no_label
from vouch.sources.left_out import LeftOut, Reason, are_few, some
from vouch.sources.split_names import SplitName, how_taken, is_split, is_test, same_split, split_in, splits_of
from vouch.sources.walk import Walk

WITHOUT_LABELS = {
    *("pred", "seg_pred", "predict", "prediction", "predictions", "unlabelled", "unlabeled", "unsup", "unknown"),
    *("images", "image", "imgs", "all"),
}
"""Names of folders beside splits, or in a test split, whose images are left out."""
MOST_LOOKED_AT = 20
"""Names of folders that may be the intended classes."""
DEEPEST = 8
"""At most this many nested folders with only one folder inside are passed."""


@dataclass(frozen=True)
class Listing:
    """The content of a folder of images."""

    files: dict[SplitName, list[tuple[Path, str]]]
    """The image files of each split with their labels, sorted by name."""
    left_out: LeftOut
    notes: tuple[str, ...] = ()
    """How splits were interpreted, a sentence each."""


@dataclass
class _Part:
    """A folder that contains a folder for each class."""

    folder: Path
    classes: dict[str, list[Path]] = field(default_factory=dict)
    """Each with at least one image."""
    flat: list[Path] = field(default_factory=list)
    """Images beside them."""

    @property
    def paths(self) -> list[Path]:
        """The images with a class."""
        return [path for path, _ in self.files]

    @property
    def files(self) -> list[tuple[Path, str]]:
        return [(path, label) for label, paths in self.classes.items() for path in paths]


def list_files(folder: Path, rules: FolderRules = AS_IT_IS) -> Listing:
    """The image files in a folder with a folder for each class, or with labels in file names.

    Raises:
        SourceError: unknown or ambiguous layout, a class with only images of unsupported kinds, or file names without
            a label.
        OSError: a folder cannot be read.
    """
    walk = Walk(folder)
    folder, folders, images = _unwrapped(walk, folder)
    words = _split_words(folder, folders, rules)
    if not words:
        part = _read_part(walk, folder, folders, images, rules)
        if not part.classes:
            raise no_class(part.folder, part.flat, _left_out_names(walk), rules)
        check_no_contents(part.folder, list(part.classes), rules)
        _leave_out(walk, part.flat)
        return Listing({"all": part.files}, LeftOut.of(walk.left_out))
    _leave_out(walk, [folder / name for name in images])
    parts = {word: _read_split(walk, folder / name, rules) for word, name in words.items()}
    _check_others(walk, folder, list(words.values()), [name for name in folders if name not in words.values()])
    labelled = _labelled(walk, folder, parts, rules)
    splits = splits_of(labelled, str(folder))
    files = {split: labelled[word].files for word, split in splits.items()}
    taken = {words[word]: split for word, split in splits.items()}
    return Listing(files, LeftOut.of(walk.left_out), (how_taken(taken),))


def split_folders(folder: Path) -> dict[SplitName, Path]:
    """The folders in it that are named like splits.

    Raises:
        SourceError: there are other folders beside splits, or two folders mean the same split.
        OSError: the folder cannot be read.
    """
    walk = Walk(folder)
    folders, _ = walk.entries(folder)
    names = _split_names(folders, AS_IT_IS)
    if names:
        _check_others(walk, folder, names, [name for name in folders if name not in names])
    return {split: folder / name for name, split in splits_of(names, str(folder)).items()}


def of_one_class(folder: Path, rules: FolderRules = AS_IT_IS) -> str:
    """A hint if a folder has only one class: what else may have been meant; empty without an idea."""
    if rules.label_from:
        return ""
    for name in Walk(folder).entries(folder)[0]:
        inner, images = Walk(folder / name).entries(folder / name)
        classes = [one for one in inner[:MOST_LOOKED_AT] if any(Walk(folder / name).images_below(folder / name / one))]
        if len(classes) > 1 and not images and not is_split(name):
            return f"; if {some(classes)} are the classes, pass {folder / name}"
    return ""


def _unwrapped(walk: Walk, folder: Path) -> tuple[Path, list[str], list[str]]:
    """The folder with its folders and images; if it has nothing but a folder of splits, that folder."""
    folders, images = walk.entries(folder)
    inner, inside, beside = folder, folders, images
    for _ in range(DEEPEST):
        if len(inside) != 1 or beside or is_split(inside[0]):
            break
        inner /= inside[0]
        inside, beside = Walk(inner).entries(inner)
    if inner == folder or not any(map(is_split, inside)):
        return folder, folders, images
    return inner, *walk.entries(inner)


def _split_names(folders: Sequence[str], rules: FolderRules) -> list[str]:
    named = [name for name in folders if is_split(name)]
    meant = set(rules.classes) <= set(folders) and not set(rules.classes).isdisjoint(named)
    return named if rules.splits and not meant else []


def _split_words(folder: Path, folders: Sequence[str], rules: FolderRules) -> dict[str, str]:
    """Each folder's word for a split, with the folder's name; empty if all folders are classes.

    `pets_train` and `pets_test` are splits too: each folder has such a word in its name, and the words differ.

    Raises:
        SourceError: two such longer names have the same word: `trainA` and `trainB`, beside `testA` and `testB`.
    """
    named = _split_names(folders, rules)
    words = [split_in(name) for name in folders]
    chosen = not rules.splits or not set(rules.classes).isdisjoint(folders)
    if chosen or len(named) == len(folders) or not all(words) or all(same_split(words[0], word) for word in words):
        return {name: name for name in named}
    for place, word in enumerate(words):
        if twin := next((folders[i] for i in range(place) if same_split(words[i], word)), ""):
            raise SourceError(
                f"{folder} contains {twin} and {folders[place]}, whose names both contain {word}, beside other splits; "
                "expected one folder for each split, or pass --no-splits if all folders are classes"
            )
    return dict(zip(words, folders, strict=True))


def _read_split(walk: Walk, path: Path, rules: FolderRules) -> _Part:
    """The content of a split's folder, or of the only folder in it if that means the same split."""
    if not walk.enter(path):
        return _Part(path)
    folders, images = walk.entries(path)
    while len(folders) == 1 and not images and is_split(folders[0]) and walk.enter(path / folders[0]):
        path /= folders[0]
        folders, images = walk.entries(path)
    if not folders and not images:
        walk.leave_out("empty_folder", path)
    return _read_part(walk, path, folders, images, rules)


def _read_part(walk: Walk, path: Path, folders: Sequence[str], images: Sequence[str], rules: FolderRules) -> _Part:
    part = _Part(path, flat=[path / name for name in images])
    below = {name: _images_of(walk, path / name) for name in folders if walk.enter(path / name)}
    if rules.label_from:
        part.flat += [one for paths in below.values() for one in paths]
        return _labelled_by_names(walk, part, rules.label_from)
    for label, paths in below.items():
        if len(folders) > 2 and _is_copy(path / label, paths, folders):
            _leave_out(walk, paths, "copy")
        elif paths:
            part.classes[label] = paths
    return part


def _images_of(walk: Walk, folder: Path) -> list[Path]:
    """All images below it.

    Raises:
        SourceError: it has only images of unsupported kinds.
    """
    others = len(walk.left_out["other_kind"])
    images = [folder / name for name in walk.images_below(folder)]
    if not images and (unread := walk.left_out["other_kind"][others:]):
        raise SourceError(
            f"the class {folder} has no readable image: it contains {some(unread)}; expected files in "
            f"{', '.join(SUFFIXES)}"
        )
    return images


def _labelled_by_names(walk: Walk, part: _Part, pattern: str) -> _Part:
    labels = labels_in(pattern, [path.relative_to(part.folder).as_posix() for path in part.flat])
    found = _Part(part.folder)
    without: list[Path] = []
    for path, label in zip(part.flat, labels, strict=True):
        if label is None:
            without.append(path)
        else:
            found.classes.setdefault(label, []).append(path)
    if not found.classes:
        return part
    if not are_few(len(without), len(part.flat)):
        raise no_label(pattern, part.folder, without, len(part.flat))
    _leave_out(walk, without)
    return found


def _is_copy(folder: Path, images: Sequence[Path], beside: Sequence[str]) -> bool:
    """Whether a folder contains copies of the folders beside it, as after unpacking an archive twice."""
    depth = len(folder.parts)
    inside = {path.parts[depth] for path in images if len(path.parts) > depth + 1}
    return bool(inside) and inside >= set(beside) - {folder.name}


def _check_others(walk: Walk, folder: Path, splits: Sequence[str], others: Sequence[str]) -> None:
    """Counts the folders beside those of splits as left out: they have no images, or no labels.

    Raises:
        SourceError: one may be a class.
    """
    for name in others:
        inner = folder / name
        images = [inner / path for path in walk.images_below(inner)] if walk.enter(inner) else []
        if _is_copy(inner, images, splits):
            _leave_out(walk, images, "copy")
            continue
        if images and name.lower() not in WITHOUT_LABELS:
            raise SourceError(
                f"{folder} contains {splits[0]}, a split, beside {some(others)}; expected either splits or classes: "
                "move the others away, or pass --no-splits if all folders are classes"
            )
        _leave_out(walk, images)


def _labelled(walk: Walk, folder: Path, parts: Mapping[str, _Part], rules: FolderRules) -> dict[str, _Part]:
    """The splits with classes. A test split without classes is left out if another split is trained on.

    Raises:
        SourceError: another split has images but no class, or no split has an image.
    """
    labelled = {name: part for name, part in parts.items() if part.classes}
    fitted = [part for name, part in labelled.items() if splits_of([name], str(folder))[name] == "fit"]
    for name in sorted(parts, key=is_test):  # first the split that is trained on: its error is the most useful
        part = parts[name]
        if fitted and is_test(name) and _has_no_labels(part, fitted[0], rules):
            labelled.pop(name, None)
            _leave_out(walk, part.paths)
        elif (not part.classes or _is_without(part, fitted, rules)) and (images := part.flat + part.paths):
            raise no_class(part.folder, images, _left_out_names(walk), rules)
        _leave_out(walk, part.flat)
    if not labelled:
        raise SourceError(f"{folder} has no image in {some(list(parts))}; expected {EXPECTED}")
    return labelled


def _is_without(part: _Part, fitted: Sequence[_Part], rules: FolderRules) -> bool:
    """Whether a split that is not trained on has a folder such as `images` instead of classes."""
    others = [one for one in fitted if one is not part]
    return bool(others) and not rules.label_from and _has_no_labels(part, others[0], rules)


def _has_no_labels(part: _Part, fitted: _Part, rules: FolderRules) -> bool:
    """Whether there is no class, only a folder that is not a class by its name, or no classes from file names."""
    if rules.label_from:
        return part.classes.keys().isdisjoint(fitted.classes)
    return len(part.classes) < 2 and all(is_split(label) or label.lower() in WITHOUT_LABELS for label in part.classes)


def _leave_out(walk: Walk, images: Sequence[Path], reason: Reason = "unlabelled") -> None:
    for path in images:
        walk.leave_out(reason, path)


def _left_out_names(walk: Walk) -> list[str]:
    return [name for found in walk.left_out.values() for name in found]
