import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.support.recounts import counted, len_of, write_files
from tests.support.serving import Serving
from tests.support.tiny import LABELS, publish_tiny, several_validation, tiny_images, tiny_several, tiny_validation
from vouch.client.client import Client
from vouch.client.labelled import find_labelled
from vouch.client.recount import Recounted, recount
from vouch.client.streaming import FitImages
from vouch.sources.errors import SourceError


async def test_the_client_counts_as_the_trainer_did(serving: Serving) -> None:
    """On the bundle's own validation split, of either task, the count is the claim."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    one, several = tiny_validation(), several_validation()

    found = await asyncio.to_thread(counted, serving, "tiny", one.images, one.labels)
    of_several = await asyncio.to_thread(counted, serving, "several", several.images, several.labels)

    assert found.served == found.claim
    assert of_several.served == of_several.claim
    assert (of_several.served.correct, of_several.served.total) == (270, 300)


async def test_every_class_counts_the_same(serving: Serving) -> None:
    """However many images it has; a class that none of them is of does not count."""
    images, labels = tiny_images(90)
    rows = np.flatnonzero((labels != 2) | (np.arange(90) < 9))
    said = np.where(labels == 2, 0, labels)[rows]  # what is a 2 is labelled 0, and answered 2

    found = await asyncio.to_thread(counted, serving, "tiny", images[rows], said)
    several = await asyncio.to_thread(counted, serving, "tiny", *tiny_images(30))

    assert several.balanced is not None
    assert several.balanced.accuracy == 1
    assert found.balanced is not None
    of_first = (labels[rows] == 0).sum() / (said == 0).sum()
    assert found.balanced.accuracy == pytest.approx((of_first + 1) / 2)
    assert found.balanced.accuracy < found.served.accuracy < 1


async def test_labels_are_compared_by_name(serving: Serving) -> None:
    """The data may have them in another order than the model."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    (images, labels), (bright, which) = tiny_images(30), tiny_several(30)

    one = await asyncio.to_thread(counted, serving, "tiny", images, 2 - labels, *LABELS[::-1])
    several = await asyncio.to_thread(counted, serving, "several", bright, which[:, ::-1], *LABELS[::-1])

    assert (one.served.correct, several.served.correct) == (30, 30)


@pytest.mark.parametrize(
    ("model", "several", "says"),
    [
        ("tiny", True, "own has any number of labels per image, but model tiny answers with one"),
        ("several", False, "own has one label per image, but model several answers with any number"),
    ],
)
async def test_data_of_another_task_is_no_measure(serving: Serving, model: str, several: bool, says: str) -> None:
    """It is an error, not a low accuracy."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, labels = tiny_several(4) if several else tiny_images(4)

    with pytest.raises(SourceError, match=says):
        await asyncio.to_thread(counted, serving, model, images, labels)


async def test_each_class_is_counted(serving: Serving) -> None:
    """Of the images that have a label, how many were answered right; a class without an image has none."""
    images, labels = tiny_images(40)
    said = labels.copy()
    said[labels == 1] = 0

    found = await asyncio.to_thread(counted, serving, "tiny", images, said)

    right = {"first": (labels == 0).sum(), "second": 0, "third": (labels == 2).sum()}
    total = {"first": (labels < 2).sum(), "second": 0, "third": (labels == 2).sum()}
    assert {name: (one.correct, one.total) for name, one in found.by_class.items()} == {
        name: (right[name], total[name]) for name in LABELS
    }


async def test_images_that_the_model_was_fitted_to_are_counted(serving: Serving, tmp_path: Path) -> None:
    """As pixels and as files, by what they become; a bundle without digests of them says nothing."""
    images, labels = tiny_images(120)
    serving.install(publish_tiny(serving.folder, "seen", fit=images[:70]))
    write_files(tmp_path / "data", 120)

    def on_files() -> Recounted:
        with Client(serving.address) as client:
            labelled = find_labelled(str(tmp_path / "data"), client.model("seen"))
            return recount(client, "seen", labelled, batch_size=64, progress=len_of)

    of_files = (await asyncio.to_thread(on_files)).fit_images
    of_pixels = (await asyncio.to_thread(counted, serving, "seen", images, labels)).fit_images
    without = (await asyncio.to_thread(counted, serving, "tiny", images, labels)).fit_images

    assert of_files == of_pixels == FitImages(compared=120, among=70)
    assert of_files.sentence().startswith("70 of 120 images are among those that the model was trained on")
    assert without == FitImages()
    assert without.sentence() == ""
