"""A linear model of the 1,797 digits of 8 x 8, fitted in a moment by least squares, as a bundle. No torch."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vouch.bundle.answers import answers_of
from vouch.bundle.calibration import uncalibrated
from vouch.bundle.claims import claim_from
from vouch.bundle.listed import CARD, MODEL, REPORT, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.new_validation import from_arrays
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.tally import Tally
from vouch.bundle.training import Recipe, SplitEntry, Training
from vouch.sources.digits import FILE

SIDE, CLASSES, FIT = 8, 10, 1400
PENALTY, SHARPNESS = 1.0, 8.0
LABELS = tuple(map(str, range(CLASSES)))


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """uint8 images of shape (1797, 8, 8), and their labels."""
    with np.load(FILE) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


@cache
def weights() -> np.ndarray:
    """float32, shape (64 + 1, 10), of pixels from 0 to 255; the last row is added."""
    images, labels = (array[:FIT] for array in digits())
    inputs = np.hstack([images.reshape(FIT, -1) / 255, np.ones((FIT, 1))])
    wanted = np.where(labels[:, None] == np.arange(CLASSES), SHARPNESS, 0.0)
    found = np.linalg.solve(inputs.T @ inputs + PENALTY * np.eye(inputs.shape[1]), inputs.T @ wanted)
    found[:-1] /= 255
    return np.asarray(found, np.float32)


def digits_graph() -> bytes:
    """An ONNX file."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["x"]),
        helper.make_node("Gemm", ["x", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", CLASSES]) for name in ("probabilities", "logits")
    ]
    constants = [
        numpy_helper.from_array(weights()[:-1].copy(), "weights"),
        numpy_helper.from_array(weights()[-1].copy(), "bias"),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE])
    graph = helper.make_graph(nodes, "digits", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(content)
    return content


def publish_digits(
    folder: ModelsFolder,
    report: bytes = b"<!DOCTYPE html><title>Report</title>",
    name: str = "digits",
    labels: tuple[str, ...] = LABELS,
) -> Bundle:
    """Its next version.

    Args:
        labels: what the ten digits are called.
    """
    images, truth = (array[FIT:] for array in digits())
    logits = images.reshape(len(images), -1).astype(np.float32) @ weights()[:-1] + weights()[-1]
    probabilities = uncalibrated(logits, 1).astype(np.float32)
    split = from_arrays([images], answers_of(truth, probabilities, None), labels)
    tally = Tally()
    tally.add(truth, probabilities)

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            name=name,
            version=version,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            labels=labels,
            input=PixelSettings(height=SIDE, width=SIDE),
            claim=claim_from(tally),
            validation_digest=split.digest,
            training=Training(
                asked={},
                recipe=Recipe(epochs=1, batch_size=FIT, learning_rate=1.0, optimizer="lbfgs", model="linear"),
                seed=0,
                seconds=0,
                data="digits",
                data_digest="0" * 64,
                splits={"fit": SplitEntry(size=FIT, digest="0" * 64)},
                libraries={},
                source_revision=None,
            ),
            files=entries,
        )

    documents = {REPORT: report, CARD: b"# digits\n\nA card.\n"}
    return folder.publish(name, {MODEL: digits_graph(), split.name: split, **documents}, describe)
