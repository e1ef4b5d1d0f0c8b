import asyncio

import numpy as np
import pytest

from tests.serving import Serving
from tests.tiny import LABELS, publish_tiny, several_validation, tiny_images, tiny_several, tiny_validation
from vouch.client.client import Client
from vouch.client.messages import Evaluation
from vouch.client.recount import recount
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source


def counted(serving: Serving, model: str, images: np.ndarray, labels: np.ndarray, *names: str) -> Evaluation:
    source = Source("own", names or LABELS, {"validation": Examples(images, labels)})
    with Client(serving.address) as client:
        return recount(client, model, source, batch_size=64, progress=lambda done: None)


async def test_the_client_counts_as_the_trainer_did(serving: Serving) -> None:
    """On the bundle's own validation split, of either task, the count is the claim."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    one, several = tiny_validation(), several_validation()

    found = await asyncio.to_thread(counted, serving, "tiny", one.images, one.labels)
    of_several = await asyncio.to_thread(counted, serving, "several", several.images, several.labels)

    assert found.served == found.claim
    assert of_several.served == of_several.claim
    assert (of_several.served.correct, of_several.served.total) == (270, 300)


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
        ("tiny", True, "own has any number of labels an image, model tiny answers with one"),
        ("several", False, "own has one label an image, model several answers with any number"),
    ],
)
async def test_data_of_another_task_is_no_measure(serving: Serving, model: str, several: bool, says: str) -> None:
    """It is an error, not a low accuracy."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, labels = tiny_several(4) if several else tiny_images(4)

    with pytest.raises(SourceError, match=says):
        await asyncio.to_thread(counted, serving, model, images, labels)
