import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
import numpy as np
import pytest

from tests.server.services.oip.calls import raw_request
from tests.support.serving import Serving
from tests.support.tiny import publish_tiny, tiny_images
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.rpc.stream import STREAM_WINDOW


async def sending(*requests: pb.ModelInferRequest) -> AsyncIterator[pb.ModelInferRequest]:
    for request in requests:
        yield request


async def test_a_stream_answers_in_order_each_answer_marked_as_final(serving: Serving) -> None:
    """One response a request, as ModelInfer gives it, and nothing more is to come for it."""
    images, labels = tiny_images(3 * STREAM_WINDOW)
    requests = [raw_request(images[row : row + 1], id=str(row)) for row in range(len(images))]

    answers = [answer async for answer in serving.inference.ModelStreamInfer(sending(*requests))]

    assert {answer.error_message for answer in answers} == {""}
    assert [answer.infer_response.id for answer in answers] == [str(row) for row in range(len(images))]
    assert all(answer.infer_response.parameters["triton_final_response"].bool_param for answer in answers)
    given = [np.frombuffer(answer.infer_response.raw_output_contents[0], "<f4").argmax() for answer in answers]
    assert given == labels.tolist()


async def test_one_stream_may_carry_requests_for_any_model(serving: Serving) -> None:
    """Each is answered by the model that it names."""
    serving.install(publish_tiny(serving.folder, name="other"))
    image, _ = tiny_images(1)

    requests = [raw_request(image, model_name=name) for name in ("tiny", "other")]
    answers = [answer async for answer in serving.inference.ModelStreamInfer(sending(*requests))]

    assert [answer.infer_response.model_name for answer in answers] == ["tiny", "other"]


async def test_a_failed_request_is_answered_by_its_error_and_the_stream_goes_on(serving: Serving) -> None:
    """Its id tells which it was; nothing else is filled in."""
    image, _ = tiny_images(1)
    requests = [
        raw_request(image, id="bad", model_name="none"),
        raw_request(image, id="worse", raw_input_contents=[b"12"]),
        raw_request(image, id="good"),
    ]

    bad, worse, good = [answer async for answer in serving.inference.ModelStreamInfer(sending(*requests))]

    assert bad.error_message == "there is no model 'none'; there is tiny"
    assert bad.infer_response == pb.ModelInferResponse(id="bad")
    assert worse.error_message == "expected 16 bytes of pixels for shape [1, 4, 4], got 2"
    assert worse.infer_response == pb.ModelInferResponse(id="worse")
    assert (good.error_message, good.infer_response.id) == ("", "good")


@pytest.mark.parametrize(("value", "ends"), [("true", True), ("false", False)])
async def test_with_the_metadata_an_error_ends_the_stream_by_its_status(
    serving: Serving, value: str, ends: bool
) -> None:
    """What came before is answered, and the status is the error's own; only `true` asks for it."""
    image, _ = tiny_images(1)
    requests = [raw_request(image, id="good"), raw_request(image, model_name="none"), raw_request(image)]
    stream = serving.inference.ModelStreamInfer(sending(*requests), metadata=(("triton_grpc_error", value),))
    given: list[str] = []
    with suppress(grpc.aio.AioRpcError):
        async for answer in stream:
            given.append(answer.error_message)

    assert await stream.code() is (grpc.StatusCode.NOT_FOUND if ends else grpc.StatusCode.OK)
    assert given == ([""] if ends else ["", "there is no model 'none'; there is tiny", ""])


async def test_a_stream_ends_when_the_server_drains_after_what_it_has_read(serving: Serving) -> None:
    """An open stream holds up no drain: its answers come, then UNAVAILABLE."""
    stream = serving.inference.ModelStreamInfer()
    await stream.write(raw_request(tiny_images(1)[0], id="read"))
    answer = await stream.read()
    async with asyncio.timeout(10):
        await serving.gate.close(60)

    assert answer.infer_response.id == "read"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stream.read()
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
