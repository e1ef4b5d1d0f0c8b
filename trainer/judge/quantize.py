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
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime import quantization

from vouch.bundle.accuracy import COUNTING_BATCH
from vouch.bundle.multi_label import decide
from vouch.bundle.quantization import Count, Quantization, points_lost
from vouch.sources.images import Images, batches, rows_of
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.calibrate import settle
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import answers, count_claim
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import first_line
from vouch.trainer.learn.backbone.origin import forget_origin
from vouch.trainer.learn.judges import Judge, Judges, Method

QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "ReduceMax", "Reshape")
"""Operators between which values stay bytes. ReLU and ReLU6 (Clip) are in the range of the bytes and cost nothing."""
CALIBRATION_PIXELS = 64 * 224 * 224
"""Of all images that settle ranges: 64 photographs, 4,096 digits. Measured on a backbone, 32 photographs gave the same
answers as 243."""
FEWEST = 16
"""Images that settle ranges, however large."""
WITHOUT = "leave out --quantize int8"
BATCH_PIXELS = 224 * 224
"""Of the images of one run, in which all values of all layers are held: of lite0 160 MB."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """The smaller graph, and what it cost."""

    graph: bytes
    facts: Quantization
    differing: int
    """Judged images that the two graphs answer differently."""
    float_graph: bytes
    """As it was trained."""
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers in int8, in their order."""


def quantize(graph: bytes, images: Images, judges: Judges, temperature: float, max_drop: float) -> Quantized:
    """The graph in 8-bit integers, unless that costs too much.

    Args:
        graph: the .onnx file's content, as `export` makes it.
        images: of fit; some of them settle the ranges.
        judges: say what is lost.
        temperature: of the graph.
        max_drop: percentage points of accuracy that it may lose.

    Raises:
        TrainError: it loses more.
    """
    smaller = in_int8(graph, images)
    in_both = [_answers(graph, smaller, images, part, judges.method, temperature) for part in judges.parts]
    before, after = (np.concatenate(parts) for parts in zip(*in_both, strict=True))
    of_float, said_by_float = _count(before, judges.labels)
    of_int8, said_by_int8 = _count(after, judges.labels)
    lost = points_lost(of_float, of_int8)
    if lost > max_drop:
        raise TrainError(
            f"in int8 the model answers {of_int8.correct:,} of {of_int8.total:,} tune images right, in float32 "
            f"{of_float.correct:,}: {lost:.2f} percentage points less, and --max-drop allows {max_drop:g}; nothing is "
            "published. The fitted weights are kept: the same command with --resume and a higher --max-drop, or "
            "without --quantize, publishes them without fitting again"
        )
    facts = Quantization(kind="int8", float_tune=of_float, tune=of_int8, max_drop=max_drop)
    return Quantized(smaller, facts, int((said_by_float != said_by_int8).any(axis=1).sum()), graph, after)


def _answers(
    graph: bytes, smaller: bytes, images: Images, part: Judge, method: Method, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """A judge's answers in float32 and in int8."""
    judged = part.examples.images
    if method == "split":
        return answers(graph, judged), answers(smaller, judged)
    own = export(part.classifier, judged.shape[1:], temperature)
    return answers(own, judged), answers(in_int8(own, images), judged)


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
    known, names = {"features"}, []
    for number, node in enumerate(model.graph.node):
        if known & set(node.input):
            node.name = node.name or f"behind-{number}"
            known |= set(node.output)
            names.append(node.name)
    return names


def _count(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Count, np.ndarray]:
    """Right answers, and the answers themselves, shape (N, 1), or with several labels an image bool (N, K)."""
    thresholds = settle(probabilities, labels).thresholds
    said = probabilities.argmax(axis=1)[:, None] if thresholds is None else decide(probabilities, thresholds)
    right = count_claim(probabilities, labels, thresholds).accuracy
    return Count(correct=right.correct, total=right.total), said


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
