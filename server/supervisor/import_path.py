"""Where processes that the server starts find this code, whatever lies in the working directory."""

import os
from pathlib import Path

import vouch


def import_path(others: str | None) -> str:
    """A PYTHONPATH that begins with the folder that holds the package `vouch`.

    Args:
        others: what PYTHONPATH would have been; it comes behind.
    """
    house = Path(vouch.__file__).resolve().parent.parent
    return os.pathsep.join(filter(None, [str(house), others]))
