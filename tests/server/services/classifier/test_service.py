import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import grpc
import numpy as np
import pytest

from tests.server.services.classifier.calls import png, raw, refusal
from tests.support.serving import Serving
from tests.support.tiny import LABELS, publish_tiny, tiny_images
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.session import Outputs
from vouch.server.rpc.stream import STREAM_WINDOW
from vouch.server.services.ranking import highest
from vouch.server.serving.served import Served


async def test_predict_names_the_class_of_each_image(serving: Serving) -> None:
    """Raw pixels in, labels with probabilities out, in the order of the images, with the version that answered."""
    images, labels = tiny_images(40)

    answer = await serving.classifier.Predict(raw(images))

    assert (answer.model, answer.version, answer.top_k) == ("tiny", 1, 1)
    assert list(answer.labels) == [LABELS[label] for label in labels]
    assert all(1 / 3 < probability <= 1 for probability in answer.probabilities)


async def test_top_k_names_classes_in_falling_order_and_no_more_than_there_are(serving: Serving) -> None:
    """The columns hold top_k entries an image, whose probabilities over all classes sum to 1."""
    images, labels = tiny_images(5)

    answer = await serving.classifier.Predict(raw(images, top_k=99))

    probabilities = np.array(answer.probabilities).reshape(5, 3)
    assert answer.top_k == 3
    assert list(answer.labels[::3]) == [LABELS[label] for label in labels]
    assert (np.diff(probabilities, axis=1) <= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


async def test_an_encoded_image_gets_the_same_answer_as_its_pixels(serving: Serving) -> None:
    """A PNG file is decoded by the server to the pixels that raw carries."""
    images, _ = tiny_images(6)

    encoded = await serving.classifier.Predict(
        pb.PredictRequest(encoded=pb.EncodedImages(files=[png(image) for image in images]))
    )

    assert encoded == await serving.classifier.Predict(raw(images))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (pb.PredictRequest(), "expected images, raw or encoded; got neither"),
        (raw(np.zeros((2, 5, 4), np.uint8)), "expected images of shape [N, 4, 4], got [2, 5, 4]"),
        (raw(np.zeros((4, 4), np.uint8)), "expected images of shape [N, 4, 4], got [4, 4]"),
        (raw(np.zeros((0, 4, 4), np.uint8)), "expected 1 to 500 images in a request, got 0"),
        (raw(np.zeros((501, 4, 4), np.uint8)), "expected 1 to 500 images in a request, got 501"),
        (
            pb.PredictRequest(raw=pb.RawImages(pixels=b"123", shape=[1, 4, 4])),
            "expected 16 bytes of pixels for shape [1, 4, 4], got 3",
        ),
        (pb.PredictRequest(raw=pb.RawImages(pixels=b"", shape=[])), "expected images of shape [N, 4, 4], got []"),
        (pb.PredictRequest(encoded=pb.EncodedImages()), "expected 1 to 500 images in a request, got 0"),
        (
            pb.PredictRequest(encoded=pb.EncodedImages(files=[png(np.zeros((4, 4), np.uint8)), b"GIF89a..."])),
            "file 1: expected PNG, JPEG or WebP; found a GIF picture",
        ),
    ],
)
async def test_a_wrong_request_is_told_what_was_expected_and_what_came(
    serving: Serving, request_: pb.PredictRequest, says: str
) -> None:
    """The caller's mistakes are INVALID_ARGUMENT, with both sides in the message."""
    code, details = await refusal(serving.classifier.Predict(request_))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert says in details


async def until_waiting(batcher: Batcher, images: int) -> None:
    async with asyncio.timeout(60):
        while batcher.waiting_images != images:
            await asyncio.sleep(0.01)


async def test_a_request_whose_deadline_passes_in_the_queue_never_reaches_the_model(serving: Serving) -> None:
    """Such a call is DEADLINE_EXCEEDED, and those before it are answered."""
    seen: list[int] = []
    running, let_go = threading.Event(), threading.Event()

    def run(parts: Sequence[np.ndarray]) -> Outputs:
        images = np.concatenate(parts)
        seen.append(len(images))
        running.set()
        assert let_go.wait(60)
        return Outputs(*np.full((2, len(images), 3), 1 / 3, np.float32))

    bundle = publish_tiny(serving.folder)
    batcher = start_batcher(run, Limits(64, 2000))
    serving.published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher))
    images, _ = tiny_images(3)
    first = asyncio.ensure_future(serving.classifier.Predict(raw(images[:1])))
    assert await asyncio.to_thread(running.wait, 60)

    late = asyncio.ensure_future(serving.classifier.Predict(raw(images[:2]), timeout=1))
    await until_waiting(batcher, 2)
    code, _ = await refusal(late)
    await until_waiting(batcher, 0)
    let_go.set()
    await first
    await serving.classifier.Predict(raw(images))

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert seen == [1, 3]


async def test_a_stream_answers_in_order_with_the_ids_and_survives_a_bad_request(serving: Serving) -> None:
    """One request's error is its own answer; the others are answered around it."""
    images, labels = tiny_images(3 * STREAM_WINDOW)

    async def requests() -> AsyncIterator[pb.PredictStreamRequest]:
        for row in range(len(images)):
            yield pb.PredictStreamRequest(
                id=str(row), request=raw(images[row : row + 1]) if row != 5 else pb.PredictRequest(model="none")
            )

    answers = [answer async for answer in serving.classifier.PredictStream(requests())]

    assert [answer.id for answer in answers] == [str(row) for row in range(len(images))]
    assert answers[5].failure.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answers[5].failure.message == "there is no model 'none'; there is tiny"
    given = [answer.response.labels[0] for answer in answers if answer.HasField("response")]
    assert given == [LABELS[label] for row, label in enumerate(labels) if row != 5]


async def test_a_stream_ends_when_the_server_drains_after_what_it_has_read(serving: Serving) -> None:
    """An open stream holds up no drain: its answers come, then UNAVAILABLE."""
    stream = serving.classifier.PredictStream()
    await stream.write(pb.PredictStreamRequest(id="read", request=raw(tiny_images(1)[0])))
    answer = await stream.read()
    async with asyncio.timeout(10):
        await serving.gate.close(60)

    assert answer.id == "read"
    assert await refusal(stream.read()) == (
        grpc.StatusCode.UNAVAILABLE,
        "the server is draining; another server may answer",
    )


async def test_a_cancelled_stream_leaves_nothing_behind(serving: Serving) -> None:
    """Its waiting images are dropped and the version's leases come back, so that it can end."""

    async def requests() -> AsyncIterator[pb.PredictStreamRequest]:
        while True:
            yield pb.PredictStreamRequest(request=raw(tiny_images(10)[0]))

    served = serving.catalog.find("tiny")
    stream = serving.classifier.PredictStream(requests())
    await stream.read()
    stream.cancel()

    async with asyncio.timeout(10):
        await served.end()
    assert served.batcher.waiting_images == 0


async def test_a_swap_ends_the_old_version_only_after_its_calls(serving: Serving) -> None:
    """A call that began with a version is answered by it, though another has been swapped in meanwhile."""
    old = serving.catalog.find("tiny")
    with old.lease():
        serving.install(publish_tiny(serving.folder))
        images, labels = tiny_images(4)

        assert (await serving.classifier.Predict(raw(images))).version == 2
        probabilities, _ = await old.batcher.submit(images)
        assert probabilities.argmax(axis=1).tolist() == labels.tolist()


def test_most_probable_prefers_the_first_of_equals() -> None:
    """Ties are broken alike whatever top_k is, as counting does."""
    probabilities = np.array([[0.2, 0.4, 0.4], [0.5, 0.1, 0.4]], np.float32)

    assert highest(probabilities, 1).classes == [1, 0]
    assert highest(probabilities, 3).classes == [1, 2, 0, 0, 2, 1]


async def test_files_beyond_what_may_wait_for_decoding_are_refused_at_once(serving: Serving) -> None:
    """As the queue of images does it."""
    file = png(np.zeros((4, 4), np.uint8))

    code, details = await refusal(
        serving.classifier.Predict(pb.PredictRequest(encoded=pb.EncodedImages(files=[file] * 101)))
    )

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "0 files wait to be decoded, and the limit is 100; 101 more do not fit" in details


async def test_a_caller_that_hangs_up_is_no_error_of_ours(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged when a stream is dropped with answers unread."""

    async def requests() -> AsyncIterator[pb.PredictStreamRequest]:
        while True:
            yield pb.PredictStreamRequest(request=raw(tiny_images(400)[0], top_k=3))

    served = serving.catalog.find("tiny")
    for _ in range(5):
        stream = serving.classifier.PredictStream(requests())
        await stream.read()
        stream.cancel()
    async with asyncio.timeout(10):
        await served.end()

    assert caplog.text == ""
