"""Chooses and starts the transport."""

import asyncio
import logging
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from vouch.server.errors import StartFailed
from vouch.server.settings import Transport

if TYPE_CHECKING:  # the supervisor chooses, and must not load protobuf
    from vouch.server.rpc.method import Method
    from vouch.server.serving.gate import Gate
    from vouch.server.transport.limits import Listening

log = logging.getLogger("vouch.server")


class Listener(Protocol):
    """A listening server."""

    ended: "asyncio.Future[None]"
    """Fails with the reason when the server stops listening unexpectedly."""

    @property
    def port(self) -> int:
        """The port it listens on."""

    async def turn_away(self) -> None:
        """Refuses new connections from now on, as far as the library can; calls in progress go on."""

    async def stop(self) -> None:
        """Closes all connections; wait for calls in progress before."""


def chosen_transport(wanted: Transport | None) -> Transport:
    """The requested transport; if none was, h2corn if it can be loaded, else grpcio, with a warning.

    Raises:
        StartFailed: h2corn was requested and cannot be loaded.
    """
    if wanted == "grpcio":
        return wanted
    try:
        import_module("h2corn._lib")
    except ImportError as err:
        if wanted:
            raise StartFailed(f"--transport h2corn cannot be loaded ({err}); --transport grpcio can") from err
        log.warning("h2corn, which is faster, cannot be loaded (%s); using transport grpcio instead", err)
        return "grpcio"
    return "h2corn"


async def start_transport(
    transport: Transport, methods: "Iterable[Method]", gate: "Gate", listening: "Listening"
) -> Listener:
    """Starts a server that answers these methods.

    Raises:
        StartFailed: the address is in use or not available, or the certificate cannot be used.
    """
    start = getattr(import_module(f"vouch.server.transport.{transport}"), f"start_{transport}")  # loads only that one
    server: Listener = await start(methods, gate, listening)
    return server
