from typing import Any

import pytest

from vouch.client.address import server_address
from vouch.client.client import Client


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("localhost", "localhost:8081"),
        ("localhost:9000", "localhost:9000"),
        ("10.0.0.7", "10.0.0.7:8081"),
        ("my_server.example", "my_server.example:8081"),
        ("[::1]", "[::1]:8081"),
        ("[::1]:9000", "[::1]:9000"),
        ("::1", "[::1]:8081"),
        ("fe80::1%eth0", "[fe80::1%eth0]:8081"),
        ("dns:///server:8081", "dns:///server:8081"),
        ("unix:/run/vouch.sock", "unix:/run/vouch.sock"),
    ],
)
def test_a_server_is_called_where_people_say_it_is(written: str, called: str) -> None:
    """The port is 8081 where none is given, IPv6 needs no brackets then, and gRPC's own names are not changed."""
    assert server_address(written) == called


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("http://localhost:8081", "not a URL; did you mean localhost:8081?"),
        ("https://models.example/v2", "not a URL; did you mean models.example?"),
        ("grpc://localhost", "not a URL; did you mean localhost?"),
        ("8081", "did you mean localhost:8081?"),
        ("localhost:http", "expected HOST or HOST:PORT"),
        ("localhost:70000", "a port is a number from 1 to 65535"),
        ("localhost:0", "a port is a number from 1 to 65535"),
        ("localhost:", "expected HOST or HOST:PORT"),
        (":8081", "expected HOST or HOST:PORT"),
        ("", "expected HOST or HOST:PORT"),
        ("localhost:8081/v2", "expected HOST or HOST:PORT"),
        ("[localhost]:8081", "expected HOST or HOST:PORT"),
        ("my server", "expected HOST or HOST:PORT"),
    ],
)
def test_what_is_no_address_is_refused(written: str, words: str) -> None:
    """The message says what is expected, and what was probably meant."""
    with pytest.raises(ValueError, match="expected HOST or HOST:PORT") as refused:
        server_address(written)

    assert words in str(refused.value)


def test_programs_call_a_server_by_the_same_names() -> None:
    """Without a port gRPC would call 443."""
    with Client("localhost") as client:
        assert client.server == "localhost:8081"
    with pytest.raises(ValueError, match="not a URL; did you mean localhost:8081[?]"):
        Client("http://localhost:8081")


@pytest.mark.parametrize("written", [None, 8081, b"localhost"])
def test_what_is_no_text_is_refused(written: Any) -> None:
    """With the same sentence."""
    with pytest.raises(TypeError, match=r"expected HOST or HOST:PORT, .*; got (NoneType|int|bytes)"):
        server_address(written)


def test_blanks_around_it_do_not_count() -> None:
    """As they come with a copy."""
    assert server_address(" localhost \n") == "localhost:8081"
