"""Images of one to four channels, from files through splits and a short training to a bundle that can be recounted."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

from vouch.sources.load import load
from vouch.sources.wanted import Wanted
from vouch.trainer.job import train
from vouch.trainer.settings import TrainSettings

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def made_up(channels: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Dark and bright images of 6 x 5, and which is which."""
    labels = np.arange(count) % 2
    shape = (count, 6, 5, channels)
    images = np.random.default_rng(0).integers(0, 90, shape, dtype=np.uint8)
    images[labels == 1] += 150
    return images, labels


def write(kind: str, folder: Path, channels: int) -> Path:
    """These images as an .npz file, as class folders, or with a list of several labels."""
    images, labels = made_up(channels)
    if kind == "npz":
        np.savez(folder / "data.npz", images=images, labels=labels)
        return folder / "data.npz"
    lines = []
    for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = folder / "data" / ("dark", "bright")[label] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.reshape(6, 5, -1).squeeze(), MODES[channels]).save(path)
        lines.append(f"{path.relative_to(folder / 'data')},{('dark;any', 'bright')[label]}\n")
    if kind == "list":
        (folder / "data" / "labels.csv").write_text("".join(lines))
    return folder / "data"


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(("kind", "channels"), [("npz", 1), ("npz", 2), ("folders", 4), ("list", 3)])
def test_every_kind_of_image_comes_to_a_bundle(tmp_path: Path, kind: str, channels: int) -> None:
    """Shape and pixels stay what they are in the file; what the graph answers is what the claim counts."""
    data = write(kind, tmp_path, channels)
    images = made_up(channels)[0].squeeze(3) if channels == 1 else made_up(channels)[0]
    asked = channels if kind == "folders" else 0  # alpha of files is a channel only then
    read = load(str(data), Wanted(channels=asked)).splits["all"].images
    settings = TrainSettings(data=str(data), model="linear", epochs=1, models=tmp_path / "models", device="cpu")

    trained = train(settings.model_copy(update={"channels": asked}))

    assert trained is not None
    manifest, validation = trained.bundle.manifest, trained.bundle.read_validation()
    trained.bundle.check_files()
    session = ort.InferenceSession(trained.bundle.read_model(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": validation.images})
    if manifest.thresholds is None:
        right = probabilities.argmax(axis=1) == validation.labels
    else:
        right = ((probabilities >= np.array(manifest.thresholds, np.float32)) == validation.labels).all(axis=1)
    assert sorted(image.tobytes() for image in read) == sorted(image.tobytes() for image in images)
    assert read.shape == images.shape
    assert manifest.input.shape == images.shape[1:] == validation.images.shape[1:]
    assert (manifest.claim.correct, manifest.claim.total) == (int(right.sum()), len(validation))
