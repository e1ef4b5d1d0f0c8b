"""The exported graph in 8-bit integers: smaller, and faster if the processor multiplies bytes.

Static and per channel: the range of every layer's inputs is determined once, on fit images, and every channel of
weights has its own scale. The graph uses ONNX's standard operators, QuantizeLinear and DequantizeLinear around each
layer, which the runtime fuses. Normalisation, temperature and softmax stay in float32, and so do a backbone's pooling
and the head after it: they cost nothing, and their precision matters most.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime import quantization

from vouch.bundle.accuracy import COUNTING_BATCH
from vouch.sources.images import Images, batches, rows_of
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.graph import outputs_of
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import first_line
from vouch.trainer.learn.backbone.origin import forget_origin

QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "ReduceMax", "Reshape")
"""Operators between which values stay bytes. ReLU and ReLU6 (Clip) are part of the bytes' range and cost nothing."""
CALIBRATION_PIXELS = 64 * 224 * 224
"""Pixels of all images that determine ranges: 64 photographs, 4,096 digits. Measured on a backbone, 32 photographs gave
the same answers as 243."""
FEWEST = 16
"""At least this many images determine ranges, however large they are."""
FEATURES = "features"
"""The tensor between a backbone and its head."""
WITHOUT = "leave out --quantize int8"
BATCH_PIXELS = 224 * 224
"""Pixels of the images of one run, in which the values of all layers are in memory: 160 MB for lite0."""


def check_backbone(backbone: Backbone, image_shape: tuple[int, ...]) -> None:
    """Checks that the layers of a backbone file can be quantized, before features are computed with it.

    Args:
        image_shape: (H, W) or (H, W, C).

    Raises:
        TrainError: none of them can be.
    """
    made_up = np.random.default_rng(0).integers(0, 256, (1, *image_shape), dtype=np.uint8)
    in_int8(backbone.graph, made_up)


def in_int8(graph: bytes, images: Images) -> bytes:
    """The graph with 8-bit weights and values, in one file; the same images give the same bytes.

    Activations are unsigned, and weights are signed with 7 bits: processors without VNNI add two products of bytes in
    16 bits, which 8 bits would overflow, and a claim must be reproducible on any processor.

    Args:
        images: uint8, shape (N, H, W) or (N, H, W, C); evenly spaced ones determine the range of each layer's values.

    Raises:
        TrainError: no layer of a backbone file can be quantized.
    """
    model = onnx.load_model_from_string(graph)
    outputs = list(model.graph.output)
    del model.graph.value_info[:]  # in a file that was exported for one image, they would state a batch of 1
    try:
        smaller = _quantized(model, images)
    except Exception as err:  # the quantizer has no error types of its own
        raise TrainError(f"the graph cannot be quantized to int8: {first_line(err)}; {WITHOUT}") from err
    if not any(node.op_type == "QuantizeLinear" for node in smaller.graph.node):
        raise TrainError(
            "none of the graph's layers can be quantized to int8, probably because the backbone was exported for a "
            f"single image; export it with a dynamic batch axis, or {WITHOUT}"
        )
    del smaller.graph.value_info[:], smaller.graph.output[:]
    smaller.graph.output.extend(outputs)
    forget_origin(smaller)
    onnx.checker.check_model(smaller, full_check=True)
    content: bytes = smaller.SerializeToString(deterministic=True)
    return content


def _quantized(model: onnx.ModelProto, images: Images) -> onnx.ModelProto:
    with TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            model,
            path,
            _Batches(images),
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=_behind_features(model),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load_model(path)


def int8_features(graph: bytes, smaller: bytes, images: Images) -> np.ndarray:
    """The features of images by a backbone in int8, as its head receives them: float32, shape (N, D).

    Args:
        graph: a backbone and its head, in float32.
        smaller: the same graph from `in_int8`.
        images: uint8, shape (N, H, W) or (N, H, W, C); they are run in batches of bounded size.
    """
    model, whole = onnx.load_model_from_string(smaller), onnx.load_model_from_string(graph)
    first = _behind_features(whole)[0]
    (place,) = (list(node.input).index(FEATURES) for node in whole.graph.node if node.name == first)
    (taken,) = (node.input[place] for node in model.graph.node if node.name == first)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(taken, onnx.TensorProto.FLOAT, None))
    return outputs_of(model.SerializeToString(), images, taken)[0]


class _Batches(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Images for the quantizer's calibration."""

    def __init__(self, images: Images) -> None:
        pixels = prod(images.shape[1:3])
        count = min(len(images), max(FEWEST, CALIBRATION_PIXELS // pixels))
        spread = np.arange(count) * len(images) // count
        most = max(1, min(COUNTING_BATCH, BATCH_PIXELS // pixels))
        self._batches = batches(rows_of(images, spread), most=most)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _behind_features(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that compute with a backbone's features; nodes without a name get one."""
    known, names = {FEATURES}, []
    for number, node in enumerate(model.graph.node):
        if known & set(node.input):
            node.name = node.name or f"behind-{number}"
            known |= set(node.output)
            names.append(node.name)
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the quantizer, which prints its progress and warns about its own internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
