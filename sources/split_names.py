"""What folders, files, arrays and columns call the splits, and which split each name means. Reads nothing.

What a name means depends on the names beside it: `val` is validation beside `train`, and tune beside `train` and
`test`. So all of them are looked at together.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from vouch.sources.errors import SourceError

SplitName = Literal["fit", "tune", "validation", "all"]
"""`all` is what data without splits has."""
Part = Literal["fit", "tune", "validation"]
"""What a training is made of."""
Place = Literal["first", "tune", "middle", "late", "last"]
"""First: the weights are fitted to it. Middle: it chooses, where there is a later one, and else measures. Late: as the
middle one, but later. Last: it measures. Tune chooses always."""

FIRST = ("fit", "train", "training", "trn")
MIDDLE = (
    "val",
    "valid",
    "validate",
    "validating",
    "validation",
    "dev",
    "development",
    "publictest",
)
LATE = ("eval", "evaluation")
LAST = ("test", "tests", "testing", "tst", "t10k", "holdout", "heldout", "privatetest")
"""Each without what is between its words."""
PLACES: dict[str, Place] = {
    **dict.fromkeys(FIRST, "first"),
    "tune": "tune",
    "tuning": "tune",
    **dict.fromkeys(MIDDLE, "middle"),
    **dict.fromkeys(LATE, "late"),
    **dict.fromkeys(LAST, "last"),
}
SET = {"set", "sets", "dataset", "seg", "split"}
"""Words that belong to a split's name and change nothing: training_set, seg_test."""
CONTENT = {"data", "images", "image", "imgs", "img", "pics", "photos", "folder"}
"""Words that say what is in it: train_images."""
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
"""`PublicTest` is two words, and so is `public_test`."""
ONLY_WORDS = re.compile(r"[A-Za-z0-9 ._-]+")
YEAR = re.compile("(?:19|20)[0-9]{2}(?![0-9])")
"""As in val2017."""
MOST_WORDS = 4
"""Of a split's name."""
MAX_LETTERS = 255
"""Longer names mean no split."""


def is_split(name: str) -> bool:
    """Whether a name means a split, such as Train, seg_test, validation-set, val2017 or t10k."""
    return _place(name) is not None


def is_test(name: str) -> bool:
    """Whether a name means what is measured last: of such data the labels are not always given."""
    return _place(name) == "last"


def same_split(first: str, second: str) -> bool:
    """Whether two names mean the same split whatever is beside them, such as val and Validation."""
    return is_split(first) and _place(first) == _place(second)


def split_in(name: str) -> str:
    """The part of a longer name that means a split, as it is written there; empty where none does, or several do.

    `emnist-letters-train` gives `train`, `x_train` too, and `val_set_labels` gives `val_set`.
    """
    words = [one.span() for one in WORD.finditer(name)] if len(name) <= MAX_LETTERS else []
    spans = [(words[first][0], last[1]) for first in range(len(words)) for last in words[first : first + MOST_WORDS]]
    found = [(start, end) for start, end in spans if _place(name[start:end], SET)]
    start = min((start for start, _ in found), default=0)
    end = max((end for _, end in found), default=0)
    return name[start:end] if (start, end) in found else ""


def splits_of(names: Iterable[str], where: str) -> dict[str, SplitName]:
    """Which split each of these names means, beside the others; names that mean none are left away.

    `fit`, `tune` and `validation` mean themselves, and so does each other name where it can: of two the second is
    validation, whatever it is called; of three the middle one is tune.

    Args:
        where: what messages say that the names are of.

    Raises:
        SourceError: two names mean one split.
    """
    places = {name: place for name in dict.fromkeys(names) if (place := _place(name)) is not None}
    measured = "last" in places.values()
    late = "late" in places.values()
    meaning: dict[Place, SplitName] = {
        "first": "fit",
        "tune": "tune",
        "middle": "tune" if measured or late else "validation",
        "late": "tune" if measured else "validation",
        "last": "validation",
    }
    splits = {name: meaning[place] for name, place in places.items()}
    taken: dict[SplitName, str] = {}
    for name, split in splits.items():
        if split in taken:
            raise SourceError(
                f"{where}: {taken[split]} and {name} both mean {split}; expected one name for each of fit, tune and "
                "validation: rename one of them, or put them together"
            )
        taken[split] = name
    return splits


def how_taken(splits: Mapping[str, SplitName]) -> str:
    """In one sentence: `splits: train as fit, valid as tune, test as validation`."""
    order: tuple[SplitName, ...] = ("fit", "tune", "validation", "all")
    by_split = sorted(splits.items(), key=lambda one: order.index(one[1]))
    said = (split if name == split else f"{name} as {split}" for name, split in by_split)
    return f"splits: {', '.join(said)}"


def _place(name: str, beside: set[str] = SET | CONTENT) -> Place | None:
    """
    Args:
        beside: words that may be beside the split's own.
    """
    if len(name) > MAX_LETTERS or not ONLY_WORDS.fullmatch(name):
        return None
    words = [word.lower() for word in WORD.findall(YEAR.sub("", name))]
    return PLACES.get("".join(_without_set(word) for word in words if word not in beside))


def _without_set(word: str) -> str:
    """`trainset` gives `train`, and `test1` gives `test`."""
    bare = re.sub("(dataset|set|data|[0-9]{1,3})$", "", word)
    return bare if bare in PLACES else word
