"""How a model came to be, as its manifest records it: what was asked for, the recipe, where it ran, how it went.

A manifest may come from anybody, so every list and every text has a bound.
"""

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from vouch.bundle.backbone import BackboneFacts, HeadFacts
from vouch.bundle.part import Part, Sha256

MAX_EPOCHS, MAX_SETTINGS, MAX_LIBRARIES, MAX_FLAGS, MAX_NOTES = 100_000, 200, 200, 64, 100
MAX_TEXT = 1_000_000
"""Characters of a setting: `--classes` may name thousands."""
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
"""A setting's value, as a flag or a file can give it."""
Column = Annotated[tuple[StrictInt | Finite | None, ...], Field(max_length=MAX_EPOCHS + 1)]
"""A number for each epoch; None where there was none, or none that is finite."""
Loss = Literal["cross-entropy", "mse"]
Pool = Literal["max", "mean"]
Precision = Literal["float32", "bfloat16"]
CNN_WIDTH, CNN_DEPTH = 64, 2
_CHECKED = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CHECKED)
class Augmentation:
    """How far a variant may be from its image. Each variant draws its own values, evenly up to these."""

    rotation: Finite = 0.2
    """Radians; 0.2 is about 11 degrees."""
    scaling: Finite = 0.1
    shear: Finite = 0.1
    shift: Finite = 0.12
    """Of half the side: 1.7 pixels of 28."""
    bend: Finite = 0.0
    """Of half the side."""
    crop: Finite = 1.0
    """The share of the side that a variant shows: 6/7 of 28 pixels are 24. The same for all variants, so that a batch
    has one size; the network must take images of any size."""
    zoom: Finite = 0.0
    """A variant shows at least 1 - zoom of the sides, at a random place: up to so much closer."""
    flip: bool = False
    """Whether every other variant is mirrored, left and right."""
    colour: Finite = 0.0
    """The share by which brightness, contrast and saturation change, in standard deviations of the pixels."""
    find_flip: bool = False
    """Whether mirroring begins only when mirrored images are answered about as well as the images, or, where `flip`
    presumes it, not much worse. A head on a backbone learns them unless cross-validation is clearly against it."""
    find_strength: bool = False
    """Whether variants that are answered clearly worse than their images are made nearer to them."""


@dataclass(frozen=True, config=_CHECKED)
class Recipe:
    """What a fit needs to know beside the data."""

    epochs: int
    """At most, unless the images turn out to be hard: fitting may end earlier."""
    batch_size: int
    learning_rate: Finite
    """The peak of the one-cycle schedule."""
    optimizer: Literal["sgd", "adamw", "muon", "lbfgs"]
    muon_rate: Finite = 0.0
    """The peak for the weights that Muon moves."""
    weight_decay: Finite = 0.0
    label_smoothing: Finite = 0.0
    augment: Augmentation | None = None
    """How variants of the images are made; None: the images are learned as they are."""
    focus: Finite = 0.0
    """The chance that an image which was answered easily is skipped in an epoch, for the others."""
    width: int = CNN_WIDTH
    """Channels of a cnn's last layers, where it is of the usual depth."""
    loss: Loss = "cross-entropy"
    balance: bool = False
    """Whether every class counts the same, however many images it has."""
    enough: Finite = 0.0
    """Fitting is brought to its end where this share is left of what there was to learn: of the fit loss above its
    lowest value, against that of one who knows nothing. 0: never."""
    settled: Finite = 0.0
    """The share of the schedule after which an epoch may be the one whose weights are kept, by its loss on tune. 1: the
    last one is kept, whatever its loss."""
    passes: int = 1
    """How often an epoch goes through the fit images: of a few images several times, as one epoch is measured."""
    seed: int = 0
    threads: int = 1
    """Of each process that fits. Sums are split among them, so the weights depend on it to the last bit."""
    preset: Annotated[str, Field(max_length=64)] | None = None
    """Whose values these were before flags changed them; None: nobody has recorded it."""
    model: Literal["linear", "mlp", "cnn", "backbone"] | None = None
    """What learned; likewise."""
    depth: int = CNN_DEPTH
    """How often a cnn halves the sides of the image."""
    dropout: Finite = 0.0
    """The share of a cnn's last features that a step does without."""
    pool: Pool = "max"
    """What a cnn keeps of a feature: its largest value over all places, or its mean."""
    precision: Precision = "float32"
    """Of a step's products of matrices and convolutions; weights are float32 all the same."""
    hard_epochs: int = 0
    """For so many fitting begins again, with a deeper network and lighter variants, where the images turn out to be
    hard; 0: whatever they turn out to be."""


class Circumstances(Part):
    """Where a fit ran, as far as it decides the last bits of the weights; None: nobody has recorded it."""

    processor: Text | None = None
    """Its name, such as "AMD EPYC 7763 64-Core Processor"."""
    flags: tuple[Annotated[str, Field(max_length=32)], ...] | None = Field(default=None, max_length=MAX_FLAGS)
    """The instructions among AVX2, AVX-512, VNNI, AMX and the like that the processor has, sorted."""
    device: Annotated[str, Field(max_length=32)] | None = None
    """cpu or cuda."""
    device_name: Text | None = None
    """The GPU's, where the device is one."""
    threads: int | None = Field(default=None, ge=1)
    """Of each process."""
    processes: int | None = Field(default=None, ge=1)
    torch: Text | None = None
    """Its version."""
    precision: Annotated[str, Field(max_length=32)] | None = None
    """Of products of matrices: float32, bfloat16, or tf32 where a GPU rounds their factors."""
    deterministic: bool | None = None
    """Whether the same bits come again under the same circumstances; on a GPU only where that was asked of torch."""


class History(Part):
    """How the fit went, a column a measure and an entry an epoch; the first entry is before training."""

    fit_loss: Column = ()
    """Mean over the epoch's images, as trained; None before training, or where it was no number."""
    fit_accuracy: Column = ()
    tune_loss: Column = ()
    tune_loss_calibrated: Column = ()
    """At the best temperature. None, as the two beside it, where no split was set aside for tune."""
    tune_accuracy: Column = ()
    """0 to 1."""
    images: Column = ()
    """Gone through in it."""
    seconds: Column = ()
    """Of its steps, without measuring."""
    best: int | None = Field(default=None, ge=0)
    """The epoch whose weights were kept: the last, or the one that tune chose."""
    notes: tuple[Text, ...] = Field(default=(), max_length=MAX_NOTES)
    """What changed on the way, such as weaker variants: a sentence each, with the epoch."""

    @classmethod
    def of(cls, epochs: Any, best: int | None) -> "History":
        """From one mapping an epoch, in their order; what is no finite number is recorded as None."""

        def column(name: str) -> tuple[float | None, ...]:
            values = (epoch.get(name) for epoch in epochs)
            return tuple(value if isinstance(value, int | float) and isfinite(value) else None for value in values)

        epochs = list(epochs)
        notes = [f"epoch {number}: {epoch['note']}" for number, epoch in enumerate(epochs) if epoch.get("note")]
        return cls(best=best, notes=tuple(notes[:MAX_NOTES]), **{name: column(name) for name in COLUMNS})

    @property
    def epochs(self) -> int | None:
        """How many were gone through; None where nobody has recorded them."""
        return len(self.tune_loss) - 1 if self.tune_loss else None

    @model_validator(mode="after")
    def _columns_agree(self) -> "History":
        entries = {len(getattr(self, name)) for name in COLUMNS}
        if len(entries) > 1:
            raise ValueError(
                f"its columns have {min(entries)} to {max(entries)} entries; expected one an epoch in each"
            )
        if self.best is not None and self.best >= max(entries):
            raise ValueError(
                f"epoch {self.best} is said to be the best of {max(entries)}, with the one before training"
            )
        return self


COLUMNS = tuple(name for name in History.model_fields if name not in ("best", "notes"))
_RECORDS = ("epochs_seen", "best_epoch", "recipe_in_full", "name", "processes", "device")
"""Entries of the settings in formats 1 and 2 that nobody has set."""


class SplitEntry(Part):
    """A split that training used: how many examples, and the digest of their images and labels."""

    size: int = Field(ge=0)
    digest: Sha256


class Training(Part):
    """How the model came about: enough to repeat it."""

    asked: dict[SettingName, Setting] = Field(max_length=MAX_SETTINGS)
    """The settings that decide the result, by their names, as asked for: 0 epochs leave it to the recipe."""
    recipe: Recipe | None = None
    """What was fitted by; None in older bundles whose recipe is not one of today's."""
    backbone: BackboneFacts | None = None
    """None: the network was fitted from scratch, or by a version that knew nothing else."""
    head: HeadFacts | None = None
    """Where there is a backbone whose features were not fitted: how its head was."""
    circumstances: Circumstances = Circumstances()
    history: History = History()
    seed: int
    seconds: float = Field(ge=0)
    """Fitting alone."""
    data: Text
    """Its name, without the folder that it lay in."""
    data_digest: Sha256
    """Over the digests of the splits."""
    splits: dict[Literal["fit", "tune", "validation"], SplitEntry]
    libraries: dict[Text, Text] = Field(max_length=MAX_LIBRARIES)
    source_revision: Text | None
    """Git commit of the trainer, "+" behind it where the checkout had changes; None outside a checkout."""

    @property
    def model(self) -> str | None:
        """The kind of network; None where nobody has recorded it."""
        model = (self.recipe and self.recipe.model) or self.asked.get("model")
        return model if isinstance(model, str) else None


def of_older(training: dict[str, Any]) -> dict[str, Any]:
    """A training as formats 1 and 2 record it, its dictionary of settings divided into asked, recipe and so on.

    A recipe that is not one of today's is None: gaps are not filled in silence.
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
