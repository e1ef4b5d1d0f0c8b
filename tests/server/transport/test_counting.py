"""Every call is counted once, with the code that its caller gets: refused ones, early ended ones, and thousands."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from tests.server.services.classifier.calls import raw
from tests.support.serving import Serving, Start
from tests.support.tiny import publish_tiny, tiny_images
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import Outputs
from vouch.server.serving.served import Served
from vouch.server.transport.grpcio import start_grpcio

REQUEST = raw(tiny_images(2)[0]).SerializeToString()
CLASSIFIER = "/vouch.v1.Classifier"
WITHIN_S = 30
PREDICT = f"{CLASSIFIER}/Predict"
Ended = dict[tuple[str, str], int]


class Held:
    """A model that answers when it is let go."""

    def __init__(self) -> None:
        self._let_go = threading.Event()

    def __call__(self, parts: Sequence[np.ndarray]) -> Outputs:
        assert self._let_go.wait(60)
        return Outputs(*np.full((2, sum(map(len, parts)), 3), 1 / 3, np.float32))

    def let_go(self) -> None:
        self._let_go.set()


def hold(serving: Serving, queue_images: int = 2000) -> Held:
    """Serves a model that is held."""
    bundle, statistics, held = publish_tiny(serving.folder), Statistics(), Held()
    batcher = start_batcher(held, Limits(64, queue_images), on_batch=statistics.add)
    serving.published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics))
    return held


async def counted(serving: Serving, calls: int) -> Ended:
    """What so many calls were counted as, when they all are."""
    async with asyncio.timeout(WITHIN_S):
        while sum(serving.ended().values()) < calls:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # none is counted twice
    return serving.ended()


def unary(channel: grpc.aio.Channel, path: str = PREDICT) -> Any:
    return channel.unary_unary(path)


async def code_of(call: Any) -> str:
    try:
        await asyncio.wait_for(call, WITHIN_S)
    except grpc.aio.AioRpcError as err:
        return err.code().name
    return "OK"


async def test_refused_calls_are_counted_by_their_code(serving: Serving) -> None:
    """Also those of methods that are not there, whose names are not told: they are a caller's text."""
    channel = serving.channel
    calls = {
        "NOT_FOUND": unary(channel)(pb.PredictRequest(model="nobody").SerializeToString()),
        "INVALID_ARGUMENT": unary(channel)(b"\xff\xff"),
        "UNIMPLEMENTED": unary(channel, f"{CLASSIFIER}/Guess")(b""),
        "OK": unary(channel, f"{CLASSIFIER}/ListModels")(b""),
    }
    assert {await code_of(call) for call in calls.values()} == {*calls}
    assert await code_of(unary(channel, "/else.Where/Guess")(b"")) == "UNIMPLEMENTED"
    serving.gate._closed = True
    assert await code_of(unary(channel)(REQUEST)) == "UNAVAILABLE"
    serving.gate._closed = False

    assert await counted(serving, 6) == {
        ("Predict", "NOT_FOUND"): 1,
        ("Predict", "INVALID_ARGUMENT"): 1,
        ("Predict", "UNAVAILABLE"): 1,
        ("ListModels", "OK"): 1,
        ("", "UNIMPLEMENTED"): 2,
    }


async def test_what_is_too_large_is_counted_where_the_library_lets_us_know(serving: Serving, start: Start) -> None:
    """GRPC's core refuses what comes too large itself, before there is a call to count; what becomes it, we do."""
    predict, large = unary(serving.channel), bytes(2_000_000)
    assert await code_of(predict(large)) == "RESOURCE_EXHAUSTED"
    assert await code_of(predict(large, compression=grpc.Compression.Gzip)) == "RESOURCE_EXHAUSTED"
    assert await code_of(predict(REQUEST)) == "OK"

    refused = 1 if start is start_grpcio else 2
    expected = {("Predict", "RESOURCE_EXHAUSTED"): refused, ("Predict", "OK"): 1}
    assert await counted(serving, 1 + refused) == expected


async def test_callers_who_leave_are_told_from_deadlines_that_pass(serving: Serving) -> None:
    """A client leaves at its deadline, which looks as if it had cancelled; unary calls and streams."""
    held = hold(serving)
    predict = unary(serving.channel)
    stream: Any = serving.channel.stream_stream(f"{CLASSIFIER}/PredictStream")
    message = pb.PredictStreamRequest(request=raw(tiny_images(1)[0])).SerializeToString()
    late = [predict(REQUEST, timeout=0.777), predict(REQUEST, timeout=0.3), stream(iter([message]), timeout=0.3).read()]
    assert await asyncio.gather(*map(code_of, late)) == ["DEADLINE_EXCEEDED"] * 3
    leaving = [predict(REQUEST), predict(REQUEST, timeout=60), stream()]
    await leaving[-1].write(message)
    await asyncio.sleep(0.2)
    for call in leaving:
        call.cancel()
    lost = grpc.aio.insecure_channel(serving.address, [("grpc.use_local_subchannel_pool", 1)])
    answer = asyncio.ensure_future(code_of(unary(lost)(REQUEST)))
    await asyncio.sleep(0.3)
    await lost.close()
    await asyncio.wait((answer,), timeout=WITHIN_S)

    ended = await counted(serving, 7)
    held.let_go()
    assert ended == {
        ("Predict", "DEADLINE_EXCEEDED"): 2,
        ("PredictStream", "DEADLINE_EXCEEDED"): 1,
        ("Predict", "CANCELLED"): 3,
        ("PredictStream", "CANCELLED"): 1,
    }


async def test_thousands_of_calls_at_once_are_answered_or_refused_by_us(serving: Serving) -> None:
    """Four channels with 900 calls each, while the model is busy: what does not fit into the queue is told so, and no
    library cancels any in front of it.
    """
    held = hold(serving, queue_images=1000)
    channels = [grpc.aio.insecure_channel(serving.address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
    call = raw(tiny_images(1)[0]).SerializeToString()
    calls = [
        asyncio.ensure_future(code_of(unary(channel)(call, timeout=60))) for _ in range(900) for channel in channels
    ]
    async with asyncio.timeout(60):
        while sum(one.done() for one in calls) < 3600 - 1000 - 64:
            await asyncio.sleep(0.05)
        held.let_go()
        codes = Counter(await asyncio.gather(*calls))

    assert {*codes} == {"OK", "RESOURCE_EXHAUSTED"}
    assert 1000 <= codes["OK"] <= 1000 + 64
    assert await counted(serving, 3600) == {("Predict", code): count for code, count in codes.items()}
    for channel in channels:
        await channel.close()


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Of HTTP/2: https://www.rfc-editor.org/rfc/rfc9113#section-4.1"""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def http2(headers: dict[str, str]) -> bytes:
    """A connection with one call, its header fields as literals that are not indexed."""
    pairs = ((name.encode(), value.encode()) for name, value in headers.items())
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in pairs)
    message = b"\0" + len(REQUEST).to_bytes(4, "big") + REQUEST
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return preface + frame(1, 4, 1, block) + frame(0, 1, 1, message)


HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":path": PREDICT,
    ":authority": "there",
    "content-type": "application/grpc",
    "te": "trailers",
}


@pytest.mark.parametrize(
    ("changed", "method", "code"),
    [
        ({}, "Predict", "OK"),
        ({"te": None}, "Predict", "INVALID_ARGUMENT"),
        ({"grpc-timeout": "soon"}, "Predict", "INVALID_ARGUMENT"),
        ({"grpc-timeout": "0m"}, "Predict", "DEADLINE_EXCEEDED"),
        ({"grpc-encoding": "br"}, "Predict", "OK"),  # the message is not compressed
        ({"content-type": "text/html"}, "", "UNKNOWN"),
        ({":method": "GET"}, "", "UNKNOWN"),
    ],
    ids=str,
)
async def test_calls_of_strange_headers_are_counted(
    serving: Serving, start: Start, changed: dict[str, str | None], method: str, code: str
) -> None:
    """By us where they come so far; gRPC's core ends such calls itself, and lets nobody know."""
    headers = {name: value for name, value in (HEADERS | changed).items() if value is not None}
    _, writer = await asyncio.open_connection(*serving.address.split(":"))
    writer.write(http2(headers))
    await writer.drain()
    if start is not start_grpcio or not changed:
        assert await counted(serving, 1) == {(method, code): 1}
    writer.close()
    assert await code_of(unary(serving.channel)(REQUEST)) == "OK"
