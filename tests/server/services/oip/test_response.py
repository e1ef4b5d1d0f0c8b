import struct

import grpc
import numpy as np
import pytest

from tests.server.services.oip.calls import asking, raw_request, typed_request
from tests.support.serving import Serving
from tests.support.tiny import LABELS, tiny_images
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.services.oip.response import Elements
from vouch.server.services.ranking import highest


def byte_elements(raw: bytes) -> list[bytes]:
    """The elements of a BYTES tensor, each behind its length in 4 little-endian bytes."""
    elements = []
    while raw:
        (length,) = struct.unpack_from("<I", raw)
        elements.append(raw[4 : 4 + length])
        raw = raw[4 + length :]
    return elements


def classes(count: int) -> pb.InferParameter:
    return pb.InferParameter(int64_param=count)


async def test_classification_names_the_highest_classes_in_falling_order(serving: Serving) -> None:
    """Value, position and label of each, for the output's own values: no softmax of logits."""
    images, labels = tiny_images(5)
    wanted = [asking("probabilities", classification=classes(2)), asking("logits", classification=classes(2))]

    ranked = await serving.inference.ModelInfer(raw_request(images, outputs=wanted))
    plain = await serving.inference.ModelInfer(raw_request(images))

    assert [(out.name, out.datatype, list(out.shape)) for out in ranked.outputs] == [
        ("probabilities", "BYTES", [5, 2]),
        ("logits", "BYTES", [5, 2]),
    ]
    for content, numbers in zip(ranked.raw_output_contents, plain.raw_output_contents, strict=True):
        values = np.frombuffer(numbers, "<f4").reshape(5, 3)
        rows = np.array([element.decode().split(":") for element in byte_elements(content)]).reshape(5, 2, 3)
        assert rows[:, 0, 1].tolist() == [str(label) for label in labels]
        assert rows[..., 2].tolist() == [[LABELS[int(position)] for position in row] for row in rows[..., 1].tolist()]
        np.testing.assert_allclose(rows[..., 0].astype(float), -np.sort(-values)[:, :2], atol=1e-6)


async def test_a_typed_request_gets_its_classes_typed_and_no_more_than_there_are(serving: Serving) -> None:
    """Beside an output with its values, in one answer."""
    images, _ = tiny_images(2)
    request = typed_request(images)
    request.outputs.extend([asking("logits", classification=classes(9)), asking("probabilities")])

    answer = await serving.inference.ModelInfer(request)

    ranked, plain = answer.outputs
    assert not answer.raw_output_contents
    assert (ranked.datatype, list(ranked.shape), len(ranked.contents.bytes_contents)) == ("BYTES", [2, 3], 6)
    assert (plain.datatype, list(plain.shape), len(plain.contents.fp32_contents)) == ("FP32", [2, 3], 6)


async def test_a_wrong_number_of_classes_is_the_callers_fault(serving: Serving) -> None:
    """INVALID_ARGUMENT, before the model runs."""
    request = raw_request(tiny_images(1)[0], outputs=[asking("logits", classification=classes(0))])

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await serving.inference.ModelInfer(request)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not serving.catalog.find("tiny").statistics.runs


def test_values_have_six_decimals_and_equals_keep_their_order() -> None:
    """As C++ writes a float; labels may be of any script."""
    values = np.array([[-1.5, 2.0, 2.0], [0.1, 1e-9, 1e9]], np.float32)

    written = Elements(("a", "\u03b2", "c:d"), raw=True).joined(*highest(values, 2))

    assert [element.decode() for element in byte_elements(written)] == [
        "2.000000:1:\u03b2",
        "2.000000:2:c:d",
        "1000000000.000000:2:c:d",
        "0.100000:0:a",
    ]
