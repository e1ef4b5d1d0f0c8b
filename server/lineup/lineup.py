"""What is to be served: for each model its versions with their roles, and why others are not served.

One immutable, numbered value. The supervisor makes it, workers follow it, and both send it as JSON.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vouch.bundle.accuracy import Accuracy

MAX_NAMED_IMAGES = 10
Role = Literal["live"]
"""What a version is served for: live versions answer. More roles will come: canary, shadow, fallback."""


class Value(BaseModel):
    """Values that are checked once and never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunPlan(Value):
    """How a version is run best, as its probe measured it under a worker's share of the cores."""

    threads: int = Field(default=0, ge=0, le=1024)
    """Of a run on the CPU that is alone; 0 where the provider has its own."""
    at_once: int = Field(default=1, ge=1, le=1024)
    """Runs at the same time, which share the threads."""
    inline_images: int = Field(default=0, ge=0)
    """The largest batch that is run on the event loop, if nothing waits; 0: none is."""

    def in_words(self) -> str:
        """For people."""
        threads = f"threads {self.threads or 'of the provider'}"
        return f"{threads}, runs at once {self.at_once}, up to {self.inline_images} images on the event loop"


class Recount(Value):
    """How the answers to a version's validation images went with those that it claims, image by image."""

    differing: int = Field(default=0, ge=0)
    """Images that were answered otherwise; before format 3 of a bundle, right answers that were lost."""
    moved: int = Field(default=0, ge=0)
    """Images whose claimed answer has a probability here that differs by more than 0.01."""
    allowed: int = Field(default=0, ge=0)
    """As many of either are allowed."""
    first: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(), max_length=MAX_NAMED_IMAGES)
    """The first images that were answered otherwise, numbered from 0 as they lie in the bundle."""


class Version(Value):
    """A version that is to be served."""

    version: int = Field(ge=1)
    role: Role = "live"
    path: Path
    """Its folder."""
    digest: str
    """Of the bundle that was verified: another one may lie there by now."""
    served: Accuracy
    """What its recount gave."""
    recount: Recount = Recount()
    plan: RunPlan


class Refusal(Value):
    """A version that was looked at and is not served."""

    version: int
    reason: str
    """For callers: it names no folder of this machine."""
    held_back: bool = False
    """It vouched for itself, and is worse than an older version."""


class Model(Value):
    """One published model. Nothing of it may be served yet."""

    name: str
    versions: tuple[Version, ...] = ()
    """Those that are to be served, ascending."""
    refusals: tuple[Refusal, ...] = ()
    """Versions that could not vouch for themselves, or that a worker could not serve, ascending."""
    verifying: tuple[int, ...] = ()
    """Versions that are being verified or wait for it, ascending."""

    @property
    def live(self) -> Version | None:
        """The version that answers where none is named."""
        return next((version for version in self.versions if version.role == "live"), None)


class LineUp(Value):
    """Of all published models, by name."""

    number: int = 0
    """A later line-up has a higher one; 0: nothing is known yet."""
    complete: bool = False
    """The models folder has been read at least once: models that are not listed are not published."""
    models: tuple[Model, ...] = ()

    def versions(self) -> list[tuple[str, Version]]:
        """All versions that are to be served, with their models' names."""
        return [(model.name, version) for model in self.models for version in model.versions]
