"""How a folder of images is read, as far as it is said. Loads no image library, so that settings can be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FolderRules:
    """What is said; the rest follows from what is there."""

    label_from: str = ""
    """A pattern whose group is the label in a file's name, or in its path where the pattern has a slash."""
    splits: bool = True
    """Whether folders named like splits are splits; where not, they are classes."""
    classes: tuple[str, ...] = ()
    """The classes that are wanted; empty for all. One that is named like a split is the folder of that name."""
    strict: bool = False
    """Whether it is an error that something is left out."""
    groups: str = ""
    """What images belong together: a column of the list, or a pattern that is looked for as that of `label_from`."""


AS_IT_IS = FolderRules()
"""Nothing is said."""
