"""All there is to tell of a server at one moment, for whoever turns it into metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from vouch import __version__
from vouch.server.counting.counts import Counts
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.published import HeldBack
from vouch.server.transport.tls import Validity


@dataclass(frozen=True)
class State:
    """All there is to tell at one moment."""

    started_s: float
    """When the server started, in seconds since 1970."""
    counts: Counts
    served: tuple[VerifiedVersion, ...]
    installs: int
    """Versions that came to be served since the start."""
    refusals: int
    """Versions that were looked at and refused, since the start; one that is refused again counts again."""
    refused: tuple[tuple[str, int], ...]
    """Model and version of all that are refused now."""
    held_back: tuple[HeldBack, ...]
    """Versions that are worse than older ones."""
    workers: int
    """That are there now."""
    ready_workers: int
    """Of these, that serve at least one model."""
    restarts: int
    """Workers that ended unasked and were replaced, or are to be."""


@dataclass(frozen=True)
class Surroundings:
    """What a server depends on, at the same moment."""

    found: Found
    """In the models folder."""
    certificates: Mapping[str, Validity]
    """Of TLS: "server", and "client_ca" where callers have to show one; empty without TLS."""
    expected_servers: int
    """How many servers there should be, this one included."""


def build_info(transport: str, provider: str) -> dict[str, str]:
    """What runs here, without loading it."""
    runtime = _installed("onnxruntime") or _installed("onnxruntime-gpu")
    return {"version": __version__, "onnxruntime": runtime, "transport": transport, "provider": provider}


def _installed(name: str) -> str:
    """A distribution's version; empty where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
