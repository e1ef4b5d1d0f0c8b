"""Recounts by a client, of images in memory and in files."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.serving import Serving
from tests.support.tiny import LABELS, tiny_images
from vouch.client.client import Client
from vouch.client.labelled import labelled_arrays
from vouch.client.recount import Recounted, recount
from vouch.sources.examples import Examples, Source


def counted(serving: Serving, model: str, images: np.ndarray, labels: np.ndarray, *names: str) -> Recounted:
    source = Source("own", names or LABELS, {"validation": Examples(images, labels)})
    with Client(serving.address) as client:
        return recount(client, model, labelled_arrays(source), batch_size=64, progress=lambda done: None)


def write_files(folder: Path, count: int = 12) -> list[int]:
    """PNG files of the tiny model's images, a folder a class; the sizes of the files."""
    images, labels = tiny_images(count)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / LABELS[label] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return sorted(path.stat().st_size for path in folder.rglob("*.png"))


def len_of(done: int) -> None:
    assert done > 0
