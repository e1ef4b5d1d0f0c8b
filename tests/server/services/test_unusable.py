"""A model that answers some images with NaN: their calls fail, on every path, and nobody else's."""

import asyncio

import grpc
import numpy as np
import pytest

from tests.server.services.classifier.calls import png, raw, refusal
from tests.server.services.oip.calls import asking, raw_request, typed_request
from tests.support.serving import Serving
from tests.support.tiny import publish_tiny, tiny_images, treacherous_graph
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.model.session import Outputs
from vouch.server.model.usable import unusable_in, usable_rows
from vouch.server.services.oip.service import END_STREAM_BY_ERROR
from vouch.server.serving.served import Served

GOOD = tiny_images(6)[0]
BAD = GOOD.copy()
BAD[[2, 4], -1, -1] = 255
ONE_BAD = GOOD.copy()
ONE_BAD[3, -1, -1] = 255
SENTENCE = (
    "the model has no usable answer to image 2 (the first is 0), nor to 1 more: its values are not finite or are no "
    "probabilities"
)
INTERNAL = (grpc.StatusCode.INTERNAL, SENTENCE)
CLASSES = [asking("probabilities", classification=inference_pb2.InferParameter(int64_param=2))]


@pytest.fixture(params=[0, 64], ids=["queued", "at once"])
async def treacherous(request: pytest.FixtureRequest, serving: Serving) -> Served:
    """Served with runs in the batcher's thread alone, and on the event loop."""
    serving.inline_images = request.param
    return serving.install(publish_tiny(serving.folder, graph=treacherous_graph()))


async def test_a_call_with_such_an_image_is_told_which(serving: Serving, treacherous: Served) -> None:
    """Raw and encoded, fast and slow, values and classes; calls without one are answered all the same."""
    for images, answered in ((GOOD, True), (BAD, False)):
        calls = [
            serving.classifier.Predict(raw(images)),
            serving.classifier.Predict(raw(images, top_k=2)),
            serving.classifier.Predict(raw(images, coverage=0.9)),
            serving.classifier.Predict(pb.PredictRequest(encoded=pb.EncodedImages(files=list(map(png, images))))),
            serving.inference.ModelInfer(raw_request(images)),
            serving.inference.ModelInfer(raw_request(images, id="a")),
            serving.inference.ModelInfer(typed_request(images)),
            serving.inference.ModelInfer(raw_request(images, outputs=CLASSES)),
            serving.inference.ModelInfer(raw_request(images, outputs=[asking("logits")])),
        ]
        for call in calls:
            if answered:
                assert await call
            else:
                assert await refusal(call) == INTERNAL
    assert treacherous.statistics.unusable_images == 18
    assert treacherous.statistics.fail.count == 9
    assert treacherous.statistics.queue.count == 9
    assert serving.ended() == {
        (method, code): count for method, count in (("Predict", 4), ("ModelInfer", 5)) for code in ("OK", "INTERNAL")
    }


async def test_others_in_the_same_batch_are_answered(serving: Serving, treacherous: Served) -> None:
    """Whatever ran together."""
    calls = [serving.classifier.Predict(raw(ONE_BAD if turn % 5 == 0 else GOOD)) for turn in range(50)]
    ended = await asyncio.gather(*calls, return_exceptions=True)

    alone = (await serving.classifier.Predict(raw(GOOD))).labels
    for answer in ended[::5]:
        assert isinstance(answer, grpc.aio.AioRpcError)
        assert answer.code() is grpc.StatusCode.INTERNAL
        assert "image 3 (the first is 0):" in (answer.details() or "")
    del ended[::5]
    assert [answer for answer in ended if isinstance(answer, BaseException) or answer.labels != alone] == []
    assert treacherous.statistics.unusable_images == 10


@pytest.mark.usefixtures("treacherous")
async def test_a_request_in_several_runs_is_told_the_image_among_its_own(serving: Serving) -> None:
    images = tiny_images(300)[0]
    images[250, -1, -1] = 255

    code, details = await refusal(serving.classifier.Predict(raw(images)))

    assert code is grpc.StatusCode.INTERNAL
    assert "image 250 (the first is 0):" in details
    assert len((await serving.classifier.Predict(raw(images[:250]))).labels) == 250


@pytest.mark.usefixtures("treacherous")
async def test_a_stream_goes_on(serving: Serving) -> None:
    """The message has a failure for its answer, those around it their own."""
    requests = [pb.PredictStreamRequest(id=str(n), request=raw(BAD if n == 1 else GOOD)) for n in range(3)]
    answers = [answer async for answer in serving.classifier.PredictStream(iter(requests))]

    assert [answer.WhichOneof("result") for answer in answers] == ["response", "failure", "response"]
    assert (answers[1].failure.code, answers[1].failure.message) == (13, SENTENCE)
    assert serving.ended() == {("PredictStream", "OK"): 2, ("PredictStream", "INTERNAL"): 1}


@pytest.mark.usefixtures("treacherous")
async def test_an_open_inference_stream_goes_on_or_ends(serving: Serving) -> None:
    """As its caller wants it."""
    requests = [raw_request(BAD if n == 1 else GOOD) for n in range(3)]
    answers = [answer async for answer in serving.inference.ModelStreamInfer(iter(requests))]
    ending = serving.inference.ModelStreamInfer(metadata=((END_STREAM_BY_ERROR, "true"),))

    assert [answer.error_message for answer in answers] == ["", SENTENCE, ""]
    await ending.write(raw_request(GOOD))
    assert await ending.read()
    await ending.write(raw_request(BAD))  # the last: a client that still writes when a stream ends makes up a reason
    with pytest.raises(grpc.aio.AioRpcError):
        await ending.read()
    assert (await ending.code(), await ending.details()) == INTERNAL


async def test_finite_values_that_are_no_probabilities_are_no_answer(serving: Serving) -> None:
    """A row below 0, above 1 or of another sum, as `usable_rows` sees each."""
    manifest = publish_tiny(serving.folder).manifest
    several = publish_tiny(serving.folder, "several", task="multi_label").manifest
    good = np.full((300, 3), 1 / 3, np.float32)
    zeros = np.zeros_like(good)
    assert unusable_in(manifest)((good, zeros)) is None
    for row in ((1.5, -0.5, 0), (0.5, 0.5, 0.5), (0, 0, 0), (np.nan, 0.5, 0.5), (np.inf, 0, 0)):
        values = good.copy()
        values[7] = row
        found = unusable_in(manifest)((values, zeros))
        assert found is not None
        assert np.flatnonzero(found).tolist() == [7]
        assert np.flatnonzero(~usable_rows(Outputs(values, zeros), sums=True)).tolist() == [7]
        in_range = min(row) >= 0 and max(row) <= 1
        assert (unusable_in(several)((values, zeros)) is None) == in_range
    logits = zeros.copy()
    logits[3, 1] = -np.inf
    found = unusable_in(several)((good, logits))
    assert found is not None
    assert np.flatnonzero(found).tolist() == [3]


async def test_rounding_of_many_rows_is_no_fault(serving: Serving) -> None:
    """What the quick look at a batch does not settle, the look at each row does."""
    manifest = publish_tiny(serving.folder).manifest
    values = np.full((10_000, 3), (1 + 9e-4) / 3, np.float32)

    assert unusable_in(manifest)((values, values)) is None
