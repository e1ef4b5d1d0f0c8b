"""Pages and tables in Markdown. Knows nothing of what is in them."""

from collections.abc import Iterable, Sequence
from textwrap import fill

WIDTH = 120
"""Characters of a line, except in tables."""
WRITTEN_BY = "<!-- Written by `make reference` from the code. Edits here are lost. -->"


def page(title: str, *blocks: str) -> str:
    """A whole page: title, the note that it is generated, and the blocks with an empty line between them."""
    return "\n\n".join([f"# {title}", WRITTEN_BY, *blocks]) + "\n"


def prose(text: str) -> str:
    """One paragraph, wrapped."""
    return fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what stands in a cell may be of several lines."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    """As code; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def plain(text: str) -> str:
    """A sentence whose signs mean themselves: `LABEL/*.png` is no emphasis."""
    return " ".join(text.split()).replace("*", r"\*").replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
