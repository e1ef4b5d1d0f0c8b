"""Which preset fits the images, and how files are decoded for it; pure rules that need no decoded image."""

from dataclasses import dataclass, replace

from vouch.sources.survey import Survey
from vouch.sources.wanted import Wanted
from vouch.trainer.backbones import cannot_be_had, size_of
from vouch.trainer.kinds import ModelKind, PresetName
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.presets import FEW_PHOTOS
from vouch.trainer.settings import TrainSettings

SMALL = 64
"""Pixels: images with both sides up to this are small."""
KEPT = 0.5
"""Photographs are cropped only if at least this share of a typical one remains; of a 16:9 picture 0.56 remains."""
PHOTO_SIDE = 224
"""Height and width to which photographs are resized: the input size of networks for ImageNet."""


@dataclass(frozen=True)
class Looks:
    """The facts that decide the choice."""

    sides: tuple[int, int]
    """Original height and width of the images; of files the medians."""
    colour: bool
    fit: int
    """Approximate number of fit images."""
    from_scratch: str = ""
    """Why no backbone is used; empty if one can be."""


@dataclass(frozen=True)
class Chosen:
    """What the settings and the images decide about a training."""

    preset: PresetName
    model: ModelKind
    reason: str
    """Why this preset, in words."""
    wanted: Wanted
    """How files are decoded."""
    files: bool
    """Whether the images come from files, whose labels may be wrong."""

    def asked(self, settings: TrainSettings) -> Asked:
        """The inputs of the recipe besides the images and the cores."""
        return settings.asked_of(self.preset, self.model, doubtful=self.files)

    def sentence(self) -> str:
        """The choice and its reason, as a printed line."""
        learner = f", --model {self.model}" if self.model in ("linear", "mlp") else ""
        return f"preset: {self.preset}{learner} ({self.reason})"


def choose(settings: TrainSettings, survey: Survey) -> Chosen:
    """Decides what the settings leave open, from the size, colour and number of the images."""
    looks = Looks(survey.sides, survey.colour, fit_images(settings, survey), _from_scratch(settings, survey))
    preset, reason = _asked_for(settings) or pick(looks)
    model: ModelKind = "backbone" if preset == "backbone" else "cnn" if settings.model == "auto" else settings.model
    files = survey.files
    wanted = settings.decoding
    if files:
        size = wanted.size or _size(settings, preset, survey)
        wanted = replace(wanted, size=size, fit="crop" if size and _to_crop(settings, survey, size) else wanted.fit)
    return Chosen(preset, model, reason, wanted, files)


def pick(looks: Looks) -> tuple[PresetName, str]:
    """The preset for images that look like this, and the reason."""
    kind = f"{'colour' if looks.colour else 'grey'} images of {looks.sides[0]} x {looks.sides[1]}"
    if max(looks.sides) <= SMALL:
        return "small" if looks.colour else "digits", f"small {kind}"
    if looks.fit >= FEW_PHOTOS:
        return "photos", f"{kind}, {looks.fit:,} of them to learn from, which is enough to train from scratch"
    if looks.from_scratch:
        return "photos", f"{kind}; trained from scratch: {looks.from_scratch}"
    return "backbone", f"{kind}, fewer than {FEW_PHOTOS:,} of them to learn from"


def fit_images(settings: TrainSettings, survey: Survey) -> int:
    """Approximate number of images in the fit split, at least 1."""
    sizes = survey.sizes
    fit = sizes.get("fit", 0) or sizes.get("all", 0) * (1 - settings.validation_share)
    return max(1, int(fit if "tune" in sizes else fit * (1 - (settings.tune_share or 0))))


def _asked_for(settings: TrainSettings) -> tuple[PresetName, str] | None:
    """The preset and the reason, if a flag decides it."""
    if settings.preset != "auto":
        return settings.preset, f"--preset {settings.preset}"
    if settings.backbone not in ("auto", "none"):
        return "backbone", f"--backbone {settings.backbone}"
    return ("backbone", "--fine-tune") if settings.fine_tune else None


def _from_scratch(settings: TrainSettings, survey: Survey) -> str:
    if settings.model != "auto":
        return f"--model {settings.model}"
    if settings.backbone == "none":
        return "--backbone none"
    return cannot_be_had(settings, survey.files, survey.shape)


def _to_crop(settings: TrainSettings, survey: Survey, size: tuple[int, int]) -> bool:
    """Whether files are cropped: not if a flag states --fit, not if they are small and so probably cropped already,
    and not if less than half would remain, as of panoramas.
    """
    if settings.fit != "auto" or survey.headers is None or max(survey.sides) <= SMALL:
        return False
    return survey.headers.kept_by_crop(size) >= KEPT


def _size(settings: TrainSettings, preset: PresetName, survey: Survey) -> tuple[int, int] | None:
    """The size to which files are resized; None: all have the same size and keep it."""
    if preset == "backbone":
        return size_of(settings)
    sides = survey.sides
    if max(sides) <= SMALL or (max(sides) <= PHOTO_SIDE and survey.one_size):
        return None if survey.one_size else sides
    return PHOTO_SIDE, PHOTO_SIDE
