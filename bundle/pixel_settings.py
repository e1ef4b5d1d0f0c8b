"""What an image becomes before the model sees it, as the manifest carries it. Loads no image library.

How a file becomes pixels is a set of rules with a number, because a model is right only under the rules that it was
trained with: 1 drops alpha where the model has no channel for it, 2 lays it on a ground. Both are in `pixels`.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FIRST_RULES: Final = 1
"""Of manifests that do not say any."""
RULES: Final = 2
"""Of what is trained today."""
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
    """Resizing stretches to height x width, with antialiasing."""
    bits: int = Field(default=ALL_BITS, ge=8, le=ALL_BITS)
    """How many bits of a 16-bit file's samples are in use."""
    ground: str = Field(default=WHITE, pattern=r"^#[0-9a-f]{6}$")
    """The colour under what is transparent, where the model has no channel for alpha."""

    @model_validator(mode="after")
    def _rules_agree(self) -> Self:
        if self.rules == FIRST_RULES and (self.bits != ALL_BITS or self.ground != WHITE):
            raise ValueError(f"decoding rules {FIRST_RULES} have neither bits nor a ground")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, C)."""
        return (self.height, self.width) + ((self.channels,) if self.channels else ())

    @classmethod
    def of(cls, image_shape: tuple[int, ...], bits: int = ALL_BITS, ground: str = WHITE) -> "PixelSettings":
        """The settings that fit images of shape (H, W) or (H, W, C)."""
        height, width, *channels = image_shape
        return cls(height=height, width=width, channels=channels[0] if channels else None, bits=bits, ground=ground)

    def __str__(self) -> str:
        """How files are decoded, in one line for people."""
        if self.rules == FIRST_RULES:
            return f"decoding rules {FIRST_RULES}: alpha dropped unless the model has a channel for it"
        alpha = "alpha kept as a channel" if self.channels in (2, 4) else f"transparent parts on {self.ground}"
        return f"decoding rules {self.rules}: {alpha}, 16-bit samples of {self.bits} bits"
