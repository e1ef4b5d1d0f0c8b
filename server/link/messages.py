"""What a supervisor tells its workers, and they it."""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from vouch.server.counting.counts import Counts
from vouch.server.lineup.lineup import LineUp
from vouch.server.settings import ServeSettings

VARIABLE = "VOUCH_WORKER"
"""Of the environment: how a worker is told what it is."""


class Message(BaseModel):
    """Values that are checked once and never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Held(Message):
    """The files of a verified version, which the supervisor holds open."""

    digest: str
    """Of the bundle."""
    files: dict[str, int]
    """Name -> descriptor."""


class Assignment(Message):
    """What a worker is to be."""

    settings: ServeSettings
    port: int
    """Shared with the other workers."""
    cores: int
    """Its share of them."""
    pinned_to: frozenset[int] = frozenset()
    """The numbers of the cores that it keeps to; empty: whichever are free."""
    sockets: tuple[int, int]
    """The file descriptors of its ends: the one that it reads, and the one that it writes to."""
    tls: tuple[int, ...] = ()
    """Descriptors of what worked last: certificate, key, and the authority of callers if there is one. Taken where the
    files cannot be used now."""
    held: tuple[Held, ...] = ()
    """Of what is served: taken where a folder is gone, or holds something else."""


class Follow(Message):
    """Make it so: this is what is to be served from now on."""

    kind: Literal["follow"] = "follow"
    line_up: LineUp


class Listen(Message):
    """Take calls from now on."""

    kind: Literal["listen"] = "listen"


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


class Loading(Message):
    """The worker begins to load a version: where it ends without another word, this version has ended it."""

    kind: Literal["loading"] = "loading"
    name: str
    version: int


class Problem(Message):
    """Why a worker does not serve a version."""

    name: str
    version: int
    reason: str
    passing: bool = False
    """It may have passed a moment later: want of memory, of threads, of file descriptors, a disk that is away."""


class Applied(Message):
    """A line-up is followed, as far as that is possible; what was served before it is served on where it is not."""

    kind: Literal["applied"] = "applied"
    number: int
    """The line-up's."""
    problems: tuple[Problem, ...] = ()


class Listening(Message):
    """The worker takes calls, or why it cannot."""

    kind: Literal["listening"] = "listening"
    problem: str = ""


class Broken(Message):
    """The worker cannot answer for a model any more, and wants to be replaced."""

    kind: Literal["broken"] = "broken"
    reason: str


class Stopped(Message):
    """The worker has drained; its last counts."""

    kind: Literal["stopped"] = "stopped"
    counts: Counts = Field(default_factory=Counts)


Order = Follow | Listen | Ping | Total | Stop
Report = Loading | Applied | Listening | Pong | AskTotal | Broken | Stopped
MESSAGE: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])
"""Reads and writes them all."""


def assignment() -> Assignment:
    """What this process, a worker, is to be."""
    return Assignment.model_validate_json(os.environ[VARIABLE])
