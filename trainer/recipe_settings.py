"""The settings of `vouch train` that a recipe is made of: preset, network, backbone, and each number of theirs."""

import re
from dataclasses import fields
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from vouch.bundle.training import Loss
from vouch.cli.settings import CommandSettings, Flag
from vouch.trainer.kinds import ModelChoice, ModelKind, PrecisionChoice, PresetChoice, PresetName
from vouch.trainer.learn.asked import Asked

Share = Annotated[float | None, Flag("SHARE"), Field(ge=0, le=1)]
OF_A_CNN = (
    "width",
    "depth",
    "dropout",
    "crop",
    "rotation",
    "scaling",
    "shear",
    "shift",
    "bend",
    "zoom",
    "flip",
    "colour",
)
OF_A_BACKBONE_FILE = (*("backbone_mean", "backbone_scale", "backbone_size", "backbone_output", "backbone_licence"),)


class RecipeSettings(CommandSettings):
    """How a model learns. 0, or nothing, leaves a number to the preset."""

    preset: PresetChoice = "auto"
    """For which images the usual values are: digits (small and grey), small (small, in colour), photos (larger ones,
    learned from scratch), backbone (larger ones, on a network that knows photographs already), or best, a wider cnn
    for small images that takes about twice as long. auto: by the images' size, colour and number; what was chosen is
    printed."""
    model: ModelChoice = "auto"
    """The network: linear (one layer of weights), mlp (a hidden layer or two), cnn (convolutions), each from scratch.
    auto: as the preset says."""
    backbone: Annotated[str, Flag("auto|none|lite0|FILE.onnx", path=True)] = "auto"
    """A network that turns an image into features, on which a linear head learns: lite0 (EfficientNet-Lite0 with
    ImageNet's weights), or a file. auto: lite0 where the preset is backbone; none: from scratch."""
    backbone_mean: Annotated[str, Flag("M[,M,M]")] = ""
    """What FILE.onnx wants subtracted from its pixels, which are 0 to 255, where the file does not say."""
    backbone_scale: Annotated[str, Flag("S[,S,S]")] = ""
    """What FILE.onnx wants them divided by then."""
    backbone_size: Annotated[str, Flag("HxW")] = ""
    """The height and width that FILE.onnx takes, where it does not say; 224 is 224x224."""
    backbone_output: Annotated[str, Flag("NAME"), Field(max_length=256)] = ""
    """Which output of FILE.onnx the features are, where it has several."""
    backbone_licence: Annotated[str, Flag("TEXT"), Field(max_length=1000)] = ""
    """The licence of FILE.onnx's weights, for the manifest and the card."""
    fine_tune: bool = False
    """Go on from the head and change the weights of lite0 too, in small steps."""
    epochs: Annotated[int, Flag("N"), Field(ge=0, le=100_000)] = 0
    """How often all images are gone through; 0: as the preset says."""
    best_epoch: bool = False
    """Keep the weights of the epoch with the smallest loss on tune, instead of those of the last one."""
    batch_size: Annotated[int, Flag("N"), Field(ge=0, le=65_536)] = 0
    """Images a step; 0: as the preset says."""
    learning_rate: Annotated[float, Flag("RATE"), Field(ge=0, le=100)] = 0
    """The largest step size of the schedule; 0: as the preset says."""
    weight_decay: Annotated[float | None, Flag("RATE"), Field(ge=0, le=100)] = None
    """How strongly weights are drawn towards 0."""
    precision: PrecisionChoice = "auto"
    """The numbers that steps compute in: float32, or bfloat16, which some processors multiply faster; weights, graph
    and claim are float32. auto: by the processor's instructions and the network, never by timing; it is recorded."""
    loss: Loss = "cross-entropy"
    """How far an answer is from the label: cross-entropy, or mse (mean squared error of the probabilities)."""
    label_smoothing: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """The share of the truth that is spread over all classes, so that no answer has to be certain."""
    focus: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """The chance that an image which was answered easily is skipped in an epoch, for harder ones. Off for files, whose
    labels may be wrong, and with --balance, unless it is given."""
    balance: bool = False
    """Let every class count the same, however many images it has: the rarer, the more an image weighs in the loss."""
    width: Annotated[int, Flag("N"), Field(ge=0, le=1024, multiple_of=16)] = 0
    """Channels of a cnn's last layers; 0: as the preset says."""
    depth: Annotated[int, Flag("N"), Field(ge=0, le=8)] = 0
    """How often a cnn halves the sides of the image; 0: until about 4 x 4 are left."""
    dropout: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """The share of a cnn's last features that a step does without."""
    flip: bool | None = None
    """Learn mirrored images too, left and right. Neither said: as the preset says."""
    rotation: Annotated[float | None, Flag("DEGREES"), Field(ge=0, le=180)] = None
    """Turn variants of the images by up to this."""
    scaling: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Scale each side of a variant by up to this."""
    shear: Share = None
    """Slant variants by up to this."""
    shift: Share = None
    """Move variants by up to this share of half the side."""
    bend: Share = None
    """Push parts of a variant by up to this share of half the side."""
    crop: Annotated[float | None, Flag("SHARE"), Field(gt=0, le=1)] = None
    """The share of the sides that every variant shows; a cnn serves whole images all the same."""
    zoom: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Show variants at a random place, up to this much closer."""
    colour: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Change brightness, contrast and saturation of variants by up to this."""

    @field_validator("backbone")
    @classmethod
    def _a_backbone(cls, value: str) -> str:
        if value not in ("auto", "none", "lite0") and not value.lower().endswith(".onnx"):
            raise ValueError("expected auto, none, lite0, or the path to an .onnx file")
        return value

    @field_validator("backbone_mean", "backbone_scale")
    @classmethod
    def _numbers_of_channels(cls, value: str) -> str:
        number = r"\s*-?[0-9]{1,9}(?:\.[0-9]{1,9})?\s*"
        if value and not re.fullmatch(rf"{number}(?:,{number},{number})?", value):
            raise ValueError("expected a number, or three with commas between, one a channel")
        return value.replace(" ", "")

    @model_validator(mode="after")
    def _goes_with_the_model(self) -> "RecipeSettings":
        if self.model != "auto" and (self.preset == "backbone" or self.backbone not in ("auto", "none")):
            raise ValueError(
                f"--model {self.model} learns from scratch and excludes a backbone; leave out one of the two"
            )
        if self.preset == "best" and self.model not in ("auto", "cnn"):
            raise ValueError(f"--preset best is a cnn's; --model {self.model} has no other sizes")
        given = [name for name in OF_A_CNN if getattr(self, name) not in (None, 0) or getattr(self, name) is False]
        if given and self.model in ("linear", "mlp"):
            raise ValueError(f"--{given[0].replace('_', '-')} is for a cnn; leave it out beside --model {self.model}")
        return self

    @model_validator(mode="after")
    def _goes_with_the_backbone(self) -> "RecipeSettings":
        if self.preset == "backbone" and self.backbone == "none":
            raise ValueError("--preset backbone and --backbone none exclude each other; leave one of them out")
        wants = "--fine-tune" if self.fine_tune else "--backbone" if self.backbone not in ("auto", "none") else ""
        if wants and self.preset not in ("auto", "backbone"):
            raise ValueError(f"--preset {self.preset} learns from scratch and excludes {wants}; leave one of them out")
        if (given := [name for name in OF_A_BACKBONE_FILE if getattr(self, name)]) and not self.backbone_file:
            raise ValueError(f"--{given[0].replace('_', '-')} is said of a file: pass --backbone FILE.onnx too")
        if self.fine_tune and (self.model != "auto" or self.backbone not in ("auto", "lite0")):
            raise ValueError("--fine-tune is for lite0: leave it out, or pass --backbone lite0 without --model")
        return self

    @model_validator(mode="after")
    def _two_images_a_step(self) -> "RecipeSettings":
        if self.batch_size == 1 and self.model != "linear":
            raise ValueError(f"--batch-size 1 is too small: --model {self.model} needs 2 images in every step, or more")
        return self

    @property
    def backbone_file(self) -> str | None:
        """The path to it, where the backbone is a file."""
        return self.backbone if self.backbone.lower().endswith(".onnx") else None

    def asked_of(self, preset: PresetName, model: ModelKind, doubtful: bool) -> Asked:
        """What decides about the recipe, beside the images and the cores.

        Args:
            preset, model: what was chosen.
            doubtful: whether labels may be wrong.
        """
        named = {one.name for one in fields(Asked)} & set(type(self).model_fields) - {"preset", "model"}
        return Asked(preset, model, doubtful, **{name: getattr(self, name) for name in named})


OF_THE_RECIPE = tuple(name for name in RecipeSettings.__annotations__ if name not in ("balance", "precision"))
"""Settings that make it another recipe."""
