"""The linear head of a frozen classifier as a small ONNX graph: features in, probabilities and logits out.

Scaling, temperature, and the step from one score to two are folded into its weights.
"""

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from vouch.trainer.learn.frozen import FrozenClassifier

OPSET, IR_VERSION = 20, 10


def head_graph(classifier: FrozenClassifier, temperature: float) -> bytes:
    """The .onnx file: from `features`, float32 (N, D), to `probabilities` and `logits`, float32 (N, K)."""
    weights, bias = (part.detach().double() for part in (classifier.head.weight, classifier.head.bias))
    weights = weights / classifier.scale.double() / temperature
    bias = bias / temperature - weights @ classifier.mean.double()
    weights, bias = classifier.as_scores(weights.T).T, classifier.as_scores(bias[None])[0]
    outputs, width = weights.shape
    last = (
        helper.make_node("Softmax", ["logits"], ["probabilities"], "Softmax", axis=1)
        if classifier.task == "single_label"
        else helper.make_node("Sigmoid", ["logits"], ["probabilities"], "Sigmoid")
    )
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], "Gemm", transB=1), last],
        "head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", outputs])
            for name in ("probabilities", "logits")
        ],
        [
            numpy_helper.from_array(value.contiguous().to(torch.float32).numpy(), name)
            for name, value in (("weight", weights), ("bias", bias))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
