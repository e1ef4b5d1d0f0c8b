"""Sentences without the folders of this machine: what callers are told, who may be anybody. The log has the folders."""

import re
from pathlib import Path

ABSOLUTE = re.compile(r"(?<![\w./])/(?:[^\s/'\"():;,]+/)+")
"""A path from the root on, up to its last name: what a library says of its own files, say."""


def without_folders(text: str, models: Path) -> str:
    """The same with `NAME/VERSION/file` for files of the models folder, and other files by their names alone.

    Args:
        models: the models folder, as it was given to this server.
    """
    for folder in sorted({str(models.resolve()), str(models.absolute())}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w./]){re.escape(folder)}/", "", text)
        text = re.sub(rf"(?<![\w./]){re.escape(folder)}(?![\w.-])", "the models folder", text)
    if models.name:
        text = re.sub(rf"(?<![\w./]){re.escape(str(models))}/", "", text)
    return ABSOLUTE.sub("", text)
