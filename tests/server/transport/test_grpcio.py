import pytest

from vouch.server.errors import StartFailed
from vouch.server.gate import Gate
from vouch.server.services.table import Method
from vouch.server.transport.grpcio import start_grpcio


async def test_a_second_server_on_the_port_fails_at_once() -> None:
    """Two servers never share a port in silence."""
    nothing: list[Method] = []
    first = await start_grpcio(nothing, Gate(), "127.0.0.1", 0, 10_000)

    with pytest.raises(StartFailed, match=f"cannot listen on 127.0.0.1:{first.port}"):
        await start_grpcio(nothing, Gate(), "127.0.0.1", first.port, 10_000)
    await first.stop()
