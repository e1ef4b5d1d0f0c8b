"""The training of a model, as recorded in its manifest: settings, recipe, machine, history.

A manifest may come from anybody, so every list and every text has a limit.
"""

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from vouch.bundle.backbone import BackboneFacts, HeadFacts
from vouch.bundle.part import Part, Sha256

MAX_EPOCHS, MAX_SETTINGS, MAX_LIBRARIES, MAX_FLAGS, MAX_NOTES = 100_000, 200, 200, 64, 100
MAX_TEXT = 1_000_000
"""The most characters of a setting: `--classes` may name thousands."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1_000)]
SettingName = Annotated[str, Field(min_length=1, max_length=64)]
Setting = (
    StrictBool
    | StrictInt
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Annotated[str, Field(strict=True, max_length=MAX_TEXT)]
    | Annotated[tuple[Text, ...], Field(max_length=MAX_SETTINGS)]
    | None
)
"""A setting's value from a flag or a file."""
Column = Annotated[tuple[StrictInt | Finite | None, ...], Field(max_length=MAX_EPOCHS + 1)]
"""One number per epoch; None if there was no finite number."""
Loss = Literal["cross-entropy", "mse"]
Pool = Literal["max", "mean"]
Precision = Literal["float32", "bfloat16"]
CNN_WIDTH, CNN_DEPTH = 64, 2
_CHECKED = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CHECKED)
class Augmentation:
    """The strength of augmentation. Each variant draws its own values, uniformly up to these."""

    rotation: Finite = 0.2
    """Radians; 0.2 is about 11 degrees."""
    scaling: Finite = 0.1
    shear: Finite = 0.1
    shift: Finite = 0.12
    """Of half the side: 1.7 pixels of 28."""
    bend: Finite = 0.0
    """Of half the side."""
    crop: Finite = 1.0
    """The share of the side that a variant shows: 6/7 of 28 pixels are 24. Equal for all variants, so that a batch has
    one size; the network must accept images of any size."""
    zoom: Finite = 0.0
    """A variant shows at least 1 - zoom of the sides, at a random position."""
    flip: bool = False
    """Whether half of the variants are mirrored left to right."""
    colour: Finite = 0.0
    """The share by which brightness, contrast and saturation change, in standard deviations of the pixels."""
    find_flip: bool = False
    """Whether mirroring begins only when mirrored images are answered about as well as the images, or, if `flip`
    expects it, not much worse. A head on a backbone uses them unless cross-validation is clearly worse with them."""
    find_strength: bool = False
    """Whether augmentation is reduced if variants are answered clearly worse than their images."""


@dataclass(frozen=True, config=_CHECKED)
class Recipe:
    """The settings of a fit besides the data."""

    epochs: int
    """The most epochs, unless the images turn out to be hard; fitting may end earlier."""
    batch_size: int
    learning_rate: Finite
    """The peak of the one-cycle schedule."""
    optimizer: Literal["sgd", "adamw", "muon", "lbfgs"]
    muon_rate: Finite = 0.0
    """The peak for the weights that Muon moves."""
    weight_decay: Finite = 0.0
    label_smoothing: Finite = 0.0
    augment: Augmentation | None = None
    """The augmentation; None: images are not changed."""
    focus: Finite = 0.0
    """The probability that an easy image is skipped in an epoch in favour of others."""
    width: int = CNN_WIDTH
    """Channels of the last layers of a cnn of the usual depth."""
    loss: Loss = "cross-entropy"
    balance: bool = False
    """Whether every class counts the same, whatever its number of images."""
    enough: Finite = 0.0
    """Fitting ends when the fit loss above its lowest possible value falls below this share of that of a model without
    knowledge. 0: never."""
    settled: Finite = 0.0
    """After this share of the schedule, the weights of the epoch with the lowest loss on tune are kept. 1: the last
    epoch is kept, whatever its loss."""
    passes: int = 1
    """Passes over the fit images per epoch: several for few images, because measurements are per epoch."""
    seed: int = 0
    threads: int = 1
    """Threads of each fitting process. Sums are split among them, so the weights' last bits depend on it."""
    preset: Annotated[str, Field(max_length=64)] | None = None
    """The preset before flags changed its values; None if not recorded."""
    model: Literal["linear", "mlp", "cnn", "backbone"] | None = None
    """The kind of network; None if not recorded."""
    depth: int = CNN_DEPTH
    """How often a cnn halves the image's sides."""
    dropout: Finite = 0.0
    """Dropout of a cnn's last features."""
    pool: Pool = "max"
    """The pooling of a cnn's features: the largest value over all positions, or the mean."""
    precision: Precision = "float32"
    """Precision of a step's matrix products and convolutions; weights are always float32."""
    hard_epochs: int = 0
    """If the images turn out to be hard, fitting starts again for this many epochs, with a deeper network and weaker
    augmentation; 0: never."""


class Circumstances(Part):
    """The machine of a fit, as far as it decides the weights' last bits; None if not recorded."""

    processor: Text | None = None
    """Its name, such as "AMD EPYC 7763 64-Core Processor"."""
    flags: tuple[Annotated[str, Field(max_length=32)], ...] | None = Field(default=None, max_length=MAX_FLAGS)
    """The instructions among AVX2, AVX-512, VNNI, AMX and the like that the processor has, sorted."""
    device: Annotated[str, Field(max_length=32)] | None = None
    """cpu or cuda."""
    device_name: Text | None = None
    """The GPU's name, if the device is a GPU."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of each process."""
    processes: int | None = Field(default=None, ge=1)
    torch: Text | None = None
    """The version of torch."""
    precision: Annotated[str, Field(max_length=32)] | None = None
    """Precision of matrix products: float32, bfloat16, or tf32 if a GPU rounds their factors."""
    deterministic: bool | None = None
    """Whether a repetition gives the same bits; on a GPU only if torch was set to it."""


class History(Part):
    """The history of the fit: a column per measure, an entry per epoch; the first entry is before training."""

    fit_loss: Column = ()
    """Mean over the epoch's images, as trained; None before training, or if it was not finite."""
    fit_accuracy: Column = ()
    tune_loss: Column = ()
    tune_loss_calibrated: Column = ()
    """At the best temperature. None, like the two next to it, without a tune split."""
    tune_accuracy: Column = ()
    """0 to 1."""
    images: Column = ()
    """Images used in the epoch."""
    seconds: Column = ()
    """Seconds of its steps, without measuring."""
    best: int | None = Field(default=None, ge=0)
    """The epoch whose weights were kept: the last, or the best on tune."""
    notes: tuple[Text, ...] = Field(default=(), max_length=MAX_NOTES)
    """Changes during the fit, such as weaker augmentation: a sentence each, with the epoch."""

    @classmethod
    def of(cls, epochs: Any, best: int | None) -> "History":
        """The history from one mapping per epoch, in order; values that are not finite become None."""

        def column(name: str) -> tuple[float | None, ...]:
            values = (epoch.get(name) for epoch in epochs)
            return tuple(value if isinstance(value, int | float) and isfinite(value) else None for value in values)

        epochs = list(epochs)
        notes = [f"epoch {number}: {epoch['note']}" for number, epoch in enumerate(epochs) if epoch.get("note")]
        return cls(best=best, notes=tuple(notes[:MAX_NOTES]), **{name: column(name) for name in COLUMNS})

    @property
    def epochs(self) -> int | None:
        """The number of images used; None if not recorded."""
        return len(self.tune_loss) - 1 if self.tune_loss else None

    @model_validator(mode="after")
    def _columns_agree(self) -> "History":
        entries = {len(getattr(self, name)) for name in COLUMNS}
        if len(entries) > 1:
            raise ValueError(
                f"its columns have {min(entries)} to {max(entries)} entries; expected one per epoch in each"
            )
        if self.best is not None and self.best >= max(entries):
            raise ValueError(
                f"epoch {self.best} is stated as the best of {max(entries)}, including the entry before training"
            )
        return self


COLUMNS = tuple(name for name in History.model_fields if name not in ("best", "notes"))
_RECORDS = ("epochs_seen", "best_epoch", "recipe_in_full", "name", "processes", "device")
"""Entries of the settings in formats 1 and 2 that are not user settings."""


class SplitEntry(Part):
    """A split of the training: the number of examples, and the digest of their images and labels."""

    size: int = Field(ge=0)
    digest: Sha256


class Training(Part):
    """The training of the model: enough to repeat it."""

    asked: dict[SettingName, Setting] = Field(max_length=MAX_SETTINGS)
    """The user's settings that decide the result, by name: 0 epochs means the recipe's number."""
    recipe: Recipe | None = None
    """The recipe; None in older bundles with a recipe that no longer exists."""
    backbone: BackboneFacts | None = None
    """None: the network was trained from scratch, or by a version without backbones."""
    head: HeadFacts | None = None
    """For a backbone that was not fine-tuned: how its head was fitted."""
    circumstances: Circumstances = Circumstances()
    history: History = History()
    seed: int
    seconds: float = Field(ge=0)
    """Seconds of fitting only."""
    data: Text
    """The data's name, without its folder."""
    data_digest: Sha256
    """Digest over the digests of the splits."""
    splits: dict[Literal["fit", "tune", "validation"], SplitEntry]
    libraries: dict[Text, Text] = Field(max_length=MAX_LIBRARIES)
    source_revision: Text | None
    """Git commit of the trainer, followed by "+" if the checkout had changes; None outside a checkout."""

    @property
    def model(self) -> str | None:
        """The kind of network; None if not recorded."""
        model = (self.recipe and self.recipe.model) or self.asked.get("model")
        return model if isinstance(model, str) else None


def of_older(training: dict[str, Any]) -> dict[str, Any]:
    """A training from formats 1 and 2, whose dictionary of settings is divided into asked, recipe and so on.

    A recipe that no longer exists becomes None; missing values are not invented.
    """
    settings, others = training["settings"], {name: value for name, value in training.items() if name != "settings"}
    if not isinstance(settings, dict):
        raise ValueError("settings: expected an object")
    libraries = training.get("libraries")
    threads, processes = (_at_least_one(settings.get(name)) for name in ("threads", "processes"))
    device = settings.get("device")
    seen, best = settings.get("epochs_seen"), settings.get("best_epoch")
    epochs = [epoch for epoch in seen if isinstance(epoch, dict)] if isinstance(seen, list) else []
    return others | {
        "asked": {name: value for name, value in settings.items() if name not in _RECORDS and _is_simple(value)},
        "recipe": _older_recipe(settings.get("recipe_in_full", settings.get("recipe"))),
        "circumstances": {
            "device": device if device in ("cpu", "cuda") else None,
            "threads": threads,
            "processes": processes,
            "torch": libraries.get("torch") if isinstance(libraries, dict) else None,
        },
        "history": History.of(epochs, best if isinstance(best, int) and 0 <= best < len(epochs) else None),
    }


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))


def _at_least_one(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 1 else None


def _older_recipe(values: Any) -> Recipe | None:
    try:
        augment = values["augment"]
        return Recipe(**{**values, "augment": Augmentation(**augment) if augment else None})
    except (KeyError, TypeError, ValidationError):
        return None
