"""A model that answers its first class whatever it is shown: of any size of image, and with any number of classes."""

from datetime import UTC, datetime

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.older import older_split, written_before
from vouch.bundle.claims import claim_from
from vouch.bundle.listed import CARD, MODEL, VALIDATION, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.tally import Tally
from vouch.bundle.training import SplitEntry, Training
from vouch.bundle.validation import Validation


def constant_graph(pixels: PixelSettings, classes: int) -> bytes:
    """An ONNX file as the contract wants it."""
    bias = np.zeros(classes, np.float32)
    bias[0] = 5
    axes = list(range(1, 1 + len(pixels.shape)))
    nodes = [
        helper.make_node("Slice", ["images", "zero", "one", "last"], ["corner"]),
        helper.make_node("Cast", ["corner"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Gemm", ["column", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants: dict[str, np.ndarray] = {
        "zero": np.zeros(1, np.int64),
        "one": np.ones(1, np.int64),
        "last": np.array([len(pixels.shape)], np.int64),
        "axes": np.array(axes, np.int64),
        "weights": np.zeros((1, classes), np.float32),
        "bias": bias,
    }
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *pixels.shape])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["N", classes]) for one in ("probabilities", "logits")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(content)
    return content


def publish_constant(folder: ModelsFolder, name: str, pixels: PixelSettings, classes: int, images: int) -> Bundle:
    """Its first version, whose claim is that all of so many images are of the first class."""
    random = np.random.default_rng(0)
    split = Validation(random.integers(0, 255, (images, *pixels.shape), dtype=np.uint8), np.zeros(images, np.int64))
    tally = Tally()
    tally.add_answers(split.labels, split.labels)
    files = {MODEL: constant_graph(pixels, classes), VALIDATION: older_split(split), CARD: b"# constant\n"}

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            name=name,
            version=version,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            labels=tuple(f"class {k}" for k in range(classes)),
            input=pixels,
            claim=claim_from(tally),
            format_version=1,
            training=Training(
                asked={},
                seed=0,
                seconds=0,
                data="made up",
                data_digest="0" * 64,
                splits={"validation": SplitEntry(size=images, digest="0" * 64)},
                libraries={},
                source_revision=None,
            ),
            files=entries,
        )

    return written_before(folder.publish(name, files, describe))
