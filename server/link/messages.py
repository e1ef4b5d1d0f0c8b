"""The messages between a supervisor and its workers."""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from vouch.server.counting.counts import Counts
from vouch.server.lineup.lineup import LineUp
from vouch.server.settings import ServeSettings

VARIABLE = "VOUCH_WORKER"
"""The environment variable with a worker's assignment."""


class Message(BaseModel):
    """Base of immutable messages that are validated once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Held(Message):
    """The files of a verified version, which the supervisor keeps open."""

    digest: str
    """Digest of the bundle."""
    files: dict[str, int]
    """Name -> descriptor."""


class Assignment(Message):
    """A worker's settings and resources."""

    settings: ServeSettings
    port: int
    """Shared with the other workers."""
    cores: int
    """Number of cores of this worker."""
    pinned_to: frozenset[int] = frozenset()
    """The cores that it is pinned to; empty: none."""
    sockets: tuple[int, int]
    """The descriptors of its ends of the channel: the one to read, and the one to write."""
    tls: tuple[int, ...] = ()
    """Descriptors of the last good certificate, key, and the callers' CA if there is one; used if the files cannot be
    used now."""
    held: tuple[Held, ...] = ()
    """The files of the served versions; used if a folder is gone or has changed."""


class Follow(Message):
    """Serve this line-up from now on."""

    kind: Literal["follow"] = "follow"
    line_up: LineUp


class Listen(Message):
    """Take calls from now on."""

    kind: Literal["listen"] = "listen"


class Ping(Message):
    """Requests a heartbeat and the worker's counts."""

    kind: Literal["ping"] = "ping"
    number: int = 0


class Pong(Message):
    """The heartbeat, with the worker's counts."""

    kind: Literal["pong"] = "pong"
    number: int = 0
    """Number of the question."""
    counts: Counts = Field(default_factory=Counts)


class AskTotal(Message):
    """Requests the counts of all workers."""

    kind: Literal["ask_total"] = "ask_total"
    number: int


class Total(Message):
    """The counts of all workers."""

    kind: Literal["total"] = "total"
    number: int
    """Number of the question."""
    counts: Counts


class Stop(Message):
    """Drain, then end."""

    kind: Literal["stop"] = "stop"
    delay_s: float = 0.0
    """How long new calls are still taken."""


class Loading(Message):
    """The worker begins to load a version: if it ends without another message, this version was the cause."""

    kind: Literal["loading"] = "loading"
    name: str
    version: int


class Problem(Message):
    """Why a worker does not serve a version."""

    name: str
    version: int
    reason: str
    passing: bool = False
    """The reason may be temporary: too little memory, threads or file descriptors, or an unreachable disk."""


class Applied(Message):
    """A line-up is applied as far as possible; where it is not, the version served before stays served."""

    kind: Literal["applied"] = "applied"
    number: int
    """Number of the line-up."""
    problems: tuple[Problem, ...] = ()


class Listening(Message):
    """The worker takes calls, or cannot, with the reason."""

    kind: Literal["listening"] = "listening"
    problem: str = ""


class Broken(Message):
    """The worker can no longer answer for a model, and must be replaced."""

    kind: Literal["broken"] = "broken"
    reason: str


class Stopped(Message):
    """The worker has drained; with its last counts."""

    kind: Literal["stopped"] = "stopped"
    counts: Counts = Field(default_factory=Counts)


Order = Follow | Listen | Ping | Total | Stop
Report = Loading | Applied | Listening | Pong | AskTotal | Broken | Stopped
MESSAGE: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])
"""Parses and writes all messages."""


def assignment() -> Assignment:
    """The assignment of this worker process."""
    return Assignment.model_validate_json(os.environ[VARIABLE])
