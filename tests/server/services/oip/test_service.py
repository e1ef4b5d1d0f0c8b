from typing import Any

import grpc
import numpy as np
import pytest

from tests.server.services.oip.calls import raw_request, typed_request
from tests.support.facts import on_lite0
from tests.support.serving import Serving
from tests.support.tiny import LABELS, publish_tiny, random_validation, tiny_images
from vouch.protos.inference import inference_pb2 as pb


def one_tensor(**fields: Any) -> pb.ModelInferRequest:
    request = raw_request(np.zeros((1, 4, 4), np.uint8))
    for name, value in fields.items():
        setattr(request.inputs[0], name, value)
    return request


IMAGE = np.zeros((1, 4, 4), np.uint8)


async def test_raw_pixels_are_answered_raw(serving: Serving) -> None:
    """Probabilities and logits come as little-endian float32, one raw entry an output, under the request's id."""
    images, labels = tiny_images(20)

    answer = await serving.inference.ModelInfer(raw_request(images, id="abc"))

    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "1", "abc")
    assert [(out.name, out.datatype, list(out.shape)) for out in answer.outputs] == [
        ("probabilities", "FP32", [20, 3]),
        ("logits", "FP32", [20, 3]),
    ]
    probabilities, logits = (np.frombuffer(raw, "<f4").reshape(20, 3) for raw in answer.raw_output_contents)
    assert probabilities.argmax(axis=1).tolist() == labels.tolist()
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), probabilities, atol=1e-6)


async def test_typed_pixels_are_answered_typed_with_the_same_values(serving: Serving) -> None:
    """A client that cannot write raw contents need not read them."""
    images, _ = tiny_images(3)

    typed = await serving.inference.ModelInfer(typed_request(images))
    raw = await serving.inference.ModelInfer(raw_request(images))

    assert not typed.raw_output_contents
    for output, content in zip(typed.outputs, raw.raw_output_contents, strict=True):
        assert output.contents.fp32_contents == np.frombuffer(content, "<f4").tolist()


async def test_only_the_named_outputs_come_in_their_order(serving: Serving) -> None:
    """An output that is not asked for is not sent."""
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in ("logits", "probabilities")]

    both = await serving.inference.ModelInfer(raw_request(IMAGE, outputs=wanted))
    one = await serving.inference.ModelInfer(raw_request(IMAGE, outputs=wanted[:1]))

    assert [output.name for output in both.outputs] == ["logits", "probabilities"]
    assert [output.name for output in one.outputs] == ["logits"]
    assert len(one.raw_output_contents) == 1


async def test_parameters_that_clients_always_send_are_taken(serving: Serving) -> None:
    """Unknown request parameters change nothing."""
    parameters = {
        "triton_enable_empty_final_response": pb.InferParameter(bool_param=False),
        "priority": pb.InferParameter(uint64_param=1),
        "colour": pb.InferParameter(string_param="blue"),
    }

    answer = await serving.inference.ModelInfer(raw_request(IMAGE, parameters=parameters))

    assert len(answer.outputs) == 2


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (pb.ModelInferRequest(), "expected one input 'images', got []"),
        (one_tensor(name="pixels"), "expected one input 'images', got ['pixels']"),
        (one_tensor(datatype="FP32"), "expected datatype UINT8 for 'images', got 'FP32'"),
        (raw_request(np.zeros((1, 28, 28), np.uint8)), "expected images of shape [N, 4, 4], got [1, 28, 28]"),
        (raw_request(np.zeros((0, 4, 4), np.uint8)), "expected 1 to 500 images in a request, got 0"),
        (raw_request(np.zeros((501, 4, 4), np.uint8)), "expected 1 to 500 images in a request, got 501"),
        (raw_request(IMAGE, raw_input_contents=[b"12"]), "expected 16 bytes of pixels for shape [1, 4, 4], got 2"),
        (raw_request(IMAGE, raw_input_contents=[b"", b""]), "expected 1 entry in raw_input_contents, got 2"),
        (raw_request(IMAGE, model_version="abc"), "expected a version that is a positive integer, got 'abc'"),
        (raw_request(IMAGE, model_version="-1"), "expected a version that is a positive integer, got '-1'"),
        (typed_request(IMAGE, uint_contents=[1, 2]), "expected 16 values for shape [1, 4, 4], got 2"),
        (typed_request(IMAGE, uint_contents=[256] * 16), "expected UINT8 values from 0 to 255, got 256"),
        (typed_request(IMAGE, fp32_contents=[1.0] * 16), "values in uint_contents, got ['fp32_contents']"),
        (typed_request(IMAGE, bool_contents=[], int_contents=[]), "in uint_contents, got no contents"),
        (
            raw_request(IMAGE, inputs=[typed_request(IMAGE).inputs[0]]),
            "expected either contents or raw_input_contents, got both",
        ),
        (
            raw_request(IMAGE, outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="labels")]),
            "expected outputs among ['probabilities', 'logits'], each once; got ['labels']",
        ),
        (
            raw_request(
                IMAGE,
                outputs=[
                    pb.ModelInferRequest.InferRequestedOutputTensor(
                        name="logits", parameters={"shared_memory_region": pb.InferParameter(string_param="r")}
                    )
                ],
            ),
            "parameter 'shared_memory_region' is not supported",
        ),
    ],
)
async def test_a_wrong_request_is_told_what_was_expected_and_what_came(
    serving: Serving, request_: pb.ModelInferRequest, says: str
) -> None:
    """The caller's mistakes are INVALID_ARGUMENT, with both sides in the message."""
    request_.model_name = request_.model_name or "tiny"

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await serving.inference.ModelInfer(request_)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert says in (failure.value.details() or "")


@pytest.mark.parametrize("shape", [[-1, 4, 4], [2**62, 4, 4], [1, 2**62, 2**62], [-4, -4, 1]])
async def test_absurd_shapes_are_refused_before_anything_is_allocated(serving: Serving, shape: list[int]) -> None:
    """Negative dimensions and products that overflow are INVALID_ARGUMENT, raw or typed."""
    for request in (raw_request(IMAGE), typed_request(IMAGE)):
        del request.inputs[0].shape[:]
        request.inputs[0].shape.extend(shape)

        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await serving.inference.ModelInfer(request)

        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_metadata_describes_tensors_and_carries_claim_and_served_accuracy(serving: Serving) -> None:
    """`properties` has what the protocol has no field for."""
    about = await serving.inference.ModelMetadata(pb.ModelMetadataRequest(name="tiny"))

    assert (about.name, list(about.versions)) == ("tiny", ["1"])
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in about.inputs] == [
        ("images", "UINT8", [-1, 4, 4])
    ]
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in about.outputs] == [
        ("probabilities", "FP32", [-1, 3]),
        ("logits", "FP32", [-1, 3]),
    ]
    properties = dict(about.properties)
    assert properties.pop("digest") == serving.catalog.find("tiny").bundle.digest
    assert properties == {
        "labels": "\n".join(LABELS),
        "decoding.rules": "4",
        "decoding.bits": "16",
        "decoding.ground": "#ffffff",
        "decoding.fit": "stretch",
        "claim.correct": "270",
        "claim.total": "300",
        "claim.accuracy": "0.900000",
        "claim.balanced": "0.899241",
        "claim.baseline": "0.353333",
        "served.correct": "270",
        "served.total": "300",
        "served.accuracy": "0.900000",
        "caveats": "",
    }


async def test_metadata_says_what_speaks_against_a_model(serving: Serving) -> None:
    """A line for each caveat."""
    serving.install(publish_tiny(serving.folder, "tossed", validation=random_validation()))

    properties = (await serving.inference.ModelMetadata(pb.ModelMetadataRequest(name="tossed"))).properties

    chance, *promises = properties["caveats"].splitlines()
    assert chance.startswith("no better than chance: ")
    assert [line[:33] for line in promises] == [
        "the promised coverage of 90% was ",
        "the promised coverage of 99% was ",
    ]
    assert properties["claim.baseline"] == "0.346667"


async def test_metadata_names_the_backbone(serving: Serving) -> None:
    """Where there is one, with licence and digest."""
    serving.install(on_lite0(publish_tiny(serving.folder, "photos")))

    properties = (await serving.inference.ModelMetadata(pb.ModelMetadataRequest(name="photos"))).properties

    assert {name: value for name, value in properties.items() if name.startswith("backbone.")} == {
        "backbone.name": "lite0",
        "backbone.licence": "Apache-2.0",
        "backbone.source": "a package 0.1.0",
        "backbone.weights_sha256": "a" * 64,
        "backbone.fine_tuned": "false",
    }


async def test_health_calls_tell_live_ready_and_which_model(serving: Serving) -> None:
    """A known model that is not served is not ready; an unknown one is NOT_FOUND."""
    serving.published.refuse("broken", 1, "why")
    ready = {
        (name, version): (await serving.inference.ModelReady(pb.ModelReadyRequest(name=name, version=version))).ready
        for name, version in [("tiny", ""), ("tiny", "1"), ("tiny", "2"), ("broken", "")]
    }

    assert (await serving.inference.ServerLive(pb.ServerLiveRequest())).live
    assert (await serving.inference.ServerReady(pb.ServerReadyRequest())).ready
    assert ready == {("tiny", ""): True, ("tiny", "1"): True, ("tiny", "2"): False, ("broken", ""): False}
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await serving.inference.ModelReady(pb.ModelReadyRequest(name="none"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_server_says_what_it_is(serving: Serving) -> None:
    """Name and version of the software, and the extensions that are there, spelled as Triton does."""
    about = await serving.inference.ServerMetadata(pb.ServerMetadataRequest())

    assert about.name == "vouch"
    assert about.version[0].isdigit()
    assert list(about.extensions) == ["classification", "model_configuration", "model_repository", "statistics"]
