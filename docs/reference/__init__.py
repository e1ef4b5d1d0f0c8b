"""The reference pages, written from the code: `make reference` writes them, and a test holds them against the code."""

from collections.abc import Callable, Iterator
from pathlib import Path

from docs.reference import calls, command_lines, events, http_paths, metrics, settings

FOLDER = Path(__file__).parent
WRITTEN: dict[str, Callable[[], str]] = {
    "commands.md": command_lines.page,
    "settings.md": settings.page,
    "metrics.md": metrics.page,
    "log.md": events.page,
    "rpc.md": calls.page,
    "http.md": http_paths.page,
}
"""File -> what writes it. A new page is added here and in README.md of this folder."""


def pages() -> Iterator[tuple[Path, str]]:
    """Each page's file, and what should be in it."""
    for name, write in WRITTEN.items():
        yield FOLDER / name, write()
