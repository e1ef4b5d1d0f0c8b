"""The exported graph in 8-bit integers: smaller, and faster where the processor multiplies bytes.

Static and per channel: the range of every layer's inputs is settled once, on images of fit, and every channel of
weights has a scale of its own. The graph keeps to ONNX's standard operators, QuantizeLinear and DequantizeLinear around
each layer; the runtime fuses them. Normalisation, temperature and softmax stay in float32, and of a backbone the mean
over its places and the head behind it: they cost nothing, and all that is told apart goes through them.
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
"""Operators between which values stay bytes. ReLU and ReLU6 (Clip) are in the range of the bytes and cost nothing."""
CALIBRATION_PIXELS = 64 * 224 * 224
"""Of all images that settle ranges: 64 photographs, 4,096 digits. Measured on a backbone, 32 photographs gave the same
answers as 243."""
FEWEST = 16
"""Images that settle ranges, however large."""
FEATURES = "features"
"""The tensor between a backbone and its head."""
WITHOUT = "leave out --quantize int8"
BATCH_PIXELS = 224 * 224
"""Of the images of one run, in which all values of all layers are held: of lite0 160 MB."""


def check_backbone(backbone: Backbone, image_shape: tuple[int, ...]) -> None:
    """Tries whether a foreign backbone's layers can be made int8, before features are made with it.

    Args:
        image_shape: (H, W) or (H, W, C).

    Raises:
        TrainError: none of them can be.
    """
    made_up = np.random.default_rng(0).integers(0, 256, (1, *image_shape), dtype=np.uint8)
    in_int8(backbone.graph, made_up)


def in_int8(graph: bytes, images: Images) -> bytes:
    """The graph with 8-bit weights and values, in one file; the same images give the same bytes.

    Activations are unsigned and weights signed with 7 bits: processors without VNNI add two products of bytes in 16
    bits, which 8 bits would overflow, and a claim has to be reproduced on any processor.

    Args:
        images: uint8, shape (N, H, W) or (N, H, W, C); a part, evenly spread, settles the range of each layer's values.

    Raises:
        TrainError: no layer of a foreign backbone can be.
    """
    model = onnx.load_model_from_string(graph)
    outputs = list(model.graph.output)
    del model.graph.value_info[:]  # of a file that was exported for one image they would say so of every batch
    try:
        smaller = _quantized(model, images)
    except Exception as err:  # of the quantizer, on graphs of others; it has no errors of its own
        raise TrainError(f"the graph cannot be made int8: {first_line(err)}; {WITHOUT}") from err
    if not any(node.op_type == "QuantizeLinear" for node in smaller.graph.node):
        raise TrainError(
            "none of the graph's layers can be made int8: a backbone that was exported for a single image keeps them "
            f"out of reach; export it with a free batch axis, or {WITHOUT}"
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
    """What a backbone in int8 makes of images, as the head behind it is given it: float32, shape (N, D).

    Args:
        graph: a backbone and its head, in float32.
        smaller: the same as `in_int8` makes it.
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
    """Images as the calibration asks for them."""

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
    """The names of the nodes that compute with a backbone's features; those that have none are given one."""
    known, names = {FEATURES}, []
    for number, node in enumerate(model.graph.node):
        if known & set(node.input):
            node.name = node.name or f"behind-{number}"
            known |= set(node.output)
            names.append(node.name)
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints its progress and warns about its own internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
