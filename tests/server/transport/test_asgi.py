import asyncio
import gzip
import zlib
from collections.abc import Callable

import pytest

from tests.support.asgi_caller import (
    MAX_MESSAGE_BYTES,
    REQUEST,
    SERVICE,
    Caller,
    app,
    framed,
)
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import worker_budget
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.method import methods


async def test_a_call_that_fails_keeps_nothing_of_its_request(circles: Callable[[], list[str]]) -> None:
    """Whether its function refuses it, or what came of it has no room."""
    caller = Caller(framed(REQUEST))
    caller.echo.refuses = True
    await caller.call()
    large = Caller(framed(bytes(900))[:800], bytes(105))
    budget = worker_budget(800)
    await app(methods(SERVICE, large.echo), budget)(large.scope, large.receive, large.send)

    assert (caller.status[0], large.status[0]) == (3, 3)
    assert circles() == []
    assert budget.held == 0


@pytest.mark.parametrize("size", [1, 2, 4, 5, 7, 100])
async def test_a_message_may_come_in_pieces(size: int) -> None:
    """Wherever they are cut."""
    content = framed(REQUEST)
    caller = await Caller(*(content[at : at + size] for at in range(0, len(content), size))).call()

    assert (caller.answer, caller.status) == ("tiny", (0, ""))


@pytest.mark.parametrize("name", ["tiny", "x" * 900])
async def test_the_end_of_a_request_may_be_an_event_of_its_own(name: str) -> None:
    """As HTTP/2 servers have it, whatever the size of the message."""
    request = pb.PredictRequest(model=name).SerializeToString()

    assert (await Caller(framed(request), b"").call()).answer == name


@pytest.mark.parametrize(
    ("encoding", "content"), [("gzip", gzip.compress(REQUEST, mtime=0)), ("deflate", zlib.compress(REQUEST))]
)
async def test_a_compressed_message_is_read(encoding: str, content: bytes) -> None:
    """As grpcio's server reads them."""
    assert (await Caller(framed(content, True), grpc_encoding=encoding).call()).answer == "tiny"


async def test_a_message_that_inflates_beyond_the_limit_is_refused() -> None:
    """Before it fills the memory."""
    bomb = gzip.compress(bytes(50_000_000))[:MAX_MESSAGE_BYTES]

    assert (await Caller(framed(bomb, True), grpc_encoding="gzip").call()).status == (
        8,
        "the decompressed message has more than 1,000 bytes",
    )


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ((b"",), {}, (3, "expected exactly one message")),
        ((framed(REQUEST) * 2,), {}, (3, "expected exactly one message")),
        ((framed(REQUEST)[:-1],), {}, (3, "the request ends in the middle of a message")),
        ((b"\0\0",), {}, (3, "the request ends in the middle of a message")),
        ((framed(REQUEST), framed(REQUEST)), {}, (3, "expected exactly one message")),
        ((framed(REQUEST)[:7], framed(REQUEST)[7:] + b"more"), {}, (3, "expected exactly one message")),
        ((framed(REQUEST)[:7], framed(REQUEST)[7:-1]), {}, (3, "the request ends in the middle of a message")),
        ((framed(b"x" * 1001)[:7], b"x" * 999), {}, (8, "the message has 1,001 bytes, and the limit is 1,000")),
        ((framed(b"garbage", True),), {"grpc_encoding": "gzip"}, (3, "the compressed message is not valid gzip")),
        ((framed(b"x", True),), {"grpc_encoding": "snappy"}, (12, "compression 'snappy' is not supported")),
        ((framed(b"x" * 1001),), {}, (8, "the message has 1,001 bytes, and the limit is 1,000")),
        ((framed(REQUEST),), {"grpc_timeout": "soon"}, (3, "expected a grpc-timeout of at most 8 digits and a unit")),
    ],
)
async def test_a_request_that_is_none_is_told_why(
    chunks: tuple[bytes, ...], headers: dict[str, str], status: tuple[int, str]
) -> None:
    """In a status, with nothing before it."""
    caller = await Caller(*chunks, **headers).call()

    assert caller.status[0] == status[0]
    assert caller.status[1].startswith(status[1])
    assert len(caller.sent) == 2  # headers that hold the status, and the end


async def test_an_unknown_method_is_unimplemented() -> None:
    """With its path."""
    assert (await Caller(framed(b""), path="/a.B/C").call()).status == (12, "there is no method /a.B/C")


async def test_who_speaks_no_grpc_is_told_so_in_http() -> None:
    """A browser that comes to the port reads a sentence."""
    caller = await Caller(b"", content_type="text/html").call()

    assert caller.sent[0]["status"] == 415
    assert caller.sent[1]["body"] == b"This port speaks gRPC over HTTP/2.\n"


async def test_headers_are_the_callers_own() -> None:
    """Headers of HTTP and of gRPC itself are left out; binary values are decoded, and several may stand in one."""
    caller = await Caller(framed(REQUEST), colour="blue", key_bin="AAEC,/w==, ", grpc_timeout="50S", odd_bin="%").call()

    context = caller.echo.context
    read = context.caller.headers
    assert (read("colour"), read("key-bin"), read("other")) == (("blue",), (b"\0\1\2", b"\xff", b""), ())
    assert [read(name) for name in ("grpc-timeout", "te", "content-type", ":path")] == [()] * 4
    with pytest.raises(InvalidRequest, match="expected base64 in the header odd-bin"):
        read("odd-bin")
    assert context.caller.peer == "ipv6:::1:5"
    assert context.deadline is not None
    assert 40 < context.deadline - asyncio.get_running_loop().time() <= 50


async def test_a_call_that_takes_no_trailers_is_refused() -> None:
    """Its status could not be sent behind a message: a proxy has left the header te out."""
    caller = Caller(framed(REQUEST))
    caller.scope["extensions"] = {}

    assert (await caller.call()).status == (3, "expected the header 'te: trailers', which every gRPC call has")


async def test_a_large_answer_goes_out_in_pieces() -> None:
    """A server waits with each until the caller has room for it."""
    caller = Caller(framed(pb.PredictRequest(model="x" * 900).SerializeToString()))
    caller.echo.times = 1000
    await caller.call()

    bodies = [event for event in caller.sent if event["type"] == "http.response.body"]
    assert caller.answer == "x" * 900_000
    assert [event["more_body"] for event in bodies] == [True] * (len(bodies) - 1) + [False]
    assert max(len(event["body"]) for event in bodies) <= 1 << 18
