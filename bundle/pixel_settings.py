"""What an image becomes before the model sees it, as the manifest carries it. Loads no image library.

How a file becomes pixels is a set of rules with a number, because a model is right only under the rules that it was
trained with: 1 drops alpha where the model has no channel for it, 2 lays it on a ground, 3 keeps proportions where it
is told to, 4 decodes large JPEG files at a fraction of their size. All are in `pixels`.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FIRST_RULES: Final = 1
"""Of manifests that do not say any."""
FIT_RULES: Final = 3
"""The first that do not always stretch."""
SCALED_RULES: Final = 4
"""The first under which a large JPEG file is decoded at a fraction of its size."""
RULES: Final = 4
"""Of what is trained today."""
Fit = Literal["stretch", "crop", "pad"]
"""How a picture of other proportions fills the model's image: stretched, its middle alone, or whole on a ground."""
FITTED: Final[dict[Fit, str]] = {
    "stretch": "stretched to the size",
    "crop": "cropped to the middle",
    "pad": "whole, padded with ground",
}
"""For people."""
WHITE: Final = "#ffffff"
ALL_BITS: Final = 16


def _known(rules: Any) -> Any:
    if isinstance(rules, int) and rules > RULES:
        raise ValueError(f"decoding rules {rules} need a newer Vouch; this one knows rules 1 to {RULES}")
    return rules


class PixelSettings(BaseModel):
    """What an image becomes before the model sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Annotated[int, BeforeValidator(_known), Field(ge=FIRST_RULES)] = RULES
    """Which rules turn a file into pixels."""
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int | None = Field(default=None, ge=1, le=4)
    """None: grey, and no axis for it."""
    resample: Literal["bilinear"] = "bilinear"
    """Resizing is with antialiasing."""
    fit: Fit = "stretch"
    """How a picture of other proportions than height x width is resized to it, as `placement` does it."""
    bits: int = Field(default=ALL_BITS, ge=8, le=ALL_BITS)
    """How many bits of a 16-bit file's samples are in use."""
    ground: str = Field(default=WHITE, pattern=r"^#[0-9a-f]{6}$")
    """The colour under what is transparent, where the model has no channel for alpha, and around what is padded."""

    @model_validator(mode="after")
    def _rules_agree(self) -> Self:
        if self.rules == FIRST_RULES and (self.bits != ALL_BITS or self.ground != WHITE):
            raise ValueError(f"decoding rules {FIRST_RULES} have neither bits nor a ground")
        if self.rules < FIT_RULES and self.fit != "stretch":
            raise ValueError(f"decoding rules {self.rules} stretch; they have no fit")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, C)."""
        return (self.height, self.width) + ((self.channels,) if self.channels else ())

    @classmethod
    def of(
        cls, image_shape: tuple[int, ...], bits: int = ALL_BITS, ground: str = WHITE, fit: Fit = "stretch"
    ) -> "PixelSettings":
        """The settings whose images have shape (H, W) or (H, W, C)."""
        height, width, *channels = image_shape
        axis = channels[0] if channels else None
        return cls(height=height, width=width, channels=axis, bits=bits, ground=ground, fit=fit)

    def __str__(self) -> str:
        """How files are decoded, in one line for people."""
        if self.rules == FIRST_RULES:
            return f"decoding rules {FIRST_RULES}: alpha dropped unless the model has a channel for it"
        alpha = "alpha kept as a channel" if self.channels in (2, 4) else f"transparent parts on {self.ground}"
        fit = "" if self.rules < FIT_RULES else f", {FITTED[self.fit]}"
        return f"decoding rules {self.rules}: {alpha}, 16-bit samples of {self.bits} bits{fit}"
