"""Which arrays of a file are images, which are their labels, and of which split, by what they are called. Pure.

`x_train` and `y_train`, `train_images` and `train_labels`, `X` and `y`: a word for the kind and, beside it, a split's.
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
"""What the other array of a pair is called, where not `images` and `labels`."""
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
EXPECTED = (
    "images and labels, or those of each split, such as fit_images, fit_labels, validation_images, validation_labels; "
    "x_train, y_train, x_test, y_test and the like are read too"
)


@dataclass(frozen=True)
class Pair:
    """Arrays that belong together, by their names in the file."""

    images: str
    labels: str


@dataclass(frozen=True)
class Keys:
    """The arrays of a file."""

    pairs: dict[SplitName, Pair]
    """One for `all`, or one a split."""
    splits: dict[str, SplitName]
    """What the splits are called, where there are any."""
    aside: tuple[str, ...]
    """Arrays that are neither."""

    def in_words(self) -> list[str]:
        """What is worth a note: nothing of `images` and `labels` alone."""
        usual = all((pair.images[-6:], pair.labels[-6:]) == ("images", "labels") for pair in self.pairs.values())
        taken = [f"{pair.images} with {pair.labels}" for pair in self.pairs.values()]
        return [f"arrays: {', '.join(taken)}"] * (not usual) + [f"left aside: {', '.join(self.aside)}"] * bool(
            self.aside
        )


def keys_of(names: Iterable[str], where: str) -> Keys:
    """Which of these arrays are what.

    Args:
        where: what messages call the file.

    Raises:
        SourceError: none is known, one has no partner, two are called alike, or images of no split are beside others.
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
        raise SourceError(f"{where} has images of no split beside those of {others}; expected {EXPECTED}, not both")
    if "" in pairs:
        return Keys({"all": pairs[""]}, {}, tuple(aside))
    splits = splits_of(pairs, where)
    return Keys({meant: pairs[split] for split, meant in splits.items()}, splits, tuple(aside))


def _less_sure(found: dict[str, dict[str, list[str]]]) -> list[str]:
    """Takes away `data` beside `images`, as scikit-learn has the same twice, and images of a test without labels."""
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
    """The kind, `images` or `labels`, and the split's name; the kind is empty where nothing says it."""
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
    """What the other array of a pair would be called."""
    known = next(
        word for one in reversed(WORD.findall(name)) for word in _apart(one) if word.lower() in IMAGES | LABELS
    )
    other = PARTNER.get(known.lower(), "images" if known.lower() in LABELS else "labels")
    before, _, after = name.rpartition(known)
    return before + other + after
