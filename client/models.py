"""A server's description of its models, as values, and how they are read from messages. Pure: no channel, no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.backbone import backbone_in_words
from vouch.bundle.balanced import Balanced
from vouch.bundle.caveat import Caveat
from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import ALL_BITS, RULES, WHITE, Fit, PixelSettings
from vouch.bundle.reliability import ByClass, Calibration, Coverage, Method, Withheld
from vouch.protos.vouch.v1 import classifier_pb2 as pb

METHODS: dict[int, Method] = {pb.CALIBRATION_METHOD_SPLIT: "split", pb.CALIBRATION_METHOD_CROSS: "cross"}


@dataclass(frozen=True)
class RunPlan:
    """How a version is run, as measured when it was verified."""

    threads: int
    """Threads of a run on the CPU; 0 if the provider has its own."""
    inline_images: int
    """The largest batch that runs on the event loop when no request waits; 0: none."""
    at_once: int = 1
    """Concurrent runs, which share the threads."""


@dataclass(frozen=True)
class Recount:
    """How a server's answers to a claim's images compare with the claimed ones, from verification."""

    differing: int
    """Images with another answer than claimed."""
    moved: int
    """Images for which the probability of the claimed answer differs by more than 0.01."""
    allowed: int
    """The limit for each of the two."""
    first: tuple[int, ...]
    """Positions in the bundle, from 0, of the first images with another answer."""

    def __str__(self) -> str:
        """One line for the user."""
        named = f" (images {', '.join(map(str, self.first))})" if self.first else ""
        moved = f"{self.moved:,} by more than 0.01 in probability"
        return f"{self.differing:,} differ from the claimed ones{named}, {moved}; at most {self.allowed:,} allowed"


@dataclass(frozen=True)
class Backbone:
    """The pretrained network that computes a version's features; its weights are part of the model."""

    name: str
    licence: str
    """SPDX identifier such as Apache-2.0; `unknown` if none was given."""
    source: str
    """A package and its version, or the name of a file."""
    weights_sha256: str
    """SHA-256 of the file that the weights were read from."""
    fine_tuned: bool = False
    """Whether training also changed these weights."""

    def __str__(self) -> str:
        """One line for the user."""
        return backbone_in_words(self.name, self.source, self.licence, self.weights_sha256, self.fine_tuned)


@dataclass(frozen=True)
class ModelVersion:
    """A server's description of a version that it serves."""

    name: str
    """The model's name."""
    version: int
    role: str
    """Its role: the `live` version answers calls that name no version."""
    digest: str
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    """H, W or H, W, C."""
    claim: Accuracy
    served: Accuracy
    baseline: Accuracy | None = None
    """Accuracy of always answering the most frequent class, or set of labels; None if the server does not send it."""
    task: Task = "single_label"
    """Whether an image has exactly one of the labels, or any number of them."""
    thresholds: tuple[float, ...] = ()
    """Multi-label: for each label, the lowest probability with which it is part of the answer."""
    calibration: Calibration | None = None
    """None if the bundle has none."""
    caveats: tuple[Caveat, ...] = ()
    """Warnings that follow from the model's figures."""
    pixels: PixelSettings | None = None
    """How image files are decoded; None if this client does not know the rules."""
    plan: RunPlan = RunPlan(0, 0)
    recount: Recount | None = None
    """None if the server does not send it."""
    balanced: Balanced | None = None
    """The claim's balanced accuracy; None if the server does not send it, or for a multi-label model."""
    backbone: Backbone | None = None
    """None if the model was trained without a backbone, or the server does not send it."""


@dataclass(frozen=True)
class Model:
    """A server's description of a model."""

    name: str
    state: str
    """`serving`, `loading`, `verifying` or `refused`."""
    versions: tuple[ModelVersion, ...] = ()
    """The served versions, ascending."""
    refusals: tuple[tuple[int, str], ...] = ()
    """Refused versions, with the reasons."""
    held_back: tuple[int, ...] = ()
    """The refused versions whose claim was proven but is worse than an older version's, ascending."""
    verifying: tuple[int, ...] = ()
    """Versions that are being verified or wait for verification, ascending."""

    @property
    def live(self) -> ModelVersion | None:
        """The version that answers calls without a version; None if there is none."""
        return next((one for one in self.versions if one.role == "live"), None)

    @property
    def version(self) -> int:
        """The live version's number; 0 if there is none."""
        return self.live.version if self.live is not None else 0


def read_model(model: pb.Model) -> Model:
    """A model's message as values."""
    return Model(
        name=model.name,
        state=_word(pb.State.Name, model.state),
        versions=tuple(_read_version(model.name, version) for version in model.versions),
        refusals=tuple((refusal.version, refusal.reason) for refusal in model.refusals),
        held_back=tuple(refusal.version for refusal in model.refusals if refusal.held_back),
        verifying=tuple(model.verifying),
    )


def read_plan(said: pb.RunPlan) -> RunPlan:
    """The run plan; an older server does not send the number of concurrent runs."""
    return RunPlan(said.threads, said.inline_images, said.at_once or 1)


def _read_version(name: str, said: pb.ModelVersion) -> ModelVersion:
    return ModelVersion(
        name=name,
        version=said.version,
        role=_word(pb.Role.Name, said.role),
        digest=said.digest,
        labels=tuple(said.labels),
        input_shape=tuple(said.input_shape),
        claim=read_accuracy(said.claim),
        served=read_accuracy(said.served),
        baseline=read_accuracy(said.baseline) if said.HasField("baseline") else None,
        task="multi_label" if said.task == pb.TASK_MULTI_LABEL else "single_label",
        thresholds=tuple(said.thresholds),
        calibration=read_calibration(said.calibration) if said.HasField("calibration") else None,
        caveats=tuple(Caveat(caveat.kind, caveat.text) for caveat in said.caveats),
        pixels=read_pixels(said),
        plan=read_plan(said.plan),
        recount=read_recount(said.recount) if said.HasField("recount") else None,
        balanced=read_balanced(said.balanced) if said.HasField("balanced") else None,
        backbone=read_backbone(said.backbone) if said.HasField("backbone") else None,
    )


def _word(name_of: Callable[[int], str], number: int) -> str:
    """An enum value's name without its type's prefix; a newer server may send a value that is unknown here."""
    try:
        return name_of(number).split("_", 1)[1].lower()
    except ValueError:
        return f"unknown {number}"


def read_pixels(version: pb.ModelVersion) -> PixelSettings | None:
    """How files are decoded; None if this client does not know the rules."""
    rules, said = version.decoding.rules, version.decoding
    if not 0 < rules <= RULES:
        return None
    height, width, *channels = version.input_shape
    return PixelSettings(
        rules=rules,
        height=height,
        width=width,
        channels=channels[0] if channels else None,
        bits=said.bits or ALL_BITS,
        ground=said.ground or WHITE,
        fit=cast(Fit, said.fit or "stretch"),
    )


def read_calibration(message: pb.Calibration) -> Calibration:
    """The bundle's calibration; one by a method that this client does not know counts as none."""
    said, method = message.error_interval, METHODS.get(message.method)
    return Calibration(
        temperature=message.temperature,
        error_before=message.error_before,
        error_after=message.error_after,
        error_interval=(said.low, said.high) if message.HasField("error_interval") else None,
        method=method,
        judged=message.judged if method else None,
        folds=message.folds if method == "cross" else None,
        coverages=tuple(_read_coverage(one) for one in message.coverages),
        withheld=tuple(
            Withheld(coverage=one.coverage, needed=one.needed, judged=one.judged, smallest=one.smallest or None)
            for one in message.withheld
        ),
    )


def _read_coverage(message: pb.Coverage) -> Coverage:
    each = message.by_class
    return Coverage(
        promised=message.promised,
        threshold=message.threshold,
        covered=message.covered,
        total=message.total,
        mean_size=message.mean_size,
        by_class=ByClass(
            thresholds=tuple(each.thresholds),
            judged=tuple(each.judged),
            covered=tuple(each.covered),
            total=tuple(each.total),
        )
        if message.HasField("by_class")
        else None,
    )


def read_balanced(message: pb.Balanced) -> Balanced:
    """Balanced accuracy, from its message."""
    return Balanced(message.accuracy, message.low, message.high, message.classes)


def read_recount(message: pb.Recount) -> Recount:
    """How answers compare with the claimed ones, from the message."""
    return Recount(message.differing, message.moved, message.allowed, tuple(message.first))


def read_backbone(message: pb.Backbone) -> Backbone:
    """The backbone, from its message."""
    return Backbone(message.name, message.licence, message.source, message.weights_sha256, message.fine_tuned)


def read_accuracy(message: pb.Accuracy) -> Accuracy:
    """The counts; the interval is computed from them."""
    return Accuracy(correct=message.correct, total=message.total)
