"""EfficientNet-Lite0 as an ONNX graph, written node by node from its table in a fraction of a second."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from vouch.trainer.learn.backbone.lite0 import FEATURES, GIVEN, LAYERS, MEAN, SCALE, Convolutions, Layer, same_padding
from vouch.trainer.learn.backbone.pixels import Nodes, images_input, pixel_nodes

OPSET, IR_VERSION = 20, 10


def lite0_graph(convolutions: Convolutions, image_shape: tuple[int, ...]) -> bytes:
    """The .onnx file's content: from `images` to `features` (N, 2368) and `places` (N, 2368, h, w).

    Args:
        convolutions: of every layer, batch norms folded in.
        image_shape: (H, W) or (H, W, C), with C 1 or 3.
    """
    pixels = pixel_nodes(image_shape, [MEAN], [SCALE], "x")
    nodes, sides = list(pixels.nodes), list(image_shape[:2])
    constants = [*pixels.constants, _constant("clip/low", 0.0), _constant("clip/high", 6.0)]
    now = kept = "x"
    found = {}
    for row, layer in enumerate(LAYERS):
        kept = now if layer.opens else kept
        nodes += _layer(layer, now, kept, sides)
        now = found[row] = nodes[-1].output[0]
        weight, bias = convolutions[layer.name]
        constants += [numpy_helper.from_array(weight, f"{layer.name}/weight")]
        constants += [numpy_helper.from_array(bias, f"{layer.name}/bias")]
        sides = [-(-side // layer.stride) for side in sides]
    nodes += _pooled([found[row] for row in GIVEN])
    outputs = [features_output(FEATURES), places_output(FEATURES, sides)]
    return as_file(Nodes(tuple(nodes), tuple(constants)), [images_input(image_shape)], outputs)


def features_output(features: int) -> ValueInfoProto:
    """The output `features`: float32, shape (N, D)."""
    return helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", features])


def places_output(features: int, sides: Sequence[int]) -> ValueInfoProto:
    """The output `places`: float32, shape (N, D, h, w); its mean over the last two axes gives the features."""
    return helper.make_tensor_value_info("places", TensorProto.FLOAT, ["N", features, *sides])


def as_file(part: Nodes, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> bytes:
    """A graph as a file of opset 20; the same parts give the same bytes."""
    graph = helper.make_graph(part.nodes, "backbone", inputs, outputs, part.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _layer(layer: Layer, now: str, kept: str, sides: Sequence[int]) -> Iterator[NodeProto]:
    """A layer's nodes; the last one's output is the layer's."""
    (top, bottom), (left, right) = (same_padding(side, layer.kernel, layer.stride) for side in sides)
    output = f"{layer.name}/out"
    yield helper.make_node(
        "Conv",
        [now, f"{layer.name}/weight", f"{layer.name}/bias"],
        [output],
        layer.name,
        group=layer.before if layer.depthwise else 1,
        kernel_shape=[layer.kernel] * 2,
        pads=[top, left, bottom, right],
        strides=[layer.stride] * 2,
    )
    if layer.bends:
        clipped = f"{layer.name}/relu6"
        yield helper.make_node("Clip", [output, "clip/low", "clip/high"], [clipped], clipped)
    if layer.adds:
        yield helper.make_node("Add", [output, kept], [f"{layer.name}/sum"], f"{layer.name}/sum")


def _pooled(given: Sequence[str]) -> Iterator[NodeProto]:
    """Pools each part separately, so that each has its own range in int8, and `places` can be removed."""
    yield helper.make_node("Concat", given, ["places"], "places", axis=1)
    means = [f"pool/{number}" for number in range(len(given))]
    for value, mean in zip(given, means, strict=True):
        yield helper.make_node("GlobalAveragePool", [value], [mean], mean)
    yield helper.make_node("Concat", means, ["pool/means"], "pool/means", axis=1)
    yield helper.make_node("Flatten", ["pool/means"], ["features"], "flatten")


def _constant(name: str, value: float) -> TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)
