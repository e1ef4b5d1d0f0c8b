"""The state of a server at one moment, from which the metrics are made."""

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
    """State of a server at one moment."""

    started_s: float
    """When the server started, in seconds since 1970."""
    counts: Counts
    served: tuple[VerifiedVersion, ...]
    installs: int
    """Versions that began to be served since the start."""
    refusals: int
    """Versions refused since the start; each refusal counts."""
    refused: tuple[tuple[str, int], ...]
    """Model and version of each that is refused now."""
    held_back: tuple[HeldBack, ...]
    """Versions not served because they are worse than older ones."""
    workers: int
    """Number of workers that take calls now."""
    ready_workers: int
    """Number of these that serve at least one model."""
    restarts: int
    """Workers that ended unexpectedly and were replaced, or will be."""


@dataclass(frozen=True)
class Surroundings:
    """What a server depends on, at the same moment."""

    found: Found
    """Contents of the models folder."""
    certificates: Mapping[str, Validity]
    """TLS certificates: "server", and "client_ca" if callers need one; empty without TLS."""
    expected_servers: int
    """Number of servers that should run, including this one."""


def build_info(transport: str, provider: str) -> dict[str, str]:
    """Versions of Vouch and ONNX Runtime, transport and provider; loads none of them."""
    runtime = _installed("onnxruntime") or _installed("onnxruntime-gpu")
    return {"version": __version__, "onnxruntime": runtime, "transport": transport, "provider": provider}


def _installed(name: str) -> str:
    """A distribution's version; empty if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
