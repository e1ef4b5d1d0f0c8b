"""The settings in the manifest for decoding images. Loads no image library.

Decoding follows numbered rules, because a model is accurate only under the rules that it was trained with: 1 drops
alpha if the model has no channel for it, 2 fills transparent parts with a ground colour, 3 can keep proportions, 4
decodes large JPEG files at a fraction of their size. All are implemented in `pixels`.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FIRST_RULES: Final = 1
"""The rules of manifests without a number."""
FIT_RULES: Final = 3
"""The first rules that do not always stretch."""
SCALED_RULES: Final = 4
"""The first rules that decode a large JPEG file at a fraction of its size."""
RULES: Final = 4
"""The rules of new trainings."""
Fit = Literal["stretch", "crop", "pad"]
"""How a picture of other proportions is fitted: stretched, cropped to the middle, or padded."""
FITTED: Final[dict[Fit, str]] = {
    "stretch": "stretched to the input size",
    "crop": "cropped to the middle",
    "pad": "whole, padded with ground",
}
"""The same for messages."""
WHITE: Final = "#ffffff"
ALL_BITS: Final = 16


def _known(rules: Any) -> Any:
    if isinstance(rules, int) and rules > RULES:
        raise ValueError(f"decoding rules {rules} need a newer Vouch; this one supports rules 1 to {RULES}")
    return rules


class PixelSettings(BaseModel):
    """How an image is decoded for the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Annotated[int, BeforeValidator(_known), Field(ge=FIRST_RULES)] = RULES
    """The number of the decoding rules."""
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int | None = Field(default=None, ge=1, le=4)
    """None: grey without a channel axis."""
    resample: Literal["bilinear"] = "bilinear"
    """The size after resizing, with antialiasing."""
    fit: Fit = "stretch"
    """How a picture of other proportions is fitted to height x width, see `placement`."""
    bits: int = Field(default=ALL_BITS, ge=8, le=ALL_BITS)
    """The number of used bits in a 16-bit file's samples."""
    ground: str = Field(default=WHITE, pattern=r"^#[0-9a-f]{6}$")
    """The colour behind transparent parts, if the model has no alpha channel, and around padded pictures."""

    @model_validator(mode="after")
    def _rules_agree(self) -> Self:
        if self.rules == FIRST_RULES and (self.bits != ALL_BITS or self.ground != WHITE):
            raise ValueError(f"decoding rules {FIRST_RULES} have neither bits nor a ground")
        if self.rules < FIT_RULES and self.fit != "stretch":
            raise ValueError(f"decoding rules {self.rules} always stretch; they have no fit")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, C)."""
        return (self.height, self.width) + ((self.channels,) if self.channels else ())

    @classmethod
    def of(
        cls, image_shape: tuple[int, ...], bits: int = ALL_BITS, ground: str = WHITE, fit: Fit = "stretch"
    ) -> "PixelSettings":
        """The settings for images of shape (H, W) or (H, W, C)."""
        height, width, *channels = image_shape
        axis = channels[0] if channels else None
        return cls(height=height, width=width, channels=axis, bits=bits, ground=ground, fit=fit)

    def __str__(self) -> str:
        """How files are decoded, in one line for the user."""
        if self.rules == FIRST_RULES:
            return f"decoding rules {FIRST_RULES}: alpha dropped unless the model has a channel for it"
        alpha = "alpha kept as a channel" if self.channels in (2, 4) else f"transparent parts on {self.ground}"
        fit = "" if self.rules < FIT_RULES else f", {FITTED[self.fit]}"
        used = f"{'all ' if self.bits == ALL_BITS else ''}{self.bits}"
        return f"decoding rules {self.rules}: {alpha}, 16-bit files use {used} bits{fit}"
