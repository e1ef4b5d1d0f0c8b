"""What is to be served: each model's versions with their roles, and why others are not served.

One immutable, numbered value. The supervisor makes it, workers follow it, and both send it as JSON.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vouch.bundle.accuracy import Accuracy

MAX_NAMED_IMAGES = 10
Role = Literal["live"]
"""Live versions answer. More roles will follow: canary, shadow, fallback."""


class Value(BaseModel):
    """Base of immutable values that are validated once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunPlan(Value):
    """The best way to run a version, measured by its probe on a worker's share of the cores."""

    threads: int = Field(default=0, ge=0, le=1024)
    """Threads of a single run on the CPU; 0 if the provider decides."""
    at_once: int = Field(default=1, ge=1, le=1024)
    """Concurrent runs, which share the threads."""
    inline_images: int = Field(default=0, ge=0)
    """The largest batch that runs on the event loop, if nothing waits; 0: none."""

    def in_words(self) -> str:
        """For people."""
        threads = f"threads {self.threads or 'of the provider'}"
        return f"{threads}, runs at once {self.at_once}, up to {self.inline_images} images on the event loop"


class Recount(Value):
    """How the answers to a version's validation images compare with the claimed ones, image by image."""

    differing: int = Field(default=0, ge=0)
    """Images with another answer than claimed; before bundle format 3, right answers that were lost."""
    moved: int = Field(default=0, ge=0)
    """Images whose claimed answer's probability differs here by more than 0.01."""
    allowed: int = Field(default=0, ge=0)
    """Allowed number of each of the two."""
    first: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(), max_length=MAX_NAMED_IMAGES)
    """The first images with another answer, numbered from 0 in the bundle's order."""


class Version(Value):
    """A version that is to be served."""

    version: int = Field(ge=1)
    role: Role = "live"
    path: Path
    """Its folder."""
    digest: str
    """Of the verified bundle: its folder may contain another one by now."""
    served: Accuracy
    """The recounted accuracy."""
    recount: Recount = Recount()
    plan: RunPlan


class Refusal(Value):
    """A version that was examined and is not served."""

    version: int
    reason: str
    """For callers: it contains no folder of this machine."""
    held_back: bool = False
    """It reproduced its claim, but is worse than an older version."""


class Model(Value):
    """One published model. It may have no served version yet."""

    name: str
    versions: tuple[Version, ...] = ()
    """Versions to serve, ascending."""
    refusals: tuple[Refusal, ...] = ()
    """Versions that failed their verification, or that no worker could serve, ascending."""
    verifying: tuple[int, ...] = ()
    """Versions that are being verified, or wait for it, ascending."""

    @property
    def live(self) -> Version | None:
        """The version that answers if a call names none."""
        return next((version for version in self.versions if version.role == "live"), None)


class LineUp(Value):
    """All published models, by name."""

    number: int = 0
    """A later line-up has a higher one; 0: nothing is known yet."""
    complete: bool = False
    """The models folder has been read at least once: models that are not listed are not published."""
    models: tuple[Model, ...] = ()

    def versions(self) -> list[tuple[str, Version]]:
        """All versions to serve, with their models' names."""
        return [(model.name, version) for model in self.models for version in model.versions]
