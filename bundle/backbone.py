"""A pretrained network under a linear head, as a manifest records it. It may come from anybody: all has a bound."""

from typing import Annotated

from pydantic import Field

from vouch.bundle.part import Part, Sha256

MAX_FEATURES, MAX_SIDE = 1 << 20, 1 << 16
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1_000)]
Channels = Annotated[tuple[Finite, ...], Field(min_length=1, max_length=4)]
"""A number for all channels, or one each."""


def backbone_in_words(name: str, source: str, licence: str, weights_sha256: str, fine_tuned: bool) -> str:
    """In one line for people, as `vouch status` and `vouch verify` show it; arguments as in `BackboneFacts`."""
    changed = ", fine-tuned" if fine_tuned else ""
    return f"{name} of {source}{changed}, licence {licence}, SHA-256 {weights_sha256}"


class BackboneFacts(Part):
    """The pretrained network that gave the features; its weights lie in the graph, so its licence goes with them."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    licence: Text = "unknown"
    """SPDX's name of it, such as Apache-2.0; unknown where nobody has said."""
    source: Text
    """Where the weights are from: a package and its version, or a file's name without its folder."""
    weights_sha256: Sha256
    """Of the file that the weights were read from; of several one behind the other, in the order of `source`."""
    size: tuple[Side, Side]
    """Height and width that it was made for."""
    mean: Channels
    """Subtracted from the pixels, 0 to 255; one number, or one a channel."""
    scale: Channels
    """Then divided by; likewise."""
    features: int = Field(ge=1, le=MAX_FEATURES)
    """Numbers that it gives for an image."""
    output: Text | None = None
    """In words, what of it the features are."""
    fine_tuned: bool = False
    """Whether its weights were changed too, from those that the digest names."""

    def __str__(self) -> str:
        """In one line for people."""
        return backbone_in_words(self.name, self.source, self.licence, self.weights_sha256, self.fine_tuned)


class HeadFacts(Part):
    """How the linear head on a backbone's features was regularised, as found by cross-validation on fit."""

    penalty: float = Field(ge=0, allow_inf_nan=False)
    """Of the squared weights of standardised features, against the mean loss of an image."""
    folds: int = Field(ge=0)
    """0: too few images, so nothing was tried."""
    loss: Finite | None = None
    """Mean log loss of the images, each answered by a head that was fitted without it."""
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    """Likewise."""
