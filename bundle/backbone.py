"""A pretrained network below a linear head, as recorded in a manifest. Anybody may have written it: it has limits."""

from typing import Annotated

from pydantic import Field

from vouch.bundle.part import Part, Sha256

MAX_FEATURES, MAX_SIDE = 1 << 20, 1 << 16
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1_000)]
Channels = Annotated[tuple[Finite, ...], Field(min_length=1, max_length=4)]
"""One number for all channels, or one per channel."""


def backbone_in_words(name: str, source: str, licence: str, weights_sha256: str, fine_tuned: bool) -> str:
    """One line for `vouch status` and `vouch verify`; arguments as in `BackboneFacts`."""
    changed = ", fine-tuned" if fine_tuned else ""
    return f"{name} of {source}{changed}, licence {licence}, SHA-256 {weights_sha256}"


class BackboneFacts(Part):
    """The pretrained network that computes the features; its weights are in the graph, so its licence applies."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    licence: Text = "unknown"
    """SPDX identifier such as Apache-2.0; `unknown` if none was given."""
    source: Text
    """Origin of the weights: a package and its version, or a file's name without its folder."""
    weights_sha256: Sha256
    """SHA-256 of the weights' file; of several files concatenated in the order of `source`."""
    size: tuple[Side, Side]
    """Height and width of its input."""
    mean: Channels
    """Subtracted from the pixels, 0 to 255; one number, or one per channel."""
    scale: Channels
    """Divisor after that; one number, or one per channel."""
    features: int = Field(ge=1, le=MAX_FEATURES)
    """The number of features per image."""
    output: Text | None = None
    """Which of its outputs the features are, in words."""
    fine_tuned: bool = False
    """Whether training also changed its weights: they then differ from the digest."""

    def __str__(self) -> str:
        """One line for the user."""
        return backbone_in_words(self.name, self.source, self.licence, self.weights_sha256, self.fine_tuned)


class HeadFacts(Part):
    """The regularisation of the linear head on a backbone's features, chosen by cross-validation on fit."""

    penalty: float = Field(ge=0, allow_inf_nan=False)
    """Weight of the squared weights of standardised features, relative to the mean loss of an image."""
    folds: int = Field(ge=0)
    """0: too few images for cross-validation."""
    loss: Finite | None = None
    """Mean log loss of the images, each answered by a head that was fitted without it (cross-validation)."""
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    """Likewise."""
