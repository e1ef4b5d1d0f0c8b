"""The user's rules for reading a folder of images. Loads no image library, so that settings load fast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FolderRules:
    """The user's rules; the rest follows from the folder's content."""

    label_from: str = ""
    """A regular expression whose group is the label in a file's name, or in its path if it has a slash."""
    splits: bool = True
    """Whether folders named like splits are splits; if not, they are classes."""
    classes: tuple[str, ...] = ()
    """The wanted classes; empty for all. A class named like a split is the folder of that name."""
    strict: bool = False
    """Whether leaving out a file is an error."""
    groups: str = ""
    """How images are grouped: a column of the list, or a regular expression that is searched as for `label_from`."""


AS_IT_IS = FolderRules()
"""No rules are set."""
