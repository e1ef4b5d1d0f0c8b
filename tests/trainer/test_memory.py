"""What images take is bounded, whatever their number, and changes nothing in what is learned from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.listed import MODEL
from vouch.bundle.opening import Bundle
from vouch.sources.examples import Examples, Source
from vouch.sources.image_file import ImageFile
from vouch.sources.images import BATCH_BYTES
from vouch.sources.summary import Summary
from vouch.trainer.job import train
from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.judge.graph import answers
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import make_splits

SIDE = 16


def photographs(folder: Path, count: int = 400) -> Path:
    """Colour pictures of two classes, one brighter than the other."""
    random = np.random.default_rng(0)
    for number in range(count):
        label = number % 2
        pixels = random.integers(100 * label, 100 * label + 156, (SIDE, SIDE, 3), dtype=np.uint8)
        (folder / "ab"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "ab"[label] / f"{number:04}.png")
    return folder


def trained(data: Path, models: Path, memory: int | None) -> Bundle:
    """What comes of these images in so much memory."""
    settings = TrainSettings(
        data=str(data), model="linear", epochs=2, name="m", models=models, device="cpu", threads=1, memory=memory
    )
    done = train(settings)
    assert done is not None
    return done.bundle


def test_images_in_a_file_are_learned_from_as_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same splits, weights and claim, to the bit; which memory was allowed is nowhere in the bundle."""
    monkeypatch.chdir(tmp_path)
    data, made = photographs(tmp_path / "data"), list[ImageFile]()
    begin = ImageFile.__init__

    def noted(self: ImageFile, shape: tuple[int, ...], folder: str) -> None:
        begin(self, shape, folder)
        made.append(self)

    monkeypatch.setattr(ImageFile, "__init__", noted)
    in_memory = trained(data, tmp_path / "one", None)
    assert not made
    in_file = trained(data, tmp_path / "other", 1_000_000)

    assert [images.shape for images in made] == [(400, SIDE, SIDE, 3)]
    one, other = in_memory.manifest, in_file.manifest
    assert one.files[MODEL] == other.files[MODEL]
    assert one.claim == other.claim
    assert one.training.splits == other.training.splits
    assert one.training.data_digest == other.training.data_digest
    assert one.calibration == other.calibration


def test_no_pass_over_images_reads_more_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of images in a file that are more than a batch: statistics, digests, near duplicates, measuring, the graph's
    answers."""
    shape = (5000, 64, 64)
    random = np.random.default_rng(0)
    images = ImageFile(shape, str(tmp_path))
    for start in range(0, len(images), 1000):
        images[start : start + 1000] = random.integers(0, 256, (1000, *shape[1:]), dtype=np.uint8)
    read, largest = ImageFile.__getitem__, 0

    def noted(self: ImageFile, rows: int | slice | np.ndarray) -> np.ndarray:
        nonlocal largest
        found = read(self, rows)
        largest = max(largest, found.nbytes)
        return found

    monkeypatch.setattr(ImageFile, "__getitem__", noted)
    source = Source("made up", ("a", "b"), {"all": Examples(images, np.arange(shape[0]) % 2)})

    assert Summary.of(source).values == (0, 255)
    splits = make_splits(source, 0.1, 0.2, seed=0, allow_duplicates=False)
    splits.digests()
    classifier = Classifier("linear", shape[1:], 2).eval()
    pixels, _ = as_tensors(splits.fit)
    classifier.see_statistics(pixels.batches())
    assert len(logits_of(classifier, pixels)) == len(splits.fit)
    graph = export(classifier, shape[1:])
    check_agreement(classifier, graph, splits.tune.images)
    assert len(answers(graph, splits.validation.images)) == len(splits.validation)
    assert 0 < largest <= BATCH_BYTES < images.nbytes
