"""A backbone of five features, quick to run, and a head on it."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from vouch.bundle.backbone import BackboneFacts
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.graph import as_file, features_output, places_output
from vouch.trainer.learn.backbone.pixels import Nodes, images_input, pixel_nodes

FEATURES = 5


def tiny_backbone(image_shape: tuple[int, ...], factor: float = 1.0, places: bool = True) -> Backbone:
    """One layer of 3 x 3, of random weights that are the same each time.

    Args:
        factor: of its weights.
        places: whether it says what it found place by place.
    """
    pixels = pixel_nodes(image_shape, [127.0], [64.0], "x")
    weight = np.random.default_rng(1).normal(size=(FEATURES, 3, 3, 3)).astype(np.float32) * np.float32(factor)
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["found"], pads=[1] * 4),
        helper.make_node("Relu", ["found"], ["places"]),
        helper.make_node("GlobalAveragePool", ["places"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
    ]
    part = Nodes((*pixels.nodes, *nodes), (*pixels.constants, numpy_helper.from_array(weight, "weight")))
    outputs = [features_output(FEATURES), *([places_output(FEATURES, image_shape[:2])] if places else [])]
    facts = BackboneFacts(
        name="tiny",
        licence="unknown",
        source="made up",
        weights_sha256="0" * 64,
        size=(image_shape[0], image_shape[1]),
        mean=(127.0,),
        scale=(64.0,),
        features=FEATURES,
        output="the mean over all places",
    )
    return Backbone(facts, as_file(part, [images_input(image_shape)], outputs), places)


def tiny_head(classes: int, features: int = FEATURES, opset: int = 20) -> bytes:
    """Scores by random weights that are the same each time, and their softmax."""
    weight = np.random.default_rng(2).normal(size=(features, classes)).astype(np.float32)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", classes]) for name in ("probabilities", "logits")
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "head", [features_output(features)], outputs, [numpy_helper.from_array(weight, "weight")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content
