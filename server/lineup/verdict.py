"""What the process that verifies a version says of it: small, and checked by whoever reads it.

The supervisor knows of a bundle what is in here, and parses nothing that comes out of the bundle itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveat import Caveat
from vouch.bundle.listed import MAX_FILES, FileEntry, FileName
from vouch.bundle.part import Sha256
from vouch.server.lineup.comparing import Compared
from vouch.server.lineup.lineup import Recount, RunPlan, Value
from vouch.server.settings import MAX_BATCH_SIZE, RuntimeSettings

MAX_REASON, MAX_CAVEATS = 4000, 101
"""Characters, and as many as promised coverages and one more."""


class ProbeTask(Value):
    """What the process is to do."""

    bundle: Path
    """NAME/VERSION in a models folder."""
    settings: RuntimeSettings
    cores: int
    """Of each worker."""
    memory_bytes: int
    """That it may take."""
    parent: int
    """The process that it ends with."""
    keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    """Public keys of which one must have signed the bundle, in hexadecimal; empty: it need not be signed."""
    older: tuple[int, ...] = ()
    """Versions of the same model: only what each of them claims is to be said. Empty: the bundle is to be verified."""


class Running(Value):
    """All that was read is open, and so many images are run next."""

    kind: Literal["running"] = "running"
    images: int = Field(ge=1, le=MAX_BATCH_SIZE)


class Claimed(Value):
    """What a version says of itself. Nobody has verified it."""

    kind: Literal["claimed"] = "claimed"
    version: int = Field(ge=1)
    claim: Accuracy
    compared: Compared


class Verdict(Value):
    """It vouched for itself."""

    kind: Literal["verdict"] = "verdict"
    digest: Sha256
    """Of the bundle's manifest."""
    claim: Accuracy
    served: Accuracy
    recount: Recount = Recount()
    """How its answers went with those that it claims."""
    signed_by: str = Field(default="", max_length=64)
    """Fingerprint of the key whose signature was checked; empty where none is required."""
    compared: Compared
    """What it is compared with other versions by."""
    caveats: tuple[Caveat, ...] = Field(default=(), max_length=MAX_CAVEATS)
    plan: RunPlan
    files: dict[FileName, FileEntry] = Field(max_length=MAX_FILES)
    """What has to lie in its folder, beside the manifest."""


class NotVerified(Value):
    """It did not."""

    kind: Literal["not_verified"] = "not_verified"
    reason: str = Field(max_length=MAX_REASON)
    incomplete: bool = False
    """A file is missing, or is not all there: somebody may still be copying it."""
    passing: bool = False
    """What kept it may have passed a moment later, a disk that is away say: it says nothing about the version."""


AnyWord = Running | Claimed | Verdict | NotVerified
_WORDS: TypeAdapter[AnyWord] = TypeAdapter(Annotated[AnyWord, Field(discriminator="kind")])


def word_of(line: bytes) -> AnyWord:
    """What a line says. Raises ValueError."""
    return _WORDS.validate_json(line)


@dataclass(frozen=True)
class VerifiedVersion:
    """A version that vouched for itself: whose it is, and where it lies."""

    name: str
    version: int
    path: Path
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"
