import base64

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from tests.support.tiny import tiny_graph, tiny_images
from vouch.bundle.pixel_settings import PixelSettings
from vouch.server.errors import ModelFailed, Refused, StartFailed
from vouch.server.model.session import IDENTITY_GRAPH, open_session, require_provider

SHAPE = PixelSettings(height=4, width=4)


def test_a_session_gives_probabilities_and_logits_row_by_row() -> None:
    """float32, one row an image, probabilities that sum to 1 and are right for the tiny model."""
    images, labels = tiny_images(10)

    outputs = open_session(tiny_graph(), "cpu", 1).run([images])

    assert outputs.probabilities.dtype == outputs.logits.dtype == np.float32
    assert outputs.probabilities.argmax(axis=1).tolist() == labels.tolist()
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1, atol=1e-6)


def test_parts_are_answered_as_the_whole_is() -> None:
    """In their order; parts that do not go together are a model failure."""
    images, _ = tiny_images(10)
    session = open_session(tiny_graph(), "cpu", 1)

    whole, parts = session.run([images]), session.run([images[:1], images[1:7], images[7:]])

    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)
    with pytest.raises(ModelFailed, match="failed on 3 images"):
        session.run([images[:1], np.zeros((2, 7, 7), np.uint8)])


def test_what_the_model_cannot_take_is_a_model_failure() -> None:
    """ONNX Runtime's own exception is the cause, not what is raised."""
    with pytest.raises(ModelFailed, match="failed on 2 images"):
        open_session(tiny_graph(), "cpu", 1).run([np.zeros((2, 7, 7), np.uint8)])


def test_bytes_that_are_no_model_are_refused() -> None:
    """In one line."""
    with pytest.raises(Refused, match="ONNX Runtime cannot load model.onnx on cpu") as refusal:
        open_session(b"not a model", "cpu", 1)

    assert "\n" not in str(refusal.value)


def test_a_model_is_read_as_onnx_whatever_it_begins_with() -> None:
    """ONNX Runtime's own format is known by four letters, which a field that ONNX does not know may hold."""
    disguised = b"\xfa\x01\x06xORTMx" + tiny_graph()  # field 31, six bytes
    assert disguised[4:8] == b"ORTM"

    assert len(open_session(disguised, "cpu", 1).run([tiny_images(2)[0]]).logits) == 2


def test_the_signature_has_to_be_the_manifests() -> None:
    """Other names, shapes or class counts are refused, with both sides in the message."""
    session = open_session(tiny_graph(), "cpu", 1)
    session.check_signature(SHAPE, 3)

    with pytest.raises(Refused, match=r"\('images', 'tensor\(uint8\)', \(5, 4\)\)"):
        session.check_signature(PixelSettings(height=5, width=4), 3)
    with pytest.raises(Refused, match=r"\(7,\)"):
        session.check_signature(SHAPE, 7)
    with pytest.raises(Refused, match="pictures"):
        open_session(tiny_graph(inputs="pictures"), "cpu", 1).check_signature(SHAPE, 3)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="this onnxruntime has a CUDA provider"
)
def test_cuda_is_never_replaced_by_the_cpu_in_silence() -> None:
    """Without a CUDA build, asking for it fails with what to do about it."""
    with pytest.raises(
        StartFailed,
        match="provider cuda is not available: onnxruntime .* here has only .*CPUExecutionProvider; install",
    ):
        require_provider("cuda")
    with pytest.raises(StartFailed, match="provider cuda"):
        open_session(tiny_graph(), "cuda", 1)


def test_the_identity_graph_is_what_it_says() -> None:
    """The bytes that stand in the source are those of the graph that their comment describes."""
    scalar = helper.make_tensor_value_info("x", TensorProto.FLOAT, [])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [scalar],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    assert base64.b64encode(IDENTITY_GRAPH) == base64.b64encode(model.SerializeToString())
    require_provider("cpu")
