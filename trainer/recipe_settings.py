"""The settings of `vouch train` that define a recipe: preset, network, backbone, and their numbers."""

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
    """Defaults for a kind of images: digits (small and grey), small (small, in colour), photos (larger, trained from
    scratch), backbone (larger, on a pretrained network), or best (a wider cnn for small images, about twice as slow).
    auto chooses by size, colour and number of images, and prints its choice."""
    model: ModelChoice = "auto"
    """The network, trained from scratch: linear (one layer), mlp (one or two hidden layers), or cnn (convolutions).
    auto: the preset chooses."""
    backbone: Annotated[str, Flag("auto|none|lite0|FILE.onnx", path=True)] = "auto"
    """A pretrained network that turns an image into features for a linear head: lite0 (EfficientNet-Lite0 with ImageNet
    weights) or a file. auto: lite0 if the preset is backbone. none: train from scratch."""
    backbone_mean: Annotated[str, Flag("M[,M,M]")] = ""
    """Mean to subtract from pixels (0 to 255) for FILE.onnx, if the file does not state it."""
    backbone_scale: Annotated[str, Flag("S[,S,S]")] = ""
    """Number to divide by after subtracting the mean, for FILE.onnx, if the file does not state it."""
    backbone_size: Annotated[str, Flag("HxW")] = ""
    """Input height and width of FILE.onnx, if the file does not state it; 224 means 224x224."""
    backbone_output: Annotated[str, Flag("NAME"), Field(max_length=256)] = ""
    """Which output of FILE.onnx has the features, if it has several."""
    backbone_licence: Annotated[str, Flag("TEXT"), Field(max_length=1000)] = ""
    """Licence of the weights in FILE.onnx, for the manifest and the card."""
    fine_tune: bool = False
    """After training the head, also train the weights of lite0, in small steps."""
    epochs: Annotated[int, Flag("N"), Field(ge=0, le=100_000)] = 0
    """Passes over all images; 0: chosen by the preset."""
    best_epoch: bool = False
    """Keep the weights of the epoch with the smallest loss on the tune split, instead of the last epoch."""
    batch_size: Annotated[int, Flag("N"), Field(ge=0, le=65_536)] = 0
    """Images per step; 0: chosen by the preset."""
    learning_rate: Annotated[float, Flag("RATE"), Field(ge=0, le=100)] = 0
    """Largest learning rate of the schedule; 0: chosen by the preset."""
    weight_decay: Annotated[float | None, Flag("RATE"), Field(ge=0, le=100)] = None
    """Weight decay: how strongly weights are pulled towards 0."""
    precision: PrecisionChoice = "auto"
    """Number format of training steps: float32, or bfloat16, which some processors multiply faster. Weights, graph and
    claim are always float32. auto decides by the processor's instructions and the network, never by timing; the choice
    is recorded."""
    loss: Loss = "cross-entropy"
    """Loss function: cross-entropy, or mse (mean squared error of the probabilities)."""
    label_smoothing: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Share of the target probability spread over all classes, so that answers need not be certain."""
    focus: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Probability of skipping an easy image in an epoch, to train more on hard ones. Off by default with
    --balance, and for image files, because their labels may be wrong."""
    balance: bool = False
    """Give every class the same weight in the loss, however many images it has."""
    width: Annotated[int, Flag("N"), Field(ge=0, le=1024, multiple_of=16)] = 0
    """Channels of the last layers of a cnn; 0: chosen by the preset."""
    depth: Annotated[int, Flag("N"), Field(ge=0, le=8)] = 0
    """How often a cnn halves the sides of the image; 0: until about 4 x 4 remain."""
    dropout: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Share of the last features of a cnn that are dropped in each step."""
    flip: bool | None = None
    """Also train on mirrored images (left and right). Default: chosen by the preset."""
    rotation: Annotated[float | None, Flag("DEGREES"), Field(ge=0, le=180)] = None
    """Augmentation: rotate images by up to this angle."""
    scaling: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Augmentation: scale each side by up to this share."""
    shear: Share = None
    """Augmentation: shear images by up to this share."""
    shift: Share = None
    """Augmentation: shift images by up to this share of half a side."""
    bend: Share = None
    """Augmentation: distort parts of the image by up to this share of half a side."""
    crop: Annotated[float | None, Flag("SHARE"), Field(gt=0, le=1)] = None
    """Augmentation: train on random crops with this share of each side. The served model gets whole images."""
    zoom: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Augmentation: enlarge a random part by up to this share."""
    colour: Annotated[float | None, Flag("SHARE"), Field(ge=0, lt=1)] = None
    """Augmentation: change brightness, contrast and saturation by up to this share."""

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
            raise ValueError("expected one number, or three separated by commas, one per channel")
        return value.replace(" ", "")

    @model_validator(mode="after")
    def _goes_with_the_model(self) -> "RecipeSettings":
        if self.model != "auto" and (self.preset == "backbone" or self.backbone not in ("auto", "none")):
            raise ValueError(
                f"--model {self.model} trains from scratch and cannot be combined with a backbone; leave out one of "
                "the two"
            )
        if self.preset == "best" and self.model not in ("auto", "cnn"):
            raise ValueError(f"--preset best is for a cnn, not for --model {self.model}; leave out one of the two")
        given = [name for name in OF_A_CNN if getattr(self, name) not in (None, 0) or getattr(self, name) is False]
        if given and self.model in ("linear", "mlp"):
            raise ValueError(f"--{given[0].replace('_', '-')} is for a cnn; leave it out with --model {self.model}")
        return self

    @model_validator(mode="after")
    def _goes_with_the_backbone(self) -> "RecipeSettings":
        if self.preset == "backbone" and self.backbone == "none":
            raise ValueError("--preset backbone and --backbone none exclude each other; leave one of them out")
        wants = "--fine-tune" if self.fine_tune else "--backbone" if self.backbone not in ("auto", "none") else ""
        if wants and self.preset not in ("auto", "backbone"):
            raise ValueError(f"--preset {self.preset} trains from scratch and excludes {wants}; leave one of them out")
        if (given := [name for name in OF_A_BACKBONE_FILE if getattr(self, name)]) and not self.backbone_file:
            raise ValueError(f"--{given[0].replace('_', '-')} is about a file: pass --backbone FILE.onnx too")
        if self.fine_tune and (self.model != "auto" or self.backbone not in ("auto", "lite0")):
            raise ValueError("--fine-tune is for lite0: leave it out, or pass --backbone lite0 without --model")
        return self

    @model_validator(mode="after")
    def _two_images_a_step(self) -> "RecipeSettings":
        if self.batch_size == 1 and self.model != "linear":
            raise ValueError(f"--batch-size 1 is too small: --model {self.model} needs at least 2 images in every step")
        return self

    @property
    def backbone_file(self) -> str | None:
        """Its path, if the backbone is a file."""
        return self.backbone if self.backbone.lower().endswith(".onnx") else None

    def asked_of(self, preset: PresetName, model: ModelKind, doubtful: bool) -> Asked:
        """The inputs of the recipe besides the images and the cores.

        Args:
            preset, model: as chosen.
            doubtful: whether labels may be wrong.
        """
        named = {one.name for one in fields(Asked)} & set(type(self).model_fields) - {"preset", "model"}
        return Asked(preset, model, doubtful, **{name: getattr(self, name) for name in named})


OF_THE_RECIPE = tuple(name for name in RecipeSettings.__annotations__ if name not in ("balance", "precision"))
"""Settings that change the recipe."""
