"""Lists of labels as people write them, beside image files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from vouch.sources.folders import ListedFiles

FILES = ("a.png", "b.png", "c.png")


def put(folder: Path, lists: Mapping[str, str | bytes] | str | bytes, files: Iterable[str] = FILES) -> Path:
    """A folder with these empty files and these tables; one is called labels.csv."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, content in (lists if isinstance(lists, Mapping) else {"labels.csv": lists}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def labels_of(folder: Path, listed: ListedFiles, split: str = "all") -> dict[str, tuple[str, ...]]:
    part = next(part for name, part in listed.files.items() if name == split)
    return {path.relative_to(folder).as_posix(): labels for path, labels in part}
