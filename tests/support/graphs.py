"""Graphs that a server must bear, beside the tiny one that is always right."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.tiny import tiny_graph


def with_more(*nodes: onnx.NodeProto, **constants: np.ndarray) -> bytes:
    """The right graph, whose logits have `zero` added to them, which these nodes make of these constants."""
    model = onnx.load_from_string(tiny_graph())
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == "logits":
                node.output[place] = "scores"
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    softmax = model.graph.node.pop()
    model.graph.node.extend([*nodes, helper.make_node("Add", ["scores", "zero"], ["logits"]), softmax])
    content: bytes = model.SerializeToString()
    return content


def endless() -> bytes:
    """A loop of 2^62 turns in a file of a kilobyte."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes_on"]), helper.make_node("Neg", ["state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["N", 3]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["N", 3]),
        ],
    )
    return with_more(
        helper.make_node("Loop", ["turns", "yes", "scores"], ["zero"], body=body),
        turns=np.array(2**62),
        yes=np.array(True),
    )
