"""The name that was probably meant, for messages about an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 100
"""In characters. Comparing longer words takes long, and no name of ours is longer."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is most similar to this word; empty if none is similar.

    Case does not count, hyphens equal underscores, and leading hyphens do not count. The start of a name is enough if
    no other name begins with it.
    """
    if not 0 < len(word) <= LONGEST:
        return ""
    folded = {_folded(name): name for name in known}
    if close := get_close_matches(_folded(word), folded, n=1, cutoff=0.6):
        return folded[close[0]]
    longer = [name for name in folded if name.startswith(_folded(word))]
    return folded[longer[0]] if len(longer) == 1 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean train?`, to append to a message; empty if no known name is similar to this word."""
    name = nearest(word, known)
    return f"; did you mean {name}?" if name else ""


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-").lstrip("-")
