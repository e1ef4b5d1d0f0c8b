"""Settings of `vouch train`: the only place where outside values enter the trainer."""

import os
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from vouch.bundle.listed import NAME_PATTERN
from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import ALL_BITS, WHITE
from vouch.cli.settings import Flag
from vouch.cli.sizes import bytes_in
from vouch.sources.folder_rules import FolderRules
from vouch.sources.label_pattern import check_pattern
from vouch.sources.name_pattern import MOST_LETTERS
from vouch.sources.wanted import Layout, Wanted
from vouch.trainer.compare.settings import CompareSettings
from vouch.trainer.kinds import Device, FitChoice, Quantize, Track
from vouch.trainer.recipe_settings import OF_THE_RECIPE, RecipeSettings

__all__ = ["OF_THE_RECIPE", "CompareSettings", "TrainSettings"]

MAX_SIDE = 4096
"""Pixels: a colour image of 4096 x 4096 takes 48 MiB and still fits into a message of the server's default 64 MiB."""
NOT_DECIDING = (
    *("models", "name", "json_output", "strict", "if_absent", "resume", "remove_checkpoints", "like", "device"),
    *("memory", "track", "track_to"),
)
"""Settings that do not affect the weights; a repeated training does not take them over."""
GROUNDS = {"white": WHITE, "black": "#000000"}
MAX_THREADS = 1024
ONE_LABEL = "--coverage-by-class needs exactly one label per image; leave it out"
AFTER_FITTING = ("quantize", "max_drop", "fit_digests", "coverage_by_class", "licence")
"""Settings that affect the bundle after fitting, not the weights."""


class TrainSettings(RecipeSettings):
    """Train a classifier on labelled images, measure its accuracy on images it has never seen, and publish both."""

    table: ClassVar = "train"
    removed: ClassVar = {"recipe": "use --preset, with auto in place of default"}

    data: Annotated[str, Flag("DATA", positional=True, path=True)] = "digits"
    """The training data: digits (1,797 images included with Vouch), mnist (from $VOUCH_DATA/mnist, or downloaded), or a
    path: a folder of images (LABEL/*.png; train/LABEL/*.png and val/LABEL/*.png; any folder with a labels.csv or with
    --label-from), a folder or .zip of IDX files, an .npz or a .csv file."""
    classes: Annotated[str, Flag("A,B,...")] = ""
    """Use only these classes, in this order. With two, the model is binary: one output, positive for the second."""
    label_from: Annotated[str, Flag("REGEX")] = ""
    """Take labels from file names: the first group of this regular expression, such as '^([a-z]+)' for cat.0.png. If
    it contains a slash, it is searched in the path."""
    groups: Annotated[str, Flag("COLUMN|REGEX"), Field(max_length=MOST_LETTERS)] = ""
    """Keep images that belong together (same patient, burst or video) in the same part of every split and fold. Images
    belong together if they have the same value in this column of labels.csv. If there is no such column, this is a
    regular expression, and files whose names match with the same text (the first group, or the whole match) belong
    together. If it contains a slash, it is searched in the path."""
    keep_alike: bool = True
    """Keep near-duplicate images (brightened, recompressed, next in a burst) in the same part of each split that Vouch
    makes, unless a class would then be missing."""
    splits: bool = True
    """Treat folders named train, val, test or similar as splits. With --no-splits they are classes."""
    strict: bool = False
    """Fail if the folder has other files among the images, or images that cannot be read. By default they are
    left out and counted."""
    size: Annotated[str, Flag("HxW")] = ""
    """Resize images of a folder to this height and width; 64 means 64x64. Default: photographs become 224x224
    (or a backbone file's size); small images keep their size, or get the median size if sizes differ."""
    fit: FitChoice = "auto"
    """How to resize images with other proportions: stretch; crop two sides; or pad with the colour of --ground. auto:
    crop photographs if at least half of the image remains, else stretch."""
    channels: Annotated[int, Flag("N"), Field(ge=0, le=4)] = 0
    """Channels of images from a folder or a .csv file: 1 (grey), 2 (grey and alpha), 3 (colour) or 4 (colour and
    alpha). 0: grey if all images are grey, else colour."""
    bits: Annotated[int, Flag("N"), Field(ge=8, le=ALL_BITS)] = ALL_BITS
    """How many bits of 16-bit image files are in use, such as 10 or 12. The server does the same."""
    ground: Annotated[str, Flag("COLOUR")] = "white"
    """Background for transparent images, in training and serving: white, black, or a colour such as ff8000."""
    layout: Layout | None = None
    """Order of the axes of an .npz file's images, if their lengths do not show it: nchw (channels before height and
    width) or nhwc. For a .csv file in colour, nchw means one colour plane after the other."""
    multi_label: bool = False
    """Each image may have any number of labels, even if every file in labels.csv has exactly one."""
    single_label: bool = False
    """Each image has exactly one label. Data with several labels for an image, or none, is an error."""
    quantize: Quantize = "none"
    """Number format of the published graph: none (float32), or int8, which is smaller, and faster on processors with
    VNNI or AMX."""
    max_drop: Annotated[float | None, Flag("POINTS"), Field(ge=0, le=100)] = None
    """Accuracy, in percentage points, that int8 may lose on the calibration images (default: 1, or the share
    of two images, if that is more). float32 is published if the loss is larger or significant (McNemar's test), or if
    fewer than 100 images are available. 100: always publish int8."""
    coverage_by_class: bool = False
    """Promise the coverage of label sets for each class separately. Each class needs enough calibration images: 22 for
    90 %, 45 for 95 %, 230 for 99 %. Single-label models only."""
    seed: Annotated[int, Flag("N"), Field(ge=0, lt=2**32)] = 0
    """Seed for everything random: the split, the initial weights, the order of images."""
    split_seed: Annotated[int | None, Flag("N"), Field(ge=0, lt=2**32)] = None
    """Seed for the split only, to compare trainings with different seeds on the same validation images (default:
    --seed)."""
    tune_share: Annotated[float | None, Flag("SHARE"), Field(gt=0, lt=0.5)] = None
    """Share of the training images set aside, as the tune split, to choose temperature, thresholds and label sets.
    Default: 5 %, but at least 400 images. With fewer than 5,000 images (20,000 for a single layer or a head) none are
    set aside, and cross-validation is used instead."""
    validation_share: Annotated[float, Flag("SHARE"), Field(gt=0, lt=0.9)] = 0.2
    """Share of the images set aside to measure the claim, if the data has no validation split of its own."""
    leave_out_small_classes: bool = False
    """Leave out classes with too few images to be in every split, instead of failing. They are named and counted."""
    allow_duplicates: bool = False
    """Continue although validation images are also among the training images."""
    licence: Annotated[str, Flag("ID")] = ""
    """The licence under which you publish the model, for its card: an identifier of the Hugging Face hub such as
    apache-2.0 or cc-by-4.0."""
    name: Annotated[str, Flag("NAME")] = ""
    """Name of the model in the models folder (default: after the data)."""
    models: Annotated[Path, Flag("DIR")] = Path("models")
    """Models folder to publish to."""
    threads: Annotated[int, Flag("N"), Field(ge=0, le=MAX_THREADS)] = 0
    """Threads for training. The last bits of the weights depend on it, so it is recorded. 0: $OMP_NUM_THREADS if set,
    else one thread for each core that has enough to do."""
    memory: Annotated[int | None, Flag("SIZE"), Field(ge=1)] = None
    """Memory for images and training, such as 500M or 2G; the program itself needs about 0.7G more. Images that take
    more than a quarter of it are kept in a file. Default: what is available."""
    device: Device = "auto"
    """Where to train; auto uses cuda if it is available."""
    fit_digests: bool = True
    """Store digests of the training images in the bundle, so that vouch evaluate --data can report how many of its
    images were trained on. Anyone with the bundle and an image can check whether that image was used."""
    track: Track = "none"
    """Log this training in MLflow or TensorBoard too: settings, figures of every epoch, the claim, and the bundle
    (TensorBoard: its card)."""
    track_to: Annotated[str, Flag("URI|FOLDER", path=True)] = ""
    """Where to log. Default: MLflow's own setting, such as $MLFLOW_TRACKING_URI; for TensorBoard, the folder runs."""
    if_absent: bool = False
    """Do nothing if a version with this name is already published."""
    resume: bool = False
    """Continue an interrupted training from its last epoch, with the same settings and images. On the CPU the result is
    the same as without the interruption."""
    remove_checkpoints: bool = False
    """Remove checkpoints of interrupted trainings of this name with other settings."""
    like: Annotated[Path | None, Flag("BUNDLE")] = None
    """Repeat the training of this bundle with its settings. Other options override them."""

    @field_validator("name")
    @classmethod
    def _a_folders_name(cls, value: str) -> str:
        if value and not re.fullmatch(NAME_PATTERN, value):
            raise ValueError("expected 1 to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit")
        return value

    @field_validator("licence")
    @classmethod
    def _as_the_hub_writes_it(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}", value):
            raise ValueError("expected an identifier in small letters, such as apache-2.0")
        return value

    @field_validator("memory", mode="before")
    @classmethod
    def _with_a_unit(cls, value: object) -> object:
        return bytes_in(value) if isinstance(value, str) and value else value

    @field_validator("size", "backbone_size", mode="before")
    @classmethod
    def _one_number_is_a_square(cls, value: object) -> object:
        if value in ("", None):
            return value
        sides = re.fullmatch(r"\s*([1-9][0-9]{0,8})(?:\s*[xX\u00d7*,]\s*([1-9][0-9]{0,8}))?\s*", str(value))
        if not sides or any(int(side) > MAX_SIDE for side in sides.groups() if side):
            raise ValueError(f"expected HEIGHTxWIDTH or one number for both, from 1 to {MAX_SIDE}, such as 64x48 or 64")
        return f"{sides[1]}x{sides[2] or sides[1]}"

    @field_validator("threads")
    @classmethod
    def _as_openmp_is_told(cls, value: int) -> int:
        said = os.environ.get("OMP_NUM_THREADS", "")
        if value or not said:
            return value
        first = said.split(",")[0].strip()  # further numbers are for nested loops, which torch does not have
        if not first.isdecimal() or not 0 < int(first) <= MAX_THREADS:
            raise ValueError(f"0 means $OMP_NUM_THREADS, which is {said!r}: expected 1 to {MAX_THREADS:,}")
        return int(first)

    @field_validator("classes")
    @classmethod
    def _at_least_two(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if value and (len(names) < 2 or "" in names):
            raise ValueError("expected two or more class names separated by commas, such as 3,7")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"expected each class once; {twice[0]} is named {names.count(twice[0])} times")
        return value

    @field_validator("ground")
    @classmethod
    def _a_colour(cls, value: str) -> str:
        value = value.lower()
        if value not in GROUNDS and not re.fullmatch(r"#?[0-9a-f]{6}", value):
            raise ValueError("expected white, black, or a colour as six hexadecimal digits, such as ff8000")
        digits = f"#{value.removeprefix('#')}"
        return {colour: name for name, colour in GROUNDS.items()}.get(digits, value if value in GROUNDS else digits)

    @field_validator("label_from")
    @classmethod
    def _has_one_group(cls, value: str) -> str:
        if value:
            check_pattern(value)
        return value

    @model_validator(mode="after")
    def _one_label_or_any_number(self) -> "TrainSettings":
        if self.multi_label and self.single_label:
            raise ValueError("--multi-label and --single-label exclude each other; leave one of them out")
        if self.multi_label and self.coverage_by_class:
            raise ValueError(f"--multi-label: {ONE_LABEL}")
        return self

    @model_validator(mode="after")
    def _tracked_somewhere(self) -> "TrainSettings":
        if self.track_to and self.track == "none":
            raise ValueError("--track-to needs --track mlflow or --track tensorboard")
        return self

    @property
    def chosen_classes(self) -> tuple[str, ...]:
        """The names in `classes`; empty for all."""
        return tuple(name.strip() for name in self.classes.split(",")) if self.classes else ()

    @property
    def task(self) -> Task | None:
        """Whether images have one label or several; None: decided by the data."""
        if self.multi_label:
            return "multi_label"
        return "single_label" if self.single_label else None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """`size` as (height, width)."""
        return _sides(self.size)

    @property
    def backbone_image_size(self) -> tuple[int, int] | None:
        """`backbone_size` as (height, width)."""
        return _sides(self.backbone_size)

    @classmethod
    def deciding_names(cls) -> set[str]:
        """Names of the settings that affect the result."""
        return set(cls.model_fields) - set(NOT_DECIDING)

    def deciding(self, without: Collection[str] = ()) -> dict[str, Any]:
        """The requested settings that affect the result, as JSON values; of a backbone's file only the name."""
        asked = self.model_dump(mode="json", include=self.deciding_names() - set(without))
        return asked | {"backbone": PurePath(self.backbone).name}

    @property
    def decoding(self) -> Wanted:
        """How images are decoded, as far as the settings state it."""
        return Wanted(
            size=self.image_size,
            channels=self.channels,
            bits=self.bits,
            ground=GROUNDS.get(self.ground, self.ground),
            layout=self.layout,
            memory=self.memory,
            fit="stretch" if self.fit == "auto" else self.fit,
        )

    @property
    def folder_rules(self) -> FolderRules:
        """How a folder of images is read."""
        return FolderRules(self.label_from, self.splits, self.chosen_classes, self.strict, self.groups)

    @property
    def model_name(self) -> str:
        """`name`, or a name made from the data: `../My Digits.npz` gives `my-digits`."""
        if self.name:
            return self.name
        stem = Path(self.data).resolve().stem if self.data not in ("digits", "mnist") else self.data
        return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:63] or "model"


def _sides(size: str) -> tuple[int, int] | None:
    height, _, width = size.partition("x")
    return (int(height), int(width)) if size else None
