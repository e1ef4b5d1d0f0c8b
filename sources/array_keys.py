"""Which arrays of a file are images or labels, and of which split, by their names. Pure.

`x_train` and `y_train`, `train_images` and `train_labels`, `X` and `y`: a word for the kind, perhaps one for the split.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vouch.sources.errors import SourceError
from vouch.sources.split_names import SplitName, is_split, is_test, splits_of

IMAGES = frozenset(
    ("x", "images", "image", "imgs", "img", "data", "pixels", "features", "inputs", "input", "samples", "pictures")
)
LABELS = frozenset(("y", "labels", "label", "targets", "target", "class", "lbl", "lbls", "gt"))
PARTNER = {"x": "y", "y": "x", "data": "target", "target": "data", "image": "label", "label": "image"}
"""The word for the other array of a pair, if it is not `images` or `labels`."""
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
EXPECTED = (
    "images and labels, or both for each split, such as fit_images, fit_labels, validation_images, validation_labels; "
    "x_train, y_train, x_test, y_test and similar names work too"
)


@dataclass(frozen=True)
class Pair:
    """The names of two arrays that belong together."""

    images: str
    labels: str


@dataclass(frozen=True)
class Keys:
    """The arrays of a file."""

    pairs: dict[SplitName, Pair]
    """One pair for `all`, or one per split."""
    splits: dict[str, SplitName]
    """The names of the splits, if there are any."""
    aside: tuple[str, ...]
    """Ignored arrays: neither images nor labels."""

    def in_words(self) -> list[str]:
        """Notes for the user; none for only `images` and `labels`."""
        usual = all((pair.images[-6:], pair.labels[-6:]) == ("images", "labels") for pair in self.pairs.values())
        taken = [f"{pair.images} with {pair.labels}" for pair in self.pairs.values()]
        return [f"arrays: {', '.join(taken)}"] * (not usual) + [f"ignored: {', '.join(self.aside)}"] * bool(self.aside)


def keys_of(names: Iterable[str], where: str) -> Keys:
    """The pairs of images and labels among these arrays.

    Args:
        where: the file's name in messages.

    Raises:
        SourceError: no name is known, an array has no partner, two names mean the same, or some images have no split.
    """
    found: dict[str, dict[str, list[str]]] = {}
    aside: list[str] = []
    every = list(names)
    for name in every:
        kind, split = _parsed(name)
        if kind and (not split or is_split(split)):
            found.setdefault(split, {}).setdefault(kind, []).append(name)
        else:
            aside.append(name)
    if not found:
        shown = ", ".join(every[:9]) or "no arrays"
        raise SourceError(f"{where} has {shown}; expected {EXPECTED}")
    aside += _less_sure(found)
    pairs = {split: _pair(kinds, where) for split, kinds in found.items()}
    if "" in pairs and len(pairs) > 1:
        others = ", ".join(split for split in pairs if split)
        raise SourceError(f"{where} has images without a split as well as images of {others}; expected {EXPECTED}")
    if "" in pairs:
        return Keys({"all": pairs[""]}, {}, tuple(aside))
    splits = splits_of(pairs, where)
    return Keys({meant: pairs[split] for split, meant in splits.items()}, splits, tuple(aside))


def _less_sure(found: dict[str, dict[str, list[str]]]) -> list[str]:
    """Removes `data` beside `images` (scikit-learn stores both), and images of a test split without labels."""
    aside: list[str] = []
    for split, kinds in list(found.items()):
        images = kinds.get("images", [])
        sure = [name for name in images if "data" not in map(str.lower, WORD.findall(name))]
        if len(sure) == 1:
            aside += [name for name in images if name not in sure]
            kinds["images"] = sure
        if is_test(split) and "labels" not in kinds and any("labels" in others for others in found.values()):
            aside += found.pop(split)["images"]
    return aside


def _parsed(name: str) -> tuple[str, str]:
    """The kind, `images` or `labels`, and the split's name; the kind is empty if the name has no word for it."""
    words = [word for one in WORD.findall(name) for word in _apart(one)]
    kinds = [word.lower() for word in words if word.lower() in IMAGES | LABELS]
    if not kinds:
        return "", ""
    split = "_".join(word.lower() for word in words if word.lower() not in IMAGES | LABELS)
    return ("labels" if set(kinds) & LABELS else "images"), split


def _apart(word: str) -> list[str]:
    """`Xtrain` and `trainX` are two words."""
    for first, second in ((word[:1], word[1:]), (word[:-1], word[-1:])):
        if {first.lower(), second.lower()} & {"x", "y"} and (is_split(first) or is_split(second)):
            return [first, second]
    return [word]


def _pair(kinds: dict[str, list[str]], where: str) -> Pair:
    for several in kinds.values():
        if len(several) > 1:
            raise SourceError(f"{where} has {' and '.join(several)}, which may mean the same; remove one of them")
    if len(kinds) < 2:
        ((there,),) = kinds.values()
        raise SourceError(f"{where} has {there} but no {_partner(there)}; expected {EXPECTED}")
    return Pair(kinds["images"][0], kinds["labels"][0])


def _partner(name: str) -> str:
    """The expected name of the other array of a pair."""
    known = next(
        word for one in reversed(WORD.findall(name)) for word in _apart(one) if word.lower() in IMAGES | LABELS
    )
    other = PARTNER.get(known.lower(), "images" if known.lower() in LABELS else "labels")
    before, _, after = name.rpartition(known)
    return before + other + after
