"""A fitted network as an ONNX graph, written layer by layer in a tenth of a second; torch.onnx takes several seconds.

Batch norms are folded into the layers before them, the temperature into the last layer, and the normalisation of pixels
into the first (`folding`). Pixels are transposed as bytes, which are a quarter of the size of floats.
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from vouch.trainer.judge.folding import Normalisation, Weights, weights_of
from vouch.trainer.learn.networks import Classifier, Linear, Residual

OPSET, IR_VERSION = 20, 10


def network_graph(classifier: Classifier, image_shape: tuple[int, ...], temperature: float) -> bytes:
    """The .onnx file: from `images`, uint8 (N, H, W) or (N, H, W, C), to `probabilities` and `logits`, float32 (N, K).

    Args:
        classifier: on the CPU.
        temperature: what scores are divided by.
    """
    graph, layers = _Graph(Normalisation.of(classifier, image_shape)), _flat(classifier.network)
    graph.pixels(isinstance(layers[0], nn.Conv2d))
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        graph.through(layer, following)
    graph.scores(classifier, layers[-1], temperature)
    if classifier.task == "single_label":
        graph.add("Softmax", output="probabilities", axis=1)
    else:
        graph.add("Sigmoid", output="probabilities")
    classes = 2 if _is_single(classifier, layers[-1]) else len(_last(layers[-1]).bias)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", classes]) for name in ("probabilities", "logits")
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *image_shape])
    whole = helper.make_graph(graph.nodes, "classifier", [images], outputs, graph.constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Graph:
    """A chain of nodes, each of which takes the output of the one before."""

    def __init__(self, normalisation: Normalisation) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.now = "images"
        self._normalisation: Normalisation | None = normalisation
        """None once it is folded into the first layer."""

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> None:
        """Adds a node; its first input is the output of the last one."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.now, *inputs], [output or name], name, **attributes))
        self.now = self.nodes[-1].output[0]

    def constant(self, value: Tensor | np.ndarray) -> str:
        """Adds a constant; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(_constant(value, name))
        return name

    def pixels(self, convolution: bool) -> None:
        """Brings bytes to the shape that the first layer takes: (N, C, H, W), or for a dense layer (N, H * W * C)."""
        assert self._normalisation is not None
        if not convolution:
            self.add("Reshape", self.constant(np.array([0, -1])))
        elif len(self._normalisation.image_shape) == 2:
            self.add("Unsqueeze", self.constant(np.array([1])))
        else:
            self.add("Transpose", perm=[0, 3, 1, 2])
        self.add("Cast", to=TensorProto.FLOAT)
        if (mean := self._normalisation.before(convolution)) is not None:
            self.add("Sub", self.constant(mean))

    def through(self, layer: nn.Module, following: nn.Module | None) -> None:
        """Adds a layer, except the last one (`following` is None), which `scores` adds."""
        if isinstance(layer, Residual):
            before = self.now
            inner = _flat(layer)
            for one, after in zip(inner, [*inner[1:], nn.Identity()], strict=True):
                self.through(one, after)
            self.add("Add", before)
        elif isinstance(layer, nn.Conv2d):
            self._convolution(layer, *self._weights(layer, following))
        elif isinstance(layer, nn.Linear) and following is not None:
            self.add("Gemm", *map(self.constant, self._weights(layer, following)), transB=1)
        elif isinstance(layer, nn.Flatten):
            if self._normalisation is None:  # otherwise they are flat already
                self.add("Reshape", self.constant(np.array([0, -1])))  # same as `Flatten`, and supported by int8
        elif isinstance(layer, nn.AdaptiveMaxPool2d):
            self.add("ReduceMax", self.constant(np.array([2, 3])), keepdims=1)
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            self.add("GlobalAveragePool")
        elif isinstance(layer, nn.ReLU):
            self.add("Relu")
        else:  # folded into the layer before, or without effect in evaluation mode
            assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.Dropout | nn.Linear | Linear), layer

    def scores(self, classifier: Classifier, last: nn.Module, temperature: float) -> None:
        """Adds the last layer, divided by the temperature; before a single output, a score of 0 is added."""
        single = _is_single(classifier, last)
        parts = (part / temperature for part in self._weights(_last(last)))
        self.add("Gemm", *map(self.constant, parts), output="" if single else "logits", transB=1)
        if single:
            self.add("Pad", self.constant(np.array([0, 1, 0, 0])), output="logits")

    def _weights(self, layer: nn.Conv2d | nn.Linear | Linear, following: nn.Module | None = None) -> Weights:
        """A layer's weights, with the following batch norm; those of the first layer also normalise pixels."""
        weights, taken, self._normalisation = weights_of(layer, following), self._normalisation, None
        if taken is None:
            return weights
        return taken.in_convolution(weights) if isinstance(layer, nn.Conv2d) else taken.in_dense(weights)

    def _convolution(self, layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
        assert layer.dilation == (1, 1)
        assert not isinstance(layer.padding, str)
        self.add(
            "Conv",
            *map(self.constant, (weight, bias)),
            group=layer.groups,
            kernel_shape=layer.kernel_size,
            pads=[*layer.padding, *layer.padding],
            strides=layer.stride,
        )


def _flat(layers: nn.Module) -> list[nn.Module]:
    """The layers in order; residual layers are not unpacked."""
    return list(layers) if isinstance(layers, nn.Sequential) else [layers]


def _last(layer: nn.Module) -> nn.Linear | Linear:
    assert isinstance(layer, nn.Linear | Linear)
    return layer


def _is_single(classifier: Classifier, last: nn.Module) -> bool:
    """Whether one output stands for two classes."""
    return classifier.task == "single_label" and len(_last(last).bias) == 1


def _constant(value: Tensor | np.ndarray, name: str) -> TensorProto:
    array = value if isinstance(value, np.ndarray) else value.to(torch.float32).contiguous().numpy()
    return numpy_helper.from_array(array, name)
