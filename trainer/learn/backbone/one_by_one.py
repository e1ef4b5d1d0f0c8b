"""Runs a graph that was exported for a single image once for each image of a batch, by ONNX's operator Scan."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper


def one_by_one(model: ModelProto, image: tuple[int, ...]) -> ModelProto:
    """The graph with a dynamic batch axis: its nodes become the body of one node.

    Args:
        model: with one input and one output, for a batch of 1.
        image: shape of one image in the graph's input.
    """
    (given,), (made,) = model.graph.input, model.graph.output
    element = given.type.tensor_type.elem_type
    nodes = [
        helper.make_node("Unsqueeze", ["one/image", "one/first"], [given.name], "one/Unsqueeze"),
        *model.graph.node,
        helper.make_node("Squeeze", [made.name, "one/first"], ["one/row"], "one/Squeeze"),
    ]
    body = helper.make_graph(
        nodes,
        "one image",
        [helper.make_tensor_value_info("one/image", element, image)],
        [helper.make_tensor_value_info("one/row", made.type.tensor_type.elem_type or TensorProto.FLOAT, None)],
    )
    scan = helper.make_node("Scan", ["one/images"], ["one/rows"], "one/Scan", body=body, num_scan_inputs=1)
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.append(scan)
    result.graph.initializer.append(numpy_helper.from_array(np.array([0]), "one/first"))
    result.graph.input[0].name, result.graph.output[0].name = "one/images", "one/rows"
    return result
