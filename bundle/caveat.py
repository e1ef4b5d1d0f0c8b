"""One of the things that a model's own figures say against it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caveat:
    """One thing that users of the model must know."""

    kind: str
    """A word that does not change: CHANCE or COVERAGE of `caveats.py`, or one that a newer server knows."""
    text: str
    """The same for people, with the numbers."""
