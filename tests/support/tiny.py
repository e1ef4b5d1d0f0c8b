"""A tiny model whose right answers are known without training, as bundles for the server's tests. No torch.

Images are 4 x 4; the class is the row, of the first three, that is brightest. The graph adds each row up, so it is
always right, unless it is made to look at the wrong rows. The multi-label one answers every one of these rows that is
bright.
"""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.older import older_split, written_before
from vouch.bundle.accuracy import Accuracy
from vouch.bundle.answers import answers_of
from vouch.bundle.calibration import CalibrationTally, calibration_error, confidence_and_right, uncalibrated
from vouch.bundle.caveats import caveats
from vouch.bundle.claims import Claim, MultiLabelClaim, claim_from
from vouch.bundle.fit_digests import pack_fit_digests
from vouch.bundle.listed import CARD, FIT_DIGESTS, MODEL, VALIDATION, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.multi_label import MultiLabelTally, Task, task_of
from vouch.bundle.new_validation import NewValidation, from_arrays
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.reliability import ByClass, Calibration, Coverage, Withheld
from vouch.bundle.store import ModelsFolder
from vouch.bundle.tally import Tally
from vouch.bundle.training import SplitEntry, Training
from vouch.bundle.validation import Validation
from vouch.server.lineup.lineup import Recount, RunPlan
from vouch.server.lineup.verdict import Verdict, VerifiedVersion
from vouch.server.model.compared import compared
from vouch.server.model.differing import allowed_to_differ
from vouch.server.settings import RuntimeSettings

SIDE = 4
LABELS = ("first", "second", "third")
RIGHT, ROTATED = (0, 1, 2), (1, 2, 0)
"""Which class each row counts for: always right, never right."""
TEMPERATURE = 1.5
PROMISES = {0.9: 3e-4, 0.99: 1e-5}
"""Coverage -> threshold of the label sets."""
BY_CLASS = (1e-5, 3e-4, 0.3)
"""By class: the thresholds of both."""
WITHHELD = Withheld(coverage=0.95, needed=45, judged=40)
"""A coverage that is not promised."""


PIXELS = PixelSettings(height=SIDE, width=SIDE)
THRESHOLDS = (0.5, 0.125, 0.75)
"""From which probability on the multi-label model answers each label."""
DARK = 450
"""A row whose pixels add up to this is neither bright nor dark."""


@cache
def tiny_graph(
    rows: tuple[int, ...] = RIGHT, inputs: str = "images", task: Task = "single_label", channels: int | None = None
) -> bytes:
    """An ONNX file as the contract wants it: raw pixels in, probabilities and logits out."""
    several = task == "multi_label"
    width = SIDE * (channels or 1)
    weights = np.zeros((SIDE * width, len(LABELS)), np.float32)
    for row, label in enumerate(rows):
        weights[row * width : (row + 1) * width, label] = 1 / 64
    nodes = [
        helper.make_node("Cast", [inputs], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["x"]),
        helper.make_node("Gemm", ["x", "weights", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"])
        if several
        else helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(
                inputs, TensorProto.UINT8, ["N", SIDE, SIDE, *([channels] if channels else [])]
            )
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(LABELS)])
            for name in ("probabilities", "logits")
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.full(len(LABELS), -DARK / 64 if several else 0, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(content)
    return content


def microsoft_graph() -> bytes:
    """The right graph by an operator that only ONNX Runtime knows."""
    model = onnx.load_from_string(tiny_graph())
    (gemm,) = (node for node in model.graph.node if node.op_type == "Gemm")
    gemm.op_type, gemm.domain = "FusedMatMul", "com.microsoft"
    del gemm.input[2:]
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    content: bytes = model.SerializeToString()
    return content


def mixing_graph() -> bytes:
    """As the right one, unless an image comes alone: then its scores are those of the opposite."""
    model = onnx.load_from_string(tiny_graph())
    graph = model.graph
    for name, values in (
        ("one", np.array([1])),
        ("turned", np.array([-1], np.float32)),
        ("kept", np.array([1], np.float32)),
    ):
        graph.initializer.append(numpy_helper.from_array(values, name))
    graph.node[2].output[0] = "scores"
    for place, node in enumerate(
        (
            helper.make_node("Shape", ["images"], ["size"], start=0, end=1),
            helper.make_node("Equal", ["size", "one"], ["alone"]),
            helper.make_node("Where", ["alone", "turned", "kept"], ["sign"]),
            helper.make_node("Mul", ["scores", "sign"], ["logits"]),
        )
    ):
        graph.node.insert(3 + place, node)
    content: bytes = model.SerializeToString()
    onnx.checker.check_model(model, full_check=True)
    return content


def treacherous_graph() -> bytes:
    """As the right one, but NaN to an image whose last pixel is white, which no validation image has."""
    model = onnx.load_from_string(tiny_graph())
    graph = model.graph
    weights = np.zeros((SIDE * SIDE, len(LABELS)), np.float32)
    weights[-1] = -1
    graph.initializer.append(numpy_helper.from_array(weights, "last"))
    graph.initializer.append(numpy_helper.from_array(np.full(len(LABELS), 255, np.float32), "white"))
    graph.node[2].output[0] = "scores"
    for node in (
        helper.make_node("Mul", ["scores", "ones"], ["logits"]),
        helper.make_node("Div", ["below_white", "below_white"], ["ones"]),
        helper.make_node("Gemm", ["x", "last", "white"], ["below_white"]),
    ):
        graph.node.insert(3, node)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def tiny_images(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images of shape (count, 4, 4) and their int64 labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(LABELS), count)
    images = random.integers(0, 100, (count, SIDE, SIDE), dtype=np.uint8)
    images[np.arange(count), labels] += 150
    return images, labels


def tiny_validation(count: int = 300, wrong: int = 30) -> Validation:
    """A validation split in which `wrong` labels are not what the images show, so that the claim is below 100 %."""
    images, labels = tiny_images(count, seed=1)
    labels[:wrong] = (labels[:wrong] + 1) % len(LABELS)
    return Validation(images, labels)


def random_validation(count: int = 300) -> Validation:
    """A validation split whose labels have nothing to do with the images."""
    images, _ = tiny_images(count, seed=1)
    return Validation(images, np.random.default_rng(3).integers(0, len(LABELS), count))


def tiny_several(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images of shape (count, 4, 4), and which of the first three rows are bright: bool, shape (count, 3)."""
    random = np.random.default_rng(seed)
    labels = random.random((count, len(LABELS))) < 0.4
    images = random.integers(0, 80, (count, SIDE, SIDE), dtype=np.uint8)
    images[:, : len(LABELS)] += (150 * labels).astype(np.uint8)[:, :, None]
    return images, labels


def several_validation(count: int = 300, wrong: int = 30) -> Validation:
    """A validation split in which `wrong` images have a label too many or too few."""
    images, labels = tiny_several(count, seed=1)
    labels[:wrong, 1] ^= True
    return Validation(images, labels)


def claim_of(validation: Validation) -> Claim | MultiLabelClaim:
    """The claim that the right graph earns on this split."""
    if task_of(validation.labels) == "multi_label":
        several = MultiLabelTally(THRESHOLDS)
        several.add(validation.labels, several_probabilities(validation.images))
        return claim_from(several)
    tally = Tally()
    tally.add(validation.labels, tiny_probabilities(validation.images))
    return claim_from(tally)


def tiny_logits(images: np.ndarray) -> np.ndarray:
    """The right graph's scores, shape (N, 3)."""
    return np.asarray(images[:, : len(LABELS)].sum(axis=2) / 64)


def tiny_probabilities(images: np.ndarray) -> np.ndarray:
    """What the right graph answers, float32, shape (N, 3), computed without it."""
    return uncalibrated(tiny_logits(images), 1).astype(np.float32)


def several_logits(images: np.ndarray) -> np.ndarray:
    """The multi-label graph's scores, shape (N, 3)."""
    return np.asarray((images[:, : len(LABELS)].sum(axis=2) - float(DARK)) / 64)


def several_probabilities(images: np.ndarray) -> np.ndarray:
    """What the multi-label graph answers, float32, shape (N, 3), computed without it."""
    return uncalibrated(several_logits(images), 1, several=True).astype(np.float32)


def calibration_of(validation: Validation, by_class: bool = False) -> Calibration:
    """Made-up promises and a made-up temperature, truly counted on this split."""
    several = task_of(validation.labels) == "multi_label"
    probabilities = (several_probabilities if several else tiny_probabilities)(validation.images)
    logits = (several_logits if several else tiny_logits)(validation.images)
    coverages: list[Coverage] = []
    for promised, threshold in () if several else PROMISES.items():
        thresholds = np.array(BY_CLASS, np.float32) if by_class else np.array(threshold, np.float32)
        members = probabilities >= thresholds
        members[np.arange(len(members)), probabilities.argmax(axis=1)] = True
        covered = members[np.arange(len(members)), validation.labels]
        columns = {"covered": validation.labels[covered], "total": validation.labels}
        counts = {name: tuple(np.bincount(of, minlength=len(LABELS)).tolist()) for name, of in columns.items()}
        each = ByClass(thresholds=tuple(thresholds.tolist()), judged=(10, 20, 10), **counts) if by_class else None
        coverages.append(
            Coverage(
                promised=promised,
                threshold=float(thresholds.min()) if by_class else threshold,
                covered=int(covered.sum()),
                total=len(members),
                mean_size=float(members.sum(axis=1).mean()),
                by_class=each,
            )
        )
    errors = CalibrationTally()
    errors.add(*confidence_and_right(probabilities, validation.labels))
    return Calibration(
        temperature=TEMPERATURE,
        error_before=calibration_error(uncalibrated(logits, TEMPERATURE, several), validation.labels),
        error_after=errors.error,
        error_interval=errors.interval,
        method="split",
        judged=40,
        coverages=tuple(coverages),
        withheld=() if several else (WITHHELD,),
    )


def split_of(validation: Validation) -> NewValidation:
    """The split with the right graph's answers, to be published."""
    several = task_of(validation.labels) == "multi_label"
    probabilities = (several_probabilities if several else tiny_probabilities)(validation.images)
    answers = answers_of(validation.labels, probabilities, THRESHOLDS if several else None)
    return from_arrays([validation.images], answers, LABELS)


def publish_tiny(
    folder: ModelsFolder,
    name: str = "tiny",
    graph: bytes | None = None,
    calibrated: bool = True,
    task: Task = "single_label",
    validation: Validation | None = None,
    *,
    pixels: PixelSettings = PIXELS,
    older: bool = False,
    fit: np.ndarray | None = None,
    by_class: bool = False,
) -> Bundle:
    """Publishes the tiny model's next version; a graph other than the right one does not reproduce its claim.

    Args:
        calibrated: False for a bundle of format 1, which has no calibration.
        older: whether it is of format 2.
        validation: its split; None for the usual one.
        pixels: what files become; a bundle with channels cannot be recounted, since its split has none.
        fit: images whose digests it has; None for a bundle without.
        by_class: whether its label sets are conditional on the class.
    """
    several = task == "multi_label"
    validation = validation or (several_validation() if several else tiny_validation())
    split, older = split_of(validation), older or not calibrated
    files = {
        MODEL: graph or tiny_graph(task=task, channels=pixels.channels),
        VALIDATION: older_split(validation) if older else split,
        CARD: b"# tiny\n",
    }
    if fit is not None:
        files[FIT_DIGESTS] = pack_fit_digests([fit], "ab" * 32)

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            name=name,
            version=version,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            task=task,
            labels=LABELS,
            input=pixels,
            claim=claim_of(validation),
            thresholds=THRESHOLDS if several else None,
            format_version=(2 if calibrated else 1) if older else 3,
            calibration=calibration_of(validation, by_class) if calibrated else None,
            validation_digest=None if older else split.digest,
            training=Training(
                asked={},
                seed=0,
                seconds=0,
                data="made up",
                data_digest="0" * 64,
                splits={"validation": SplitEntry(size=len(validation), digest="0" * 64)},
                libraries={},
                source_revision=None,
            ),
            files=entries,
        )

    published = folder.publish(name, files, describe)
    return written_before(published) if older else published


def verified(bundle: Bundle, served: Accuracy | None = None) -> VerifiedVersion:
    """What a supervisor knows of this bundle when it has vouched for itself, by its claim or another count."""
    manifest = bundle.manifest
    claim = manifest.claim.accuracy
    verdict = Verdict(
        digest=bundle.digest,
        claim=claim,
        served=served or claim,
        recount=Recount(allowed=allowed_to_differ(claim.total, RuntimeSettings().max_differing)),
        compared=compared(bundle),
        caveats=caveats(manifest.claim, manifest.calibration, manifest.labels),
        plan=RunPlan(threads=1),
        files=manifest.files,
    )
    return VerifiedVersion(manifest.name, manifest.version, bundle.path, verdict)
