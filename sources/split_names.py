"""Names of splits for folders, files, arrays and columns, and the split that each name means. Reads no file.

The meaning of a name depends on the others: `val` is validation beside `train`, but tune beside `train` and `test`. So
all names are interpreted together.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from vouch.sources.errors import SourceError

SplitName = Literal["fit", "tune", "validation", "all"]
"""`all` is the only split of data without splits."""
Part = Literal["fit", "tune", "validation"]
"""The splits of a training."""
Place = Literal["first", "tune", "middle", "late", "last"]
"""Names by role. First: fits the weights. Middle: tunes if there is a later split, else validates. Late: as middle, but
later. Last: validates. Tune: always tunes."""

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
"""The names without separators between words."""
PLACES: dict[str, Place] = {
    **dict.fromkeys(FIRST, "first"),
    "tune": "tune",
    "tuning": "tune",
    **dict.fromkeys(MIDDLE, "middle"),
    **dict.fromkeys(LATE, "late"),
    **dict.fromkeys(LAST, "last"),
}
SET = {"set", "sets", "dataset", "seg", "split"}
"""Words in a split's name that do not change its meaning: training_set, seg_test."""
CONTENT = {"data", "images", "image", "imgs", "img", "pics", "photos", "folder"}
"""Words for a split's content: train_images."""
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
"""`PublicTest` is two words, and so is `public_test`."""
ONLY_WORDS = re.compile(r"[A-Za-z0-9 ._-]+")
YEAR = re.compile("(?:19|20)[0-9]{2}(?![0-9])")
"""As in val2017."""
MOST_WORDS = 4
"""The most words in a split's name."""
MAX_LETTERS = 255
"""Longer names are not splits."""


def is_split(name: str) -> bool:
    """Whether a name means a split, such as Train, seg_test, validation-set, val2017 or t10k."""
    return _place(name) is not None


def is_test(name: str) -> bool:
    """Whether a name means a test split, whose labels may be missing."""
    return _place(name) == "last"


def same_split(first: str, second: str) -> bool:
    """Whether two names always mean the same split, such as val and Validation."""
    return is_split(first) and _place(first) == _place(second)


def split_in(name: str) -> str:
    """The part of a longer name that means a split, as written there; empty if there is none, or several.

    `emnist-letters-train` gives `train`, `x_train` too, and `val_set_labels` gives `val_set`.
    """
    words = [one.span() for one in WORD.finditer(name)] if len(name) <= MAX_LETTERS else []
    spans = [(words[first][0], last[1]) for first in range(len(words)) for last in words[first : first + MOST_WORDS]]
    found = [(start, end) for start, end in spans if _place(name[start:end], SET)]
    start = min((start for start, _ in found), default=0)
    end = max((end for _, end in found), default=0)
    return name[start:end] if (start, end) in found else ""


def splits_of(names: Iterable[str], where: str) -> dict[str, SplitName]:
    """The split that each of these names means, given the others; names that mean no split are omitted.

    `fit`, `tune` and `validation` mean themselves, as do other names if possible: of two, the second is validation,
    whatever its name; of three, the middle one is tune.

    Args:
        where: the origin of the names in messages.

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
    """The role of a split's name; None for other names.

    Args:
        beside: other words that the name may contain.
    """
    if len(name) > MAX_LETTERS or not ONLY_WORDS.fullmatch(name):
        return None
    words = [word.lower() for word in WORD.findall(YEAR.sub("", name))]
    return PLACES.get("".join(_without_set(word) for word in words if word not in beside))


def _without_set(word: str) -> str:
    """`trainset` gives `train`, and `test1` gives `test`."""
    bare = re.sub("(dataset|set|data|[0-9]{1,3})$", "", word)
    return bare if bare in PLACES else word
