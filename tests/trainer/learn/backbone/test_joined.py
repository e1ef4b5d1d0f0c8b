"""Backbone and head as one graph, which is what a server loads."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.backbones import tiny_backbone, tiny_head
from vouch.bundle.graph import check_graph
from vouch.bundle.pixel_settings import PixelSettings
from vouch.server.model.session import open_session
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import joined as module
from vouch.trainer.learn.backbone.features import features
from vouch.trainer.learn.backbone.joined import joined

SHAPE = (16, 12, 3)


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize("opset", [20, 21])
def test_a_server_takes_it_and_answers_as_the_head_does_on_the_features(opset: int) -> None:
    """Also where the head is of another opset; the names inside of both may be the same."""
    backbone, head, images = tiny_backbone(SHAPE), tiny_head(3, opset=opset), photos(9)

    graph = joined(backbone, head)

    check_graph(graph)
    session = open_session(graph, "cpu", 1)
    session.check_signature(PixelSettings.of(SHAPE), 3)
    weight = onnx.numpy_helper.to_array(onnx.load_from_string(head).graph.initializer[0])
    expected = features(backbone, images) @ weight
    assert np.allclose(session.run([images]).logits, expected, atol=1e-4)
    assert joined(backbone, head) == graph


def test_places_are_left_out_of_what_is_served() -> None:
    """A server refuses a third output."""
    served = onnx.load_from_string(joined(tiny_backbone(SHAPE), tiny_head(2)))

    assert [output.name for output in served.graph.output] == ["probabilities", "logits"]


def test_what_makes_places_alone_is_left_out_too() -> None:
    """Every node leads to an answer."""
    backbone = tiny_backbone(SHAPE)
    model = onnx.load_from_string(backbone.graph)
    model.graph.node[-3].output[0] = "seen"  # places are now a copy that no feature is made of
    model.graph.node[-2].input[0] = "seen"
    model.graph.node.append(helper.make_node("Identity", ["seen"], ["places"], "copy"))

    served = onnx.load_from_string(joined(replace(backbone, graph=model.SerializeToString()), tiny_head(2)))

    assert "copy" not in [node.name for node in served.graph.node]


def test_more_than_a_file_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before protobuf fails with words of its own."""
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)

    with pytest.raises(TrainError, match="use a smaller backbone"):
        joined(tiny_backbone(SHAPE), tiny_head(2))
