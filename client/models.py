"""What a server says of its models: the values, and how a message becomes them. Pure: no channel, no clock."""

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
    """How a version is run, as it was measured when it was verified."""

    threads: int
    """Of a run on the CPU; 0 where the provider has its own."""
    inline_images: int
    """The largest batch that is run on the event loop when nothing waits; 0: none is."""
    at_once: int = 1
    """Runs at the same time, which share the threads."""


@dataclass(frozen=True)
class Recount:
    """How a server's answers to a claim's images went with the claimed ones, when it verified the version."""

    differing: int
    """Images that it answers otherwise."""
    moved: int
    """Images whose claimed answer has a probability that differs by more than 0.01."""
    allowed: int
    """As many of either are allowed."""
    first: tuple[int, ...]
    """The first images that it answers otherwise, numbered from 0 as they lie in the bundle."""

    def __str__(self) -> str:
        """In one line for people."""
        named = f" (images {', '.join(map(str, self.first))})" if self.first else ""
        moved = f"{self.moved:,} in probability"
        return f"{self.differing:,} differ from the claimed ones{named}, {moved}; {self.allowed:,} may"


@dataclass(frozen=True)
class Backbone:
    """The pretrained network that gives a version's features; its weights lie within the model."""

    name: str
    licence: str
    """SPDX's name, such as Apache-2.0; unknown where nobody has named one."""
    source: str
    """A package and its version, or the name of a file."""
    weights_sha256: str
    """Of the file that the weights were read from."""
    fine_tuned: bool = False
    """Whether training changed these weights as well."""

    def __str__(self) -> str:
        """In one line for people."""
        return backbone_in_words(self.name, self.source, self.licence, self.weights_sha256, self.fine_tuned)


@dataclass(frozen=True)
class ModelVersion:
    """What a server says of a version that it serves."""

    name: str
    """Its model's."""
    version: int
    role: str
    """What it is served for: `live` answers where no version is named."""
    digest: str
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    """H, W or H, W, C."""
    claim: Accuracy
    served: Accuracy
    baseline: Accuracy | None = None
    """What always answering the commonest class, or set of labels, gets right; None where the server does not say."""
    task: Task = "single_label"
    """Whether an image has exactly one of the labels, or any number of them."""
    thresholds: tuple[float, ...] = ()
    """Multi-label: for each label the probability from which on it is answered."""
    calibration: Calibration | None = None
    """None where the bundle has none."""
    caveats: tuple[Caveat, ...] = ()
    """What the figures say against the model; none of a good one."""
    pixels: PixelSettings | None = None
    """What an image file becomes; None where its rules are not known here."""
    plan: RunPlan = RunPlan(0, 0)
    recount: Recount | None = None
    """None where the server does not say."""
    balanced: Balanced | None = None
    """Of the claim, every class counting the same; None where the server does not say, or it is of no label."""
    backbone: Backbone | None = None
    """None where the model was learned from its images alone, or the server does not say."""


@dataclass(frozen=True)
class Model:
    """What a server says of a model."""

    name: str
    state: str
    """`serving`, `loading`, `verifying` or `refused`."""
    versions: tuple[ModelVersion, ...] = ()
    """Those that are served, ascending."""
    refusals: tuple[tuple[int, str], ...] = ()
    """Versions that are not served, with the reasons."""
    held_back: tuple[int, ...] = ()
    """Of these, versions that vouched for themselves and are worse than an older one, ascending."""
    verifying: tuple[int, ...] = ()
    """Versions that are being verified or wait for it, ascending."""

    @property
    def live(self) -> ModelVersion | None:
        """The version that answers where none is named; None while none does."""
        return next((one for one in self.versions if one.role == "live"), None)

    @property
    def version(self) -> int:
        """Of the one that answers; 0 while none does."""
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
    """Of a server that is older than several runs at once, too."""
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
    """A value's name without its type's in front; of a later server it may be one that is not known here."""
    try:
        return name_of(number).split("_", 1)[1].lower()
    except ValueError:
        return f"unknown {number}"


def read_pixels(version: pb.ModelVersion) -> PixelSettings | None:
    """What files become; None where the rules are not known here."""
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
    """How far the probabilities can be relied on, as the bundle has it; by a method that is not known here, by none."""
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
    """Balanced accuracy, as the server counts it."""
    return Balanced(message.accuracy, message.low, message.high, message.classes)


def read_recount(message: pb.Recount) -> Recount:
    """How answers went with the claimed ones."""
    return Recount(message.differing, message.moved, message.allowed, tuple(message.first))


def read_backbone(message: pb.Backbone) -> Backbone:
    """Whose features they are."""
    return Backbone(message.name, message.licence, message.source, message.weights_sha256, message.fine_tuned)


def read_accuracy(message: pb.Accuracy) -> Accuracy:
    """A count; its interval follows from it."""
    return Accuracy(correct=message.correct, total=message.total)
