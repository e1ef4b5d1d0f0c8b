import socket
from typing import Any

import pytest

from tests.server.transport.echo import echo
from tests.support.serving import Start
from vouch.server.errors import StartFailed
from vouch.server.serving.gate import Gate
from vouch.server.supervisor.port import ReservedPort
from vouch.server.transport.addresses import resolved, written
from vouch.server.transport.limits import Listening


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:8081"),
        ("localhost", "localhost:8081"),
        ("::1", "[::1]:8081"),
        ("::", "[::]:8081"),
        ("fe80::1%eth0", "[fe80::1%eth0]:8081"),
    ],
)
def test_an_address_is_written_as_callers_write_it(host: str, address: str) -> None:
    """Brackets around IPv6, or its port could not be told from it."""
    assert written(host, 8081) == address


def test_of_a_name_with_several_addresses_all_listen_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up once; what its second answer would be does not matter."""
    asked = socket.getaddrinfo
    several = [("127.0.0.1", 0), ("127.0.0.2", 0)]

    def answered(host: Any, *arguments: Any, **named: Any) -> Any:
        if host != "several.example":
            return asked(host, *arguments, **named)
        several.append(several.pop(0))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in reversed(several)]

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    with ReservedPort("several.example", 0) as reserved:
        assert reserved.host == "127.0.0.1"
        assert len(asked(reserved.host, reserved.port, type=socket.SOCK_STREAM)) == 1


def test_a_name_that_nobody_knows_has_no_address() -> None:
    """An OSError says so."""
    with pytest.raises(OSError, match="not known|No address|Temporary failure"):
        resolved("nobody.invalid")


async def test_a_taken_port_has_the_same_reason_over_each_transport(start: Start) -> None:
    """Said as it is, and not as one of two that might be."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(StartFailed, match=f"^cannot listen on 127.0.0.1:{port}: another program uses this port$"):
            await start(echo(), Gate(), Listening(port=port))


async def test_an_address_of_another_machine_has_the_same_reason_over_each_transport(start: Start) -> None:
    """IPv6 in brackets."""
    expected = r"^cannot listen on \[2001:db8::1\]:8081: this machine does not have this address$"
    with pytest.raises(StartFailed, match=expected):
        await start(echo(), Gate(), Listening("2001:db8::1", 8081))
