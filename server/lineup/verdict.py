"""The messages of the process that verifies a version: small, and validated by the reader.

The supervisor knows a bundle only by these messages, and parses nothing of the bundle itself.
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
"""Characters of a reason; and one caveat per promised coverage, plus one."""


class ProbeTask(Value):
    """The task of the process."""

    bundle: Path
    """NAME/VERSION in a models folder."""
    settings: RuntimeSettings
    cores: int
    """Number of cores of each worker."""
    memory_bytes: int
    """Memory limit."""
    parent: int
    """The process whose end ends this one."""
    keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    """Public keys in hexadecimal, one of which must have signed the bundle; empty: no signature is needed."""
    older: tuple[int, ...] = ()
    """Versions of the same model whose claims are to be sent, and nothing else. Empty: the bundle is to be verified."""


class Running(Value):
    """A run of this many images begins; everything read so far is valid."""

    kind: Literal["running"] = "running"
    images: int = Field(ge=1, le=MAX_BATCH_SIZE)


class Claimed(Value):
    """A version's claim, which is not verified."""

    kind: Literal["claimed"] = "claimed"
    version: int = Field(ge=1)
    claim: Accuracy
    compared: Compared


class Verdict(Value):
    """The version reproduced its claim."""

    kind: Literal["verdict"] = "verdict"
    digest: Sha256
    """Of the bundle's manifest."""
    claim: Accuracy
    served: Accuracy
    recount: Recount = Recount()
    """How its answers compare with the claimed ones."""
    signed_by: str = Field(default="", max_length=64)
    """Fingerprint of the key whose signature was checked; empty if none is required."""
    compared: Compared
    """The data for comparisons with other versions."""
    caveats: tuple[Caveat, ...] = Field(default=(), max_length=MAX_CAVEATS)
    plan: RunPlan
    files: dict[FileName, FileEntry] = Field(max_length=MAX_FILES)
    """The files of its folder, without the manifest."""


class NotVerified(Value):
    """The version could not be verified, or failed."""

    kind: Literal["not_verified"] = "not_verified"
    reason: str = Field(max_length=MAX_REASON)
    incomplete: bool = False
    """A file is missing or incomplete: it may still be being copied."""
    passing: bool = False
    """The reason may be temporary, such as an unreachable disk, and is no fault of the version."""


AnyWord = Running | Claimed | Verdict | NotVerified
_WORDS: TypeAdapter[AnyWord] = TypeAdapter(Annotated[AnyWord, Field(discriminator="kind")])


def word_of(line: bytes) -> AnyWord:
    """The message in a line. Raises ValueError."""
    return _WORDS.validate_json(line)


@dataclass(frozen=True)
class VerifiedVersion:
    """A version that reproduced its claim: its model and folder."""

    name: str
    version: int
    path: Path
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"
