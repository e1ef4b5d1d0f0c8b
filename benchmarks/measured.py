"""Stores and shows figures: a record has one writer, and a page has its table between two marks."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """For as long as the block runs, this process alone writes records in the folder of this one.

    Raises:
        SystemExit: another one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as err:
        raise SystemExit(f"another measurement writes {path}: wait for it, or pass another file as --record") from err
    finally:
        os.close(folder)


def marks(command: str) -> tuple[str, str]:
    """Between which a page has the table of a command, such as `make training`."""
    return f"<!-- begin: {command} -->", f"<!-- end: {command} -->"


def put(page: str, table: str, command: str) -> str:
    """The page with this table between its marks.

    Raises:
        ValueError: it has no such marks.
    """
    begin, end = marks(command)
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"the page does not contain {begin} ... {end}")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def row_of(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def head_of(names: Sequence[str]) -> list[str]:
    """The two lines that a table begins with."""
    return [row_of(names), "|" + "---|" * len(names)]


def letter(number: int) -> str:
    """Of the place of a measurement: a for 0."""
    return chr(ord("a") + number)
