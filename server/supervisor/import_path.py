"""Where processes that the server starts find this code, independent of the working directory."""

import os
from pathlib import Path

import vouch


def import_path(others: str | None) -> str:
    """A PYTHONPATH that begins with the folder of the package `vouch`.

    Args:
        others: the present PYTHONPATH, which follows it.
    """
    house = Path(vouch.__file__).resolve().parent.parent
    return os.pathsep.join(filter(None, [str(house), others]))
