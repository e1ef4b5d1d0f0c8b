"""manifest.json: all that is said about one version of one model, checked whenever it is read."""

import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bundle.accuracy import Accuracy, Tally
from bundle.errors import InvalidBundle
from bundle.pixels import PixelSettings

FORMAT_VERSION: Final = 2
"""What is written; 1, which had no calibration, is still read."""
MANIFEST, MODEL, VALIDATION, CARD = "manifest.json", "model.onnx", "validation.npz", "README.md"
REPORT: Final = "report.html"

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def is_class_name(label: str) -> bool:
    """Whether this can be shown as one line of text: not empty, no control characters, no lone surrogates."""
    return bool(label.strip()) and not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in label)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """What a file of the bundle must be."""

    sha256: Sha256
    size: int = Field(ge=0)


class SplitEntry(_Part):
    """A split that training used: how many examples, and the digest of their images and labels."""

    size: int = Field(ge=0)
    digest: Sha256


class Claim(_Part):
    """The count on the validation split that the trainer made on the exported graph, in ONNX Runtime."""

    correct: int = Field(ge=0)
    total: int = Field(ge=1)
    low: float
    """Wilson 95 % interval, lower end."""
    high: float
    confusion: tuple[tuple[int, ...], ...]
    """K rows of K: row the true class, column the answer."""

    @classmethod
    def of(cls, tally: Tally) -> "Claim":
        """The claim that a finished count makes."""
        count = tally.accuracy
        confusion = tuple(tuple(row) for row in tally.confusion.tolist())
        return cls(correct=count.correct, total=count.total, low=count.low, high=count.high, confusion=confusion)

    @property
    def accuracy(self) -> Accuracy:
        """The claim as a count."""
        return Accuracy(correct=self.correct, total=self.total)

    @property
    def per_class(self) -> list[Accuracy]:
        """The count for the images of each class, in the order of the labels."""
        return [Accuracy(correct=row[k], total=sum(row)) for k, row in enumerate(self.confusion)]

    @model_validator(mode="after")
    def _figures_agree(self) -> "Claim":
        rows = self.confusion
        if any(len(row) != len(rows) for row in rows) or any(count < 0 for row in rows for count in row):
            raise ValueError("the confusion matrix is not a square of counts")
        if sum(map(sum, rows)) != self.total or sum(row[k] for k, row in enumerate(rows)) != self.correct:
            raise ValueError("the confusion matrix does not add up to the claim")
        stated, right = (self.low, self.high), (self.accuracy.low, self.accuracy.high)
        if not all(abs(one - other) <= 1e-6 for one, other in zip(stated, right, strict=True)):  # NaN is not within
            raise ValueError("low and high are not the Wilson 95 % interval of the claim")
        return self


class Coverage(_Part):
    """Label sets with a promise, and how it was kept."""

    promised: float = Field(gt=0, lt=1)
    """The share of images whose set contains the truth."""
    threshold: float = Field(ge=0, le=1)
    """The probability from which on a class belongs to the set; settled on tune."""
    covered: int = Field(ge=0)
    """Of the validation images, those whose set contains the truth."""
    total: int = Field(ge=1)
    mean_size: float = Field(ge=1)
    """Classes a set, on validation."""

    @model_validator(mode="after")
    def _covered_is_a_part(self) -> "Coverage":
        if self.covered > self.total:
            raise ValueError(f"{self.covered} of {self.total} sets contain the truth")
        return self

    @property
    def counted(self) -> Accuracy:
        """The promise's count, with its interval."""
        return Accuracy(correct=self.covered, total=self.total)


class Calibration(_Part):
    """How far the probabilities can be relied on."""

    temperature: float = Field(gt=0)
    """Scores are divided by it, inside the graph; settled on tune."""
    error_before: float = Field(ge=0, le=1)
    """Expected calibration error on validation without the temperature."""
    error_after: float = Field(ge=0, le=1)
    """And with it, as served."""
    coverages: tuple[Coverage, ...]
    """In rising order of the promise."""

    @model_validator(mode="after")
    def _promises_rise(self) -> "Calibration":
        promised = [coverage.promised for coverage in self.coverages]
        if sorted(set(promised)) != promised:
            raise ValueError("the promised coverages do not rise")
        return self


class Training(_Part):
    """How the model came about: enough to repeat it."""

    settings: dict[str, Any]
    seed: int
    seconds: float = Field(ge=0)
    """Fitting alone."""
    data: str
    data_digest: Sha256
    """Over the digests of the splits."""
    splits: dict[Literal["fit", "tune", "validation"], SplitEntry]
    libraries: dict[str, str]
    source_revision: str | None
    """Git commit of the trainer, "+" behind it where the checkout had changes; None outside a checkout."""


class Manifest(_Part):
    """The whole of manifest.json."""

    format_version: Literal[1, 2] = FORMAT_VERSION
    name: Name
    version: int = Field(ge=1)
    created: AwareDatetime
    task: Literal["single_label"] = "single_label"
    labels: tuple[str, ...] = Field(min_length=2)
    """Names of the K classes, in the order of the outputs."""
    input: PixelSettings
    claim: Claim
    calibration: Calibration | None = None
    """None in bundles of format 1, or where nobody has settled any."""
    training: Training
    files: dict[str, FileEntry]
    """Every file of the bundle but the manifest."""

    @model_validator(mode="after")
    def _parts_agree(self) -> "Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        if not all(map(is_class_name, self.labels)):
            raise ValueError("labels must not be empty nor hold control characters")
        if len(self.claim.confusion) != len(self.labels):
            raise ValueError(
                f"{len(self.labels)} labels, but the confusion matrix has {len(self.claim.confusion)} rows"
            )
        if self.calibration and self.format_version == 1:
            raise ValueError("format 1 has no calibration")
        for coverage in self.calibration.coverages if self.calibration else ():
            if coverage.total != self.claim.total or coverage.mean_size > len(self.labels):
                raise ValueError(f"the coverage of {coverage.promised:.0%} was not counted on the images of the claim")
        for name in (MODEL, VALIDATION):
            if name not in self.files:
                raise ValueError(f"files does not list {name}")
        if any("/" in name or name.startswith(".") or name == MANIFEST for name in self.files):
            raise ValueError("files may only name visible files of the bundle's own folder")
        return self

    def to_json(self) -> bytes:
        """The file's content: UTF-8, indented, one line feed at the end."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def read_manifest(content: bytes) -> Manifest:
    """The manifest that a file's content says.

    Raises:
        InvalidBundle: not JSON, a field missing, unknown or wrong, or another format_version.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidBundle(f"{MANIFEST}: {place}: {first['msg']}") from err
