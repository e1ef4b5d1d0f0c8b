"""The name that was probably meant, for messages about one that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 100
"""Characters; comparing longer words takes long, and no name of ours is longer."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is most like this word; empty where none is like it.

    Upper and lower case, hyphens and underscores are the same here, and hyphens in front do not count. The beginning of
    a name is enough where no other name begins so.
    """
    if not 0 < len(word) <= LONGEST:
        return ""
    folded = {_folded(name): name for name in known}
    if close := get_close_matches(_folded(word), folded, n=1, cutoff=0.6):
        return folded[close[0]]
    longer = [name for name in folded if name.startswith(_folded(word))]
    return folded[longer[0]] if len(longer) == 1 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean train?`, to be put behind what was wrong; empty where no known name is like this word."""
    name = nearest(word, known)
    return f"; did you mean {name}?" if name else ""


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-").lstrip("-")
