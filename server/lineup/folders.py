"""Removes this machine's folders from messages to callers, who must not learn them. The log keeps the folders."""

import re
from pathlib import Path

ABSOLUTE = re.compile(r"(?<![\w./])/(?:[^\s/'\"():;,]+/)+")
"""An absolute path up to its last name, such as in a library's message about its own files."""


def without_folders(text: str, models: Path) -> str:
    """The text with `NAME/VERSION/file` for files of the models folder, and only the names of other files.

    Args:
        models: the models folder, as given to this server.
    """
    for folder in sorted({str(models.resolve()), str(models.absolute())}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w./]){re.escape(folder)}/", "", text)
        text = re.sub(rf"(?<![\w./]){re.escape(folder)}(?![\w.-])", "the models folder", text)
    if models.name:
        text = re.sub(rf"(?<![\w./]){re.escape(str(models))}/", "", text)
    return ABSOLUTE.sub("", text)
