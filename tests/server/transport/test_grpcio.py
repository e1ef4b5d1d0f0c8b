import pytest

from vouch.server.errors import StartFailed
from vouch.server.gate import Gate
from vouch.server.services.table import Method
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.listening import Listening


async def test_a_second_server_on_the_port_fails_at_once() -> None:
    """Two servers never share a port in silence."""
    nothing: list[Method] = []
    first = await start_grpcio(nothing, Gate(), Listening(max_message_bytes=10_000))

    with pytest.raises(StartFailed, match=f"cannot listen on 127.0.0.1:{first.port}"):
        await start_grpcio(nothing, Gate(), Listening(port=first.port))
    await first.stop()
