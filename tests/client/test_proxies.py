"""Proxies in the environment: what gRPC makes of them is asked of gRPC itself, over a proxy that refuses everybody."""

import os
import socket
from collections.abc import Iterator

import grpc
import pytest

from tests.support.serving import Serving
from vouch.client import CallFailed, Client
from vouch.client.client import SERVING
from vouch.client.commands import predict, status
from vouch.client.connections import HEALTH
from vouch.client.proxies import proxy_of

SERVER = "127.0.0.1:8081"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment of the tests has."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def dead() -> Iterator[str]:
    """HOST:PORT of a proxy that is no more; the port is held, so that nobody else listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


RULES: list[tuple[dict[str, str], str, bool]] = [
    ({}, "127.0.0.1", False),
    ({"http_proxy": "http://DEAD"}, "127.0.0.1", True),
    ({"http_proxy": "http://DEAD"}, "localhost", True),
    ({"https_proxy": "HTTP://user:secret@DEAD"}, "127.0.0.1", True),
    ({"grpc_proxy": "http://DEAD"}, "127.0.0.1", True),
    ({"all_proxy": "http://DEAD", "HTTP_PROXY": "http://DEAD"}, "127.0.0.1", False),
    ({"http_proxy": "http://DEAD", "grpc_proxy": ""}, "127.0.0.1", False),
    ({"http_proxy": "https://DEAD"}, "127.0.0.1", False),
    ({"http_proxy": "DEAD"}, "127.0.0.1", False),
    ({"http_proxy": "http://user:secret@"}, "127.0.0.1", False),
    ({"http_proxy": " http://DEAD"}, "127.0.0.1", False),
    ({"http_proxy": "http://DEAD", "no_proxy": "127.0.0.1"}, "127.0.0.1", False),
    ({"http_proxy": "http://DEAD", "no_proxy": "127.0.0.1"}, "dns:///127.0.0.1", False),
    ({"http_proxy": "http://DEAD", "no_proxy": "a, 127.0.0.0/8 ,b"}, "ipv4:127.0.0.1", False),
    ({"http_proxy": "http://DEAD", "no_proxy": "LOCALHOST"}, "localhost", False),
    ({"http_proxy": "http://DEAD", "no_proxy": "localhost"}, "127.0.0.1", True),
    ({"http_proxy": "http://DEAD", "no_proxy": "*"}, "127.0.0.1", True),
    ({"http_proxy": "http://DEAD", "no_proxy": "a, ,"}, "127.0.0.1", True),
    ({"http_proxy": "http://DEAD", "NO_PROXY": "127.0.0.1"}, "127.0.0.1", True),
    ({"http_proxy": "http://DEAD", "no_proxy": "127.0.0.1", "no_grpc_proxy": "x"}, "127.0.0.1", True),
]


@pytest.mark.parametrize(("variables", "host", "through"), RULES)
async def test_the_rules_are_those_of_grpc(
    serving: Serving, dead: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], host: str, through: bool
) -> None:
    """Where a proxy is named, calls really go through it and fail; elsewhere they are answered."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("DEAD", dead))
    server = f"{host}:{serving.address.partition(':')[2]}"

    async with grpc.aio.insecure_channel(server) as channel:  # a client's own would try again, four times
        health: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(HEALTH)
        try:
            answered = await health(b"", timeout=10) == SERVING
        except grpc.aio.AioRpcError:
            answered = False

    assert answered is not through
    assert (proxy_of(server, os.environ) is not None) is through


def test_unix_sockets_go_past_every_proxy() -> None:
    """There is no host that a proxy could call."""
    assert proxy_of("unix:/run/vouch.sock", {"http_proxy": "http://proxy:3128"}) is None


@pytest.mark.parametrize(
    ("variables", "server", "sentence"),
    [
        (
            {"http_proxy": "http://user:secret@proxy:3128"},
            SERVER,
            "http_proxy is set to http://proxy:3128: calls go through it; set no_proxy=127.0.0.1 or unset it",
        ),
        (
            {"grpc_proxy": "http://[fe80::1]:3128/", "no_proxy": "localhost"},
            "dns:///gpu-7:8081",
            "grpc_proxy is set to http://[fe80::1]:3128: calls go through it; add gpu-7 to no_proxy or unset it",
        ),
        (
            {"https_proxy": "http://proxy", "no_proxy": "localhost", "no_grpc_proxy": ""},
            "[::1]:8081",
            "https_proxy is set to http://proxy: calls go through it; add ::1 to no_grpc_proxy or unset it",
        ),
        (
            {"http_proxy": "http://user:sec/ret@proxy:3128"},  # gRPC takes user:sec for the proxy
            SERVER,
            "http_proxy is set: calls go through it; set no_proxy=127.0.0.1 or unset it",
        ),
    ],
)
def test_a_proxy_is_named_without_its_password_and_with_a_way_round_it(
    variables: dict[str, str], server: str, sentence: str
) -> None:
    """What is said can be typed as it is."""
    assert str(proxy_of(server, variables)) == sentence


@pytest.mark.parametrize("words", [["status"], ["predict", __file__]])
def test_commands_name_the_proxy_that_they_met(
    words: list[str], dead: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the one sentence that it ends with; never a password."""
    monkeypatch.setenv("http_proxy", f"http://user:secret@{dead}")
    command = {"status": status, "predict": predict}[words[0]]

    assert command([*words[1:], "--server", SERVER]) == 1
    assert capsys.readouterr().err == (
        f"error: no server can be reached at {SERVER}; http_proxy is set to http://{dead}: calls go through it; "
        "set no_proxy=127.0.0.1 or unset it\n"
    )


@pytest.mark.parametrize("proxy", ["http://user:sec/ret@127.0.0.1:9", "http://user:secret@:9"])
def test_a_proxy_that_cannot_be_found_is_named_too(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC's own reason is given where no part of a password is in it."""
    monkeypatch.setenv("https_proxy", proxy)

    with Client(SERVER) as client, pytest.raises(CallFailed, match="https_proxy is set") as failure:
        client.ready()

    assert failure.value.code is grpc.StatusCode.UNAVAILABLE
    assert "sec" not in str(failure.value)


def test_a_name_that_is_no_machine_is_said_without_a_proxy() -> None:
    """It is not the server that answered."""
    with (
        Client("dns:///no host:8081") as client,
        pytest.raises(CallFailed, match="no connection with dns:///no host") as err,
    ):
        client.ready()

    assert "answered" not in str(err.value)
