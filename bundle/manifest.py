"""manifest.json: the description of one version of one model, checked whenever it is read."""

import unicodedata
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    FailFast,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vouch.bundle.claims import WAYS, AnyClaim, MultiLabelClaim
from vouch.bundle.confusion import MAX_CLASSES
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.listed import (
    MANIFEST,
    MAX_FILES,
    MODEL,
    NAME_PATTERN,
    VALIDATION,
    VALIDATION_FILES,
    FileEntry,
    FileName,
)
from vouch.bundle.multi_label import MultiLabelTally, Task
from vouch.bundle.part import Part, Sha256
from vouch.bundle.pixel_settings import FIRST_RULES, PixelSettings
from vouch.bundle.quantization import Quantization
from vouch.bundle.reliability import Calibration
from vouch.bundle.signature import SIGNATURE
from vouch.bundle.tally import Tally
from vouch.bundle.training import Training, of_older

FORMAT_VERSION: Final = 3
"""The format that is written. Formats 1 (no calibration, no multi-label) and 2 (no answers) are still read."""
BEFORE_ANSWERS: Final = (1, 2)
MAX_LABEL_LENGTH = 1_000
MAX_IMAGES = 1_000_000
"""The most images of a validation split, in format 3."""
MAX_VALUES = 25_000_000
"""Limit for all lists together: in formats 1 and 2, 4,900 classes have 24 million entries in the confusion matrix."""
MAX_PARTS = 100_000
"""The most lists, objects and names in them, which take a hundred times the memory of their text: 10,000 labels have
three lists each. Text in a label that looks like one counts too."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Label = Annotated[str, Field(max_length=MAX_LABEL_LENGTH)]


def is_class_name(label: str) -> bool:
    """Whether this can be shown as one line of text: not empty, no control characters, no lone surrogates."""
    return bool(label.strip()) and not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in label)


def _is_float32(value: float) -> float:
    if float(np.float32(value)) != value:
        raise ValueError("not a float32's value, so that comparing a probability with it would round")
    return value


Threshold = Annotated[float, Field(ge=0, le=1), AfterValidator(_is_float32)]


class Manifest(Part):
    """The content of manifest.json."""

    format_version: Literal[1, 2, 3] = FORMAT_VERSION
    name: Name
    version: int = Field(ge=1)
    created: AwareDatetime
    task: Task = "single_label"
    labels: Annotated[tuple[Label, ...], FailFast()] = Field(min_length=2, max_length=MAX_CLASSES)
    """Names of the K classes, in the order of the outputs."""
    input: PixelSettings
    claim: AnyClaim
    thresholds: tuple[Threshold, ...] | None = Field(default=None, max_length=MAX_CLASSES)
    """Multi-label: for each label, the lowest probability with which it is part of the answer. Otherwise None."""
    calibration: Calibration | None = None
    """None in bundles of format 1, or if the model was not calibrated."""
    quantization: Quantization | None = None
    """None if the graph computes with the numbers that it was trained with, and in format 1."""
    quantization_refused: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    """Why smaller numbers were requested but not used, as the end of a sentence."""
    validation_digest: Sha256 | None = None
    """Digest of the stored validation images and their labels, from `validation`; None before format 3."""
    training: Training
    files: dict[FileName, FileEntry] = Field(max_length=MAX_FILES)
    """Every file of the bundle except the manifest."""

    @property
    def has_answers(self) -> bool:
        """Whether the validation split contains the claimed answer to each image."""
        return self.format_version not in BEFORE_ANSWERS

    @property
    def validation_file(self) -> str:
        """The name of the file with the validation split."""
        return VALIDATION_FILES if VALIDATION_FILES in self.files else VALIDATION

    def new_tally(self) -> Tally | MultiLabelTally:
        """An empty count of answers, of the claim's kind."""
        return Tally() if self.thresholds is None else MultiLabelTally(self.thresholds)

    @field_validator("input", mode="before")
    @classmethod
    def _rules_of_old(cls, value: Any) -> Any:
        """A manifest without decoding rules has the rules that it was trained with."""
        return {"rules": FIRST_RULES} | value if isinstance(value, dict) else value

    @field_validator("training", mode="before")
    @classmethod
    def _training_of_old(cls, value: Any, info: ValidationInfo) -> Any:
        """Reads the settings of formats 1 and 2; in format 3 they are an unknown field."""
        older = info.data.get("format_version") in BEFORE_ANSWERS
        return of_older(value) if older and isinstance(value, dict) and "settings" in value else value

    @field_validator("claim", mode="before")
    @classmethod
    def _confusion_in_columns(cls, value: Any, info: ValidationInfo) -> Any:
        rows = isinstance(value, dict) and isinstance(value.get("confusion"), list)
        if rows and info.data.get("format_version") not in BEFORE_ANSWERS:
            raise ValueError(f"format {FORMAT_VERSION} has its confusion matrix in columns")
        return value

    @model_validator(mode="after")
    def _labels_agree(self) -> "Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        if not all(map(is_class_name, self.labels)):
            raise ValueError("labels must not be empty or contain control characters")
        several, classes = isinstance(self.claim, MultiLabelClaim), self.claim.classes
        if classes > len(self.labels) or (several and classes < len(self.labels)):
            raise ValueError(f"{len(self.labels)} labels, but the claim has counts for {self.claim.classes}")
        return self

    @model_validator(mode="after")
    def _task_agrees(self) -> "Manifest":
        several = self.task == "multi_label"
        if isinstance(self.claim, MultiLabelClaim) != several:
            raise ValueError(f"the claim does not fit a {self.task} model")
        if (self.thresholds is not None) != several or (self.thresholds and len(self.thresholds) != len(self.labels)):
            raise ValueError(f"expected {f'{len(self.labels)} thresholds' if several else 'no thresholds'}")
        if several and self.calibration and (self.calibration.coverages or self.calibration.withheld):
            raise ValueError("label sets with a promised coverage are for single-label models")
        return self

    @model_validator(mode="after")
    def _format_agrees(self) -> "Manifest":
        if self.quantization and self.quantization_refused:
            raise ValueError("quantization cannot be both present and refused")
        names = ("calibration", "quantization", "quantization_refused", "thresholds")
        newer = [name for name in names if getattr(self, name) is not None]
        if newer and self.format_version == 1:
            raise ValueError(f"format 1 has no {newer[0]}")
        if (self.validation_digest is not None) != self.has_answers:
            raise ValueError(f"format {self.format_version} has {'a' if self.has_answers else 'no'} validation_digest")
        if self.has_answers and self.claim.total > MAX_IMAGES:
            raise ValueError(f"the claim has {self.claim.total:,} images; expected at most {MAX_IMAGES:,}")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> "Manifest":
        for coverage in self.calibration.coverages if self.calibration else ():
            if coverage.total != self.claim.total or coverage.mean_size > len(self.labels):
                raise ValueError(f"the coverage of {coverage.promised:.0%} was not counted on the images of the claim")
            if coverage.by_class and coverage.by_class.total != self._images_of_each():
                raise ValueError(
                    f"the coverage of {coverage.promised:.0%} by class was not counted on the claim's images"
                )
        for withheld in self.calibration.withheld if self.calibration else ():
            if withheld.smallest is not None and withheld.smallest not in self.labels:
                raise ValueError(f"the coverage of {withheld.coverage:.0%} is withheld for an unknown class")
        for name in (MODEL, self.validation_file):
            if name not in self.files:
                raise ValueError(f"files does not list {name}")
        if self.validation_file == VALIDATION_FILES and (not self.has_answers or VALIDATION in self.files):
            raise ValueError(f"expected only {VALIDATION}, or in format 3 only {VALIDATION_FILES}")
        if any("/" in name or name.startswith(".") or name in (MANIFEST, SIGNATURE) for name in self.files):
            raise ValueError("files may only name visible files in the bundle's own folder")
        return self

    def _images_of_each(self) -> tuple[int, ...]:
        """The number of the claim's images of each class."""
        if isinstance(self.claim, MultiLabelClaim):
            return ()
        return tuple(self.claim.confusion.of_each(len(self.labels)).tolist())

    def to_json(self) -> bytes:
        """The file's content: UTF-8, indented, one line feed at the end."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def read_manifest(content: bytes) -> Manifest:
    """The manifest from a file's content.

    Raises:
        InvalidBundle: not JSON, a field missing, unknown or wrong, another format_version, or too many values.
    """
    if content.count(b",") > MAX_VALUES or sum(map(content.count, (b"[", b"{", b":"))) > MAX_PARTS:
        raise InvalidBundle(
            f"{MANIFEST} has more than {MAX_VALUES:,} values, or {MAX_PARTS:,} lists and names of values"
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        kinds = (*get_args(Task), *WAYS)  # pydantic adds the names of union members
        steps = [str(step) for step in first["loc"] if step not in kinds]
        place = ".".join(steps) or "the file"
        what = first["msg"].removeprefix("Value error, ")  # pydantic's prefix of our messages
        raise InvalidBundle(f"{MANIFEST}: {place}: {what}") from err
