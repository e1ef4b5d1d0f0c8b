import gzip
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.rest.conftest import MAX_MESSAGE_BYTES, MAX_REQUEST_IMAGES, Rest, deflated
from tests.support.tiny import LABELS, tiny_images
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.rpc.context import CallContext

PATH = "/v2/models/tiny/infer"


def asking(images: np.ndarray, **more: Any) -> dict[str, Any]:
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    return {"inputs": [tensor], **more}


def binary(images: np.ndarray, **more: Any) -> tuple[bytes, int]:
    """A body, and how many bytes of it are JSON."""
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8"}
    text = orjson.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": images.nbytes}}], **more})
    return text + images.tobytes(), len(text)


async def over_grpc(rest: Rest, images: np.ndarray) -> pb.ModelInferResponse:
    (method,) = (one for one in rest.methods if one.path.endswith("/ModelInfer"))
    tensor = pb.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=images.shape)
    request = pb.ModelInferRequest(model_name="tiny", inputs=[tensor], raw_input_contents=[images.tobytes()])
    answer: pb.ModelInferResponse = await method.function(request, CallContext())
    return answer


async def test_json_has_every_float_exactly_as_grpc_has_it(rest: Rest) -> None:
    """Of both outputs; a reader of doubles gets the very value."""
    images, _ = tiny_images(7)
    answer = (await rest.infer(asking(images, id="a-1"))).json

    assert {key: answer[key] for key in ("model_name", "model_version", "id")} == {
        "model_name": "tiny",
        "model_version": "1",
        "id": "a-1",
    }
    raw = (await over_grpc(rest, images)).raw_output_contents
    for output, content in zip(answer["outputs"], raw, strict=True):
        assert output["shape"] == [7, 3]
        assert output["datatype"] == "FP32"
        assert output["data"] == np.frombuffer(content, "<f4").astype(float).tolist()


async def test_binary_tensors_come_and_go(rest: Rest) -> None:
    """All outputs in binary, or one of them, as Triton's extension has it."""
    images, _ = tiny_images(3)
    raw = list((await over_grpc(rest, images)).raw_output_contents)
    body, length = binary(images, parameters={"binary_data_output": True})
    answer = await rest.ask("POST", PATH, body, inference_header_content_length=str(length))
    head = int(answer.headers["inference-header-content-length"])

    assert answer.kind == "application/octet-stream"
    assert answer.body[head:] == b"".join(raw)
    assert [one["parameters"]["binary_data_size"] for one in orjson.loads(answer.body[:head])["outputs"]] == [36, 36]

    wanted = [{"name": "logits", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    body, length = binary(images, outputs=wanted)
    answer = await rest.ask("POST", PATH, body, inference_header_content_length=str(length))
    head = int(answer.headers["inference-header-content-length"])
    logits, probabilities = orjson.loads(answer.body[:head])["outputs"]
    assert answer.body[head:] == raw[1]
    assert "data" not in logits
    assert len(probabilities["data"]) == 9


async def test_requests_that_differ_in_pixels_alone_are_each_answered(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after others have come between, and where the tensor is as long and the JSON says something else."""
    images, _ = tiny_images(6)
    app = rest.app()
    monkeypatch.setattr(rest, "app", lambda: app)
    for count in (3, 2, 3):
        for first in (0, 3):
            chosen = images[first : first + count]
            body, length = binary(chosen, parameters={"binary_data_output": True})
            answer = await rest.ask("POST", PATH, body, inference_header_content_length=str(length))
            said = orjson.loads(answer.body[: int(answer.headers["inference-header-content-length"])])

            assert said["outputs"][0]["shape"] == [count, 3]
            assert answer.body[-24 * count :] == b"".join((await over_grpc(rest, chosen)).raw_output_contents)

    body, length = binary(images[:3], outputs=[{"name": "logits"}])
    answer = await rest.ask("POST", PATH, body, inference_header_content_length=str(length))
    assert [one["name"] for one in answer.json["outputs"]] == ["logits"]
    answer = await rest.ask("POST", PATH, body + b"1", inference_header_content_length=str(length))
    assert answer.status == 400


async def test_nested_data_is_the_same_as_flat(rest: Rest) -> None:
    """As `numpy.ndarray.tolist` gives it."""
    images, labels = tiny_images(4)
    request = asking(images)
    request["inputs"][0]["data"] = images.tolist()
    probabilities = (await rest.infer(request)).json["outputs"][0]["data"]

    assert np.reshape(probabilities, (4, 3)).argmax(1).tolist() == labels.tolist()


async def test_classes_are_named_where_they_are_asked_for(rest: Rest) -> None:
    """Value, position and label, as a list of texts."""
    images, labels = tiny_images(2)
    wanted = [{"name": "probabilities", "parameters": {"classification": 1}}]
    (output,) = (await rest.infer(asking(images, outputs=wanted))).json["outputs"]

    assert output["datatype"] == "BYTES"
    assert [text.split(":")[1:] for text in output["data"]] == [[str(label), LABELS[label]] for label in labels]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", deflated)]
)
async def test_bodies_may_be_compressed(rest: Rest, encoding: str, pack: Any) -> None:
    """And answers are, for those who take that and where it is worth it."""
    images, _ = tiny_images(200)
    body = pack(orjson.dumps(asking(images)))
    answer = await rest.ask(
        "POST", PATH, body, kind="application/json", content_encoding=encoding, accept_encoding="br, gzip;q=0.5"
    )

    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json["outputs"][0]["data"]) == 600
    assert len(answer.body) < len(answer.content) / 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"inputs": 5}, "expected a list as inputs of the request, got 5"),
        ({"inputs": [5]}, "expected an object as input 0, got 5"),
        ({"inputs": []}, "expected one input 'images', got []"),
        ({"colour": 1}, "unknown field 'colour' of the request: expected id, parameters, inputs, outputs"),
        ({"outputs": [{"name": "colours"}]}, "expected outputs among"),
        ({"outputs": [{"name": "logits", "parameters": {"binary_data": 1}}]}, "expected true or false for parameter"),
        ({"parameters": {"a": [1]}}, "expected a string, a number, true or false as parameter 'a'"),
        ({"parameters": {"sequence_start": "yes"}}, "sequence_start"),
        ({"parameters": {str(number): 1 for number in range(33)}}, "expected at most 32 parameters, got 33"),
        ({"outputs": [{"name": "logits"}] * 17}, "expected at most 16 outputs, got 17"),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(rest: Rest, changed: dict[str, Any], words: str) -> None:
    """As a problem document, whose sentence Triton's clients find as `error`."""
    answer = await rest.infer(asking(tiny_images(1)[0]) | changed)

    assert (answer.status, answer.kind) == (400, "application/problem+json")
    assert answer.json["title"] == "Bad Request"
    assert words in answer.json["detail"]
    assert answer.json["error"] == answer.json["detail"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": [0] * 15 + [256]}, "expected UINT8 values from 0 to 255 as data of 'images', got 256"),
        ({"data": [0] * 15 + [-1]}, "got -1"),
        ({"data": [0] * 15 + [0.5]}, "got 0.5"),
        ({"data": [0] * 15 + [True]}, "got true"),
        ({"data": [0] * 15 + ["a"]}, "got 'a'"),
        ({"data": [[0] * 8, 1]}, "expected lists of one depth"),
        ({"data": [0] * 15}, "expected 16 bytes of pixels for shape [1, 4, 4], got 15"),
        ({"data": None}, "expected a list as data of input 0, got null"),
        ({"shape": [1, 4, -4]}, "expected at most 8 integers of 0 or more as shape"),
        ({"shape": [1] * 9}, "expected at most 8 integers"),
        ({"shape": [1, 4, 5]}, "expected images of shape [N, 4, 4], got [1, 4, 5]"),
        ({"datatype": "FP32"}, "expected datatype UINT8 for 'images', got 'FP32'"),
        ({"parameters": {"binary_data_size": 16}}, "has both data and binary_data_size"),
        ({"name": "pictures"}, "expected one input 'images'"),
    ],
)
async def test_a_wrong_tensor_is_told_what_is_wrong(rest: Rest, changed: dict[str, Any], words: str) -> None:
    """Pixels are whole numbers of a byte; nothing is rounded, cut or guessed."""
    request = asking(tiny_images(1)[0])
    request["inputs"][0] |= changed
    answer = await rest.infer(request)

    assert answer.status == 400
    assert words in answer.json["detail"]


@pytest.mark.parametrize(
    ("length", "size", "words"),
    [
        ("x", 16, "expected inference-header-content-length to be the number of bytes of JSON"),
        ("9999", 16, "in the body, at most"),
        ("", 17, "expected binary_data_size of input 'images' to be at most the 16 bytes that are left, got 17"),
        ("", 15, "1 bytes follow the tensors that the request describes"),
        ("", True, "got true"),
    ],
)
async def test_binary_sizes_must_fit(rest: Rest, length: str, size: Any, words: str) -> None:
    """Every byte of a body belongs to something."""
    images, _ = tiny_images(1)
    tensor = {"name": "images", "shape": [1, 4, 4], "datatype": "UINT8", "parameters": {"binary_data_size": size}}
    text = orjson.dumps({"inputs": [tensor]})
    answer = await rest.ask(
        "POST", PATH, text + images.tobytes(), inference_header_content_length=length or str(len(text))
    )

    assert answer.status == 400
    assert words in answer.json["detail"]


async def test_limits_are_those_of_grpc(rest: Rest) -> None:
    """A body, and the images in it; what is longer is not read to its end."""
    too_many = await rest.infer(asking(np.zeros((MAX_REQUEST_IMAGES + 1, 4, 4), np.uint8)))
    too_long = await rest.ask("POST", PATH, *[b" " * 50_000] * 9)
    announced = await rest.ask("POST", PATH, b" ", content_length=str(MAX_MESSAGE_BYTES + 1))
    inflated = await rest.ask("POST", PATH, gzip.compress(b" " * 1_000_000), content_encoding="gzip")

    assert too_many.status == 400
    assert "1 to 500 images" in too_many.json["detail"]
    assert [answer.status for answer in (too_long, announced, inflated)] == [413, 413, 413]


async def test_json_that_becomes_large_in_memory_is_refused_before_it_is_read(rest: Rest) -> None:
    """A hundred thousand empty lists take a hundred times what the text takes; the budget is asked before."""
    rest.budget.total_bytes = 1_000_000
    answer = await rest.ask("POST", PATH, b"[" + b",".join([b"[]"] * 60_000) + b"]", kind="application/json")

    assert answer.status == 400
    assert "can never fit" in answer.json["detail"]


async def test_json_of_very_many_lists_is_not_read(rest: Rest) -> None:
    """Each costs more time than text: eight megabytes of them would hold up everybody for a second."""
    answer = await rest.ask("POST", PATH, b"[" + b",".join([b"[]"] * 65_536) + b"]", kind="application/json")

    assert answer.status == 400
    assert "more than 65,536 lists and objects" in answer.json["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"inputs": NaN}', b"[" * 5000])
async def test_what_is_no_json_object_is_told_so(rest: Rest, body: bytes) -> None:
    """Where it goes wrong too."""
    answer = await rest.ask("POST", PATH, body, kind="application/json")

    assert answer.status == 400
    assert "JSON" in answer.json["detail"]


async def test_an_encoding_that_is_not_read_is_415(rest: Rest) -> None:
    answer = await rest.ask("POST", PATH, b"x", content_encoding="br")

    assert (answer.status, answer.json["title"]) == (415, "Unsupported Media Type")


NAMES = ("inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "id", "binary_data")
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
async def test_no_json_makes_the_server_fail(rest: Rest, value: Any) -> None:
    """Whatever stands where: it is the caller's fault."""
    answer = await rest.infer(value if isinstance(value, dict) else {"inputs": value})

    assert answer.status in (400, 404, 413), answer.json
