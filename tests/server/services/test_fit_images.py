import asyncio
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.server.services.classifier.calls import png, raw
from tests.support.serving import Serving
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.listed import FIT_DIGESTS
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.services.fit_images import Compared, FitImages
from vouch.server.services.images import Images

FIT = tiny_images(150, seed=5)[0]
STRANGE = tiny_images(150, seed=6)[0]
ASKING = (("vouch-count-fit-images", "1"),)


def request(images: np.ndarray, model: str = "seen") -> pb.PredictStreamRequest:
    return pb.PredictStreamRequest(request=raw(images, model=model))


async def told(
    serving: Serving, requests: Iterable[pb.PredictStreamRequest], metadata: tuple[tuple[str, str], ...] = ASKING
) -> tuple[list[pb.PredictStreamResponse], dict[str, str]]:
    """The answers of a stream, and what its end says beside."""
    call = serving.classifier.PredictStream(iter(requests), metadata=metadata, timeout=60)
    answers = [answer async for answer in call]
    return answers, {str(key): str(value) for key, value in await call.trailing_metadata() or ()}


async def test_the_end_of_a_stream_says_how_many_images_the_model_was_fitted_to(serving: Serving) -> None:
    """Whether pixels or files come, and beside answers that are the same."""
    serving.install(publish_tiny(serving.folder, "seen", fit=FIT))
    files = pb.PredictRequest(model="seen", encoded=pb.EncodedImages(files=[png(image) for image in FIT[:20]]))
    requests = [request(FIT[20:80]), request(STRANGE[:70]), pb.PredictStreamRequest(id="files", request=files)]

    answers, trailers = await told(serving, requests)
    plain, nothing = await told(serving, requests, ())

    assert (trailers["vouch-compared-images"], trailers["vouch-fit-images"]) == ("150", "80")
    assert answers == plain
    assert not [name for name in nothing if name.startswith("vouch")]


@pytest.mark.parametrize("model", ["seen", "tiny"])
async def test_nothing_is_told_of_few_images_or_of_a_model_without_digests(serving: Serving, model: str) -> None:
    """A number of few images would tell of single ones; refused images are none."""
    serving.install(publish_tiny(serving.folder, "seen", fit=FIT))
    images = FIT[:99] if model == "seen" else FIT
    no_image = pb.PredictRequest(model=model, encoded=pb.EncodedImages(files=[b"no image"]))

    answers, trailers = await told(serving, [request(images, model), pb.PredictStreamRequest(request=no_image)])

    assert [answer.WhichOneof("result") for answer in answers] == ["response", "failure"]
    assert not [name for name in trailers if name.startswith("vouch")]


async def test_without_its_digests_a_stream_is_answered_all_the_same(serving: Serving) -> None:
    """Where the file is no longer what was published, the log says so and the end says nothing."""
    bundle = publish_tiny(serving.folder, "seen", fit=FIT)
    serving.install(bundle)
    (bundle.path / FIT_DIGESTS).write_bytes(b"something else")

    answers, trailers = await told(serving, [request(FIT)])

    assert answers[0].response.model == "seen"
    assert not [name for name in trailers if name.startswith("vouch")]


async def load(_: Hold) -> np.ndarray:
    return FIT


IMAGES = Images(len(FIT), True, load)


async def stream(fit_images: FitImages, bundle: Bundle, hold: Hold) -> tuple[dict[str, str], int]:
    """What a stream of these images is told, and of how many bundles digests were in memory meanwhile."""
    compared = Compared(fit_images, hold)
    await compared.load(bundle, IMAGES)(Hold())
    return dict(compared.trailers()), len(fit_images._loaded)


async def test_digests_are_in_memory_as_long_as_a_stream_asks(tmp_path: Path) -> None:
    """They are counted in the budget meanwhile; where it has no room, nothing is read and nothing is said."""
    bundle, fit_images = publish_tiny(ModelsFolder(tmp_path), fit=FIT), FitImages()
    hold, full = Hold(worker_budget(1 << 20)), Hold(worker_budget(1000))

    untold, none = await asyncio.create_task(stream(fit_images, bundle, full))
    told, loaded = await asyncio.create_task(stream(fit_images, bundle, hold))

    assert (told, loaded) == ({"vouch-compared-images": "150", "vouch-fit-images": "150"}, 1)
    assert hold.bytes == bundle.manifest.files[FIT_DIGESTS].size
    assert (untold, none, full.bytes) == ({}, 0, 0)
    async with asyncio.timeout(60):
        while fit_images._loaded:  # the thread that has read them lets go of them a moment later
            await asyncio.sleep(0.01)
