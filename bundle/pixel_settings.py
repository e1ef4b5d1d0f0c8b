"""What an image becomes before the model sees it, as the manifest carries it. Loads no image library."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class PixelSettings(BaseModel):
    """What an image becomes before the model sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int | None = Field(default=None, ge=1, le=4)
    """None: grey, and no axis for it."""
    resample: Literal["bilinear"] = "bilinear"
    """Resizing stretches to height x width, with antialiasing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, C)."""
        return (self.height, self.width) + ((self.channels,) if self.channels else ())

    @classmethod
    def of(cls, images: np.ndarray) -> "PixelSettings":
        """The settings that fit images of shape (N, H, W) or (N, H, W, C)."""
        height, width, *channels = images.shape[1:]
        return cls(height=height, width=width, channels=channels[0] if channels else None)
