"""A model of photographs without training: a graph that tells apart which quarter of a picture is bright and of which
colour, and a split of PNG and JPEG files for it. What is wrong with the way of its pixels changes its answers.
"""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from vouch.bundle.answers import answers_of
from vouch.bundle.calibration import CalibrationTally, calibration_error, confidence_and_right, uncalibrated
from vouch.bundle.claims import claim_from
from vouch.bundle.label_sets import label_sets
from vouch.bundle.listed import MODEL, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.new_validation import from_files
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.bundle.reliability import Calibration, Coverage
from vouch.bundle.store import ModelsFolder
from vouch.bundle.tally import Tally
from vouch.bundle.training import Training

SIDE = 8
PIXELS = PixelSettings(height=SIDE, width=SIDE, channels=3)
LABELS = ("red above", "blue above", "red on the left", "blue on the left")
PROMISE, THRESHOLD, TEMPERATURE = 0.9, 0.05, 1.5
Decode = Callable[[bytes], np.ndarray]


@cache
def photo_graph(order: tuple[int, int, int] = (0, 1, 2)) -> bytes:
    """An ONNX file.

    Args:
        order: the channels in which it expects red, green and blue.
    """
    weights = np.zeros((SIDE, SIDE, 3, len(LABELS)), np.float32)
    for label in range(len(LABELS)):
        half = (slice(0, SIDE // 2), slice(None)) if label < 2 else (slice(None), slice(0, SIDE // 2))
        wanted, other = (order[0], order[2]) if label % 2 == 0 else (order[2], order[0])
        weights[:, :, wanted, label], weights[:, :, other, label] = -1, 1
        weights[(*half, wanted, label)], weights[(*half, other, label)] = 1, -1
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["x"]),
        helper.make_node("Gemm", ["x", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "photos",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *PIXELS.shape])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["N", len(LABELS)]) for one in OUTPUTS],
        [
            numpy_helper.from_array(weights.reshape(-1, len(LABELS)) / 1500, "weights"),
            numpy_helper.from_array(np.zeros(len(LABELS), np.float32), "bias"),
        ],
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()
    onnx.checker.check_model(content)
    return content


OUTPUTS = ("probabilities", "logits")


def run(graph: bytes, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and logits, by onnx's own reference: no runtime's."""
    model = onnx.load_from_string(graph)
    weights = numpy_helper.to_array(model.graph.initializer[0])
    logits = images.reshape(len(images), -1).astype(np.float32) @ weights
    return uncalibrated(logits, 1).astype(np.float32), logits


def photos(count: int = 40) -> tuple[list[bytes], np.ndarray]:
    """Files of 16 x 16 pixels with their labels: PNG with a transparent corner, JPEG on its side, and plain PNG."""
    random = np.random.default_rng(0)
    labels = random.integers(0, len(LABELS), count)
    return [_photo(int(label), number % 3, random) for number, label in enumerate(labels)], labels


def _photo(label: int, kind: int, random: np.random.Generator) -> bytes:
    picture = random.integers(0, 60, (16, 16, 3), dtype=np.uint8)
    half = (slice(0, 8), slice(None)) if label < 2 else (slice(None), slice(0, 8))
    picture[(*half, 0 if label % 2 == 0 else 2)] += 180
    file = io.BytesIO()
    if kind == 0:
        alpha = np.full((16, 16, 1), 255, np.uint8)
        alpha[:8, :4] = 0
        Image.fromarray(np.concatenate([picture, alpha], axis=2), "RGBA").save(file, "PNG")
    elif kind == 1:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", exif=exif, quality=95)
    else:
        Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def publish_photos(
    folder: ModelsFolder,
    files: Sequence[bytes] | None = None,
    graph: bytes | None = None,
    judged_by: Decode | None = None,
) -> Bundle:
    """Its next version; what it claims follows from how it was judged.

    Args:
        files: that are stored, where they are others than were judged.
        graph: that is published, where it is another one than was judged.
        judged_by: what made pixels of the files; None for what a server does.
    """
    own, labels = photos()
    images = np.stack([(judged_by or (lambda file: decode(file, PIXELS)))(file) for file in own])
    probabilities, logits = run(photo_graph(), images)
    tally = Tally()
    tally.add(labels, probabilities)
    sets = label_sets(probabilities, THRESHOLD)
    coverage = Coverage(
        promised=PROMISE,
        threshold=THRESHOLD,
        covered=int(sets[np.arange(len(sets)), labels].sum()),
        total=len(sets),
        mean_size=float(sets.sum(axis=1).mean()),
    )
    errors = CalibrationTally()
    errors.add(*confidence_and_right(probabilities, labels))
    calibration = Calibration(
        temperature=TEMPERATURE,
        error_before=calibration_error(uncalibrated(logits, TEMPERATURE), labels),
        error_after=errors.error,
        error_interval=errors.interval,
        coverages=(coverage,),
    )
    split = from_files(files or own, answers_of(labels, probabilities, None), LABELS)

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            name="photos",
            version=version,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            labels=LABELS,
            input=PIXELS,
            claim=claim_from(tally),
            calibration=calibration,
            validation_digest=split.digest,
            training=Training(
                asked={},
                seed=0,
                seconds=0,
                data="made up",
                data_digest="0" * 64,
                splits={},
                libraries={},
                source_revision=None,
            ),
            files=entries,
        )

    return folder.publish("photos", {MODEL: graph or photo_graph(), split.name: split}, describe)
