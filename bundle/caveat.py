"""A warning that follows from a model's own figures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caveat:
    """A warning for users of the model."""

    kind: str
    """A fixed word: CHANCE or COVERAGE of `caveats.py`, or another one from a newer server."""
    text: str
    """The warning in words, with its numbers."""
