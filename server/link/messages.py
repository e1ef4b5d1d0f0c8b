"""What a supervisor tells its workers, and they it."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from vouch.bundle.accuracy import Accuracy
from vouch.server.counting.counts import Counts
from vouch.server.settings import ServeSettings

VARIABLE = "VOUCH_WORKER"
"""Of the environment: how a worker is told what it is."""


class Message(BaseModel):
    """Values that are checked once and never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Assignment(Message):
    """What a worker is to be."""

    settings: ServeSettings
    port: int
    """Shared with the other workers."""
    cores: int
    """Its share of them."""
    pinned_to: frozenset[int] = frozenset()
    """The numbers of the cores that it keeps to; empty: whichever are free."""
    socket: int
    """The file descriptor of its end."""


class Verifying(Message):
    """These versions of the model are being looked at; none: no longer."""

    kind: Literal["verifying"] = "verifying"
    name: str
    versions: tuple[int, ...] = ()


class NotServed(Message):
    """A version was refused."""

    kind: Literal["not_served"] = "not_served"
    name: str
    version: int
    reason: str


class Forget(Message):
    """Of versions that are neither served nor there, nothing is to be remembered."""

    kind: Literal["forget"] = "forget"
    there: dict[str, frozenset[int] | None]
    """Model -> its versions in the models folder; None where they cannot be read."""


class Serve(Message):
    """A bundle that has vouched for itself is to be served."""

    kind: Literal["serve"] = "serve"
    name: str
    version: int
    path: Path
    digest: str
    """Of the bundle that was verified: another one may lie there by now."""
    served: Accuracy


class Ping(Message):
    """Are you there, and what have you counted?"""

    kind: Literal["ping"] = "ping"
    number: int = 0


class Pong(Message):
    """Yes, and this."""

    kind: Literal["pong"] = "pong"
    number: int = 0
    """The question's."""
    counts: Counts = Field(default_factory=Counts)


class AskTotal(Message):
    """What have all workers counted?"""

    kind: Literal["ask_total"] = "ask_total"
    number: int


class Total(Message):
    """This."""

    kind: Literal["total"] = "total"
    number: int
    """The question's."""
    counts: Counts


class Stop(Message):
    """Drain, then end."""

    kind: Literal["stop"] = "stop"
    delay_s: float = 0.0
    """New calls are still taken for so long."""


class Ready(Message):
    """The worker is there to be told, or why it is not."""

    kind: Literal["ready"] = "ready"
    problem: str = ""


class Serving(Message):
    """A bundle is served, or why it is not."""

    kind: Literal["serving"] = "serving"
    path: Path
    problem: str = ""


class Broken(Message):
    """The worker cannot answer for a model any more, and wants to be replaced."""

    kind: Literal["broken"] = "broken"
    reason: str


class Stopped(Message):
    """The worker has drained; its last counts."""

    kind: Literal["stopped"] = "stopped"
    counts: Counts = Field(default_factory=Counts)


Order = Verifying | NotServed | Forget | Serve | Ping | Total | Stop
Report = Ready | Serving | Pong | AskTotal | Broken | Stopped
MESSAGE: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])
"""Reads and writes them all."""


def assignment() -> Assignment:
    """What this process, a worker, is to be."""
    return Assignment.model_validate_json(os.environ[VARIABLE])
