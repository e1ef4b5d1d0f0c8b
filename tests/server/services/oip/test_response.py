import asyncio
import struct

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.services.oip.calls import asking, raw_request, typed_request
from tests.support.made_up import MadeUp, labelled, serve
from tests.support.serving import Serving
from tests.support.tiny import LABELS, tiny_images
from vouch.bundle.opening import Bundle
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.model.session import Outputs
from vouch.server.rpc.context import CallContext
from vouch.server.services.oip.response import Elements
from vouch.server.services.oip.service import Inference
from vouch.server.services.predictor import Predictor
from vouch.server.services.ranking import highest
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness


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


NAMES = [f"label {k}" * (k % 40) for k in range(50)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of 50 classes, with labels of up to 300 characters."""
    return labelled(tmp_path_factory.mktemp("models"), NAMES)


async def infer(bundle: Bundle, request: pb.ModelInferRequest) -> bytes:
    """The answer as it goes out."""
    catalog = Catalog()
    serve(catalog, bundle, MadeUp(len(NAMES)))
    predictor = Predictor(catalog, no_files, 5000, 1 << 26)
    service = Inference(catalog, Gate(), Readiness(), predictor)
    (method,) = (method for method in service.methods() if method.path.endswith("/ModelInfer"))
    assert method.wire is not None
    parts = method.wire(request.SerializeToString(), CallContext())
    whole = b"".join(parts if isinstance(parts, tuple) else await parts)
    await catalog.close()
    return whole


async def no_files(*_: object) -> np.ndarray:
    raise AssertionError


def as_protobuf_writes(request: pb.ModelInferRequest, images: np.ndarray) -> pb.ModelInferResponse:
    """The same answer by the simplest means."""
    outputs = MadeUp(len(NAMES))([images])
    answer = pb.ModelInferResponse(model_name="tiny", model_version="1", id=request.id)
    wanted = [(output.name, output.parameters["classification"].int64_param) for output in request.outputs]
    for name, asked in wanted or [(name, 0) for name in Outputs._fields]:
        values, top_k = getattr(outputs, name), min(asked, len(NAMES))
        order = np.argsort(-values, axis=1, kind="stable")[:, :top_k]
        classes = [f"{row[k]:.6f}:{k}:{NAMES[k]}".encode() for row, ks in zip(values, order, strict=True) for k in ks]
        shape = (len(images), top_k or len(NAMES))
        tensor = answer.outputs.add(name=name, datatype="BYTES" if top_k else "FP32", shape=shape)
        if request.raw_input_contents:
            ranked = b"".join(struct.pack("<I", len(one)) + one for one in classes)
            answer.raw_output_contents.append(ranked if top_k else values.tobytes())
        elif top_k:
            tensor.contents.bytes_contents.extend(classes)
        else:
            tensor.contents.fp32_contents.extend(values.ravel())
    return answer


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 30),
    wanted=st.permutations(["probabilities", "logits"]),
    top_k=st.lists(st.sampled_from([0, 1, 7, 50, 1000]), max_size=2),
    typed=st.booleans(),
    name=st.sampled_from(["", "my own"]),
)
def test_an_answer_in_parts_is_what_protobuf_would_write(
    bundle: Bundle, count: int, wanted: list[str], top_k: list[int], typed: bool, name: str
) -> None:
    """Values and classes, in any order, raw and typed, with an id and without."""
    images = np.random.default_rng(count).integers(0, 256, (count, 4, 4), dtype=np.uint8)
    request = typed_request(images) if typed else raw_request(images)
    request.id = name
    for output, k in zip(wanted, top_k, strict=False):
        request.outputs.append(asking(output, classification=classes(k)) if k else asking(output))

    answer = asyncio.run(infer(bundle, request))

    expected = as_protobuf_writes(request, images)
    assert pb.ModelInferResponse.FromString(answer) == expected
    assert len(answer) == expected.ByteSize()


@pytest.mark.parametrize("typed", [False, True])
async def test_an_answer_written_in_a_thread_piece_by_piece_is_the_same(bundle: Bundle, typed: bool) -> None:
    """Of so many images that they take several pieces."""
    images = np.random.default_rng(0).integers(0, 256, (3000, 4, 4), dtype=np.uint8)
    request = typed_request(images) if typed else raw_request(images)
    request.outputs.extend([asking("logits", classification=classes(50)), asking("probabilities")])

    answer = await infer(bundle, request)

    assert pb.ModelInferResponse.FromString(answer) == as_protobuf_writes(request, images)
