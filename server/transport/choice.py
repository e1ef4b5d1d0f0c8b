"""Which transport serves, and what starts it."""

import asyncio
import logging
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from vouch.server.errors import StartFailed
from vouch.server.settings import Transport

if TYPE_CHECKING:  # the supervisor chooses, and has no use for protobuf
    from vouch.server.rpc.method import Method
    from vouch.server.serving.gate import Gate
    from vouch.server.transport.limits import Listening

log = logging.getLogger("vouch.server")


class Listener(Protocol):
    """A server that listens."""

    ended: "asyncio.Future[None]"
    """Done, with the reason as its exception, when nothing listens any more though nobody stopped it."""

    @property
    def port(self) -> int:
        """Where it listens."""

    async def turn_away(self) -> None:
        """No new connections from now on, as far as the library can; calls that are here go on."""

    async def stop(self) -> None:
        """Closes all that is left; whoever wants calls to be answered waits for them before."""


def chosen_transport(wanted: Transport | None) -> Transport:
    """The transport that was asked for; where none was, h2corn, or grpcio and a line that says why.

    Raises:
        StartFailed: h2corn was asked for and cannot be loaded.
    """
    if wanted == "grpcio":
        return wanted
    try:
        import_module("h2corn._lib")
    except ImportError as err:
        if wanted:
            raise StartFailed(f"--transport h2corn was asked for and cannot be loaded ({err}); grpcio can") from err
        log.warning("transport grpcio in place of h2corn, which is faster and cannot be loaded here: %s", err)
        return "grpcio"
    return "h2corn"


async def start_transport(
    transport: Transport, methods: "Iterable[Method]", gate: "Gate", listening: "Listening"
) -> Listener:
    """Listens, and answers these methods.

    Raises:
        StartFailed: the address is taken or not available, or the certificate cannot be used.
    """
    start = getattr(import_module(f"vouch.server.transport.{transport}"), f"start_{transport}")  # loads that one alone
    server: Listener = await start(methods, gate, listening)
    return server
