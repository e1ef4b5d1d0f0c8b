"""Image files with a list of labels, and the labels that are read."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from vouch.sources.examples import Source


def save(path: Path, value: int = 0) -> None:
    """A grey image of 4 x 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 4), value).save(path)


def with_list(folder: Path, content: str | bytes, images: Mapping[str, int] | None = None) -> Path:
    """A folder with these images and this list; by default a.png, b.png and c.png with pixels 1, 2 and 3."""
    for name, value in ({"a.png": 1, "b.png": 2, "c.png": 3} if images is None else images).items():
        save(folder / name, value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def said_of(source: Source, split: str = "all") -> dict[int, set[str]]:
    """The pixel of each image -> its labels."""
    part = next(examples for name, examples in source.splits.items() if name == split)
    return {
        int(image.flat[0]): {name for name, there in zip(source.classes, row, strict=True) if there}
        for image, row in zip(part.images[:], part.labels, strict=True)
    }
