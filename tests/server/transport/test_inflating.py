"""Compressed messages over the wire, on each transport: read, and bounded by what they become."""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import asyncio
import gzip
import random
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

import vouch.server.transport.inflating
from tests.hostile.frames import message
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import PREDICT, STREAM, echo
from tests.support.serving import Serving, Start
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import InvalidRequest, MessageTooLarge, Overloaded
from vouch.server.serving.gate import Gate
from vouch.server.transport.inflating import AT_ONCE_BYTES, COMPRESSED, inflated, inflated_if_compressed
from vouch.server.transport.limits import Listening

COMPRESSIONS = [grpc.Compression.Gzip, grpc.Compression.Deflate]
LIMIT = 1 << 20
NAME = "a" * 100_000
NOISE = bytes(range(256)) * 1000
LARGE = gzip.compress(NOISE, compresslevel=0)


@pytest.fixture
async def channel(start: Start) -> AsyncIterator[grpc.aio.Channel]:
    """To an echo that takes a mebibyte."""
    server = await start(echo(), Gate(), Listening(max_message_bytes=LIMIT))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened
    await server.stop()


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_compressed_messages_are_read(channel: grpc.aio.Channel, compression: grpc.Compression) -> None:
    """One, and one after the other."""
    one = channel.unary_unary(PREDICT, pb.PredictRequest.SerializeToString, pb.PredictResponse.FromString)
    many = channel.stream_stream(STREAM, pb.PredictStreamRequest.SerializeToString, pb.PredictStreamResponse.FromString)
    requests = [pb.PredictStreamRequest(id=NAME + str(k)) for k in range(3)]

    assert (await one(pb.PredictRequest(model=NAME), timeout=30, compression=compression)).model == NAME
    stream = many(iter(requests), timeout=30, compression=compression)
    assert [response.id async for response in stream] == [request.id for request in requests]


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_what_would_become_too_large_is_refused(channel: grpc.aio.Channel, compression: grpc.Compression) -> None:
    """Whether it comes alone or on a stream; a thousandth of the limit travels."""
    bomb = pb.PredictRequest(model="a" * (LIMIT + 1)).SerializeToString()
    stream_bomb = pb.PredictStreamRequest(id="a" * (LIMIT + 1)).SerializeToString()

    one: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PREDICT)
    many: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    calls: list[Awaitable[object]] = [
        one(bomb, timeout=30, compression=compression),
        many(iter([stream_bomb]), timeout=30, compression=compression).read(),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.value.details() == "inflated, the message has more than 1,048,576 bytes"


def damaged(packed: bytes) -> dict[str, bytes]:
    """What a compressed message is not."""
    return {
        "cut in its end": packed[:-1],
        "cut before its check": packed[:-8],
        "cut in the middle": packed[: len(packed) // 2],
        "its first bytes": packed[:2],
        "a byte behind it": packed + b"\0",
        "a message behind it": packed + pb.PredictRequest(model="b").SerializeToString(),
        "twice": packed + packed,
        "another check": packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:],
    }


@pytest.mark.parametrize("length", [10, 20_000], ids=["at once", "in the thread"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("damage", damaged(b"-" * 20))
async def test_damaged_messages_are_refused(start: Start, encoding: str, damage: str, length: int) -> None:
    """INVALID_ARGUMENT: what is left of a message is none, and what follows it would be passed over in silence."""
    noise = random.Random(0).randbytes(length).hex()
    content = pb.PredictRequest(model=noise).SerializeToString()
    packed = damaged(gzip.compress(content) if encoding == "gzip" else zlib.compress(content))[damage]
    server = await start(echo(), Gate(), Listening(max_message_bytes=LIMIT))
    with await asyncio.to_thread(RawCall, server.port, PREDICT, ("grpc-encoding", encoding)) as call:
        await asyncio.to_thread(call.send_all, message(packed, compressed=True))
        code, why = await asyncio.to_thread(call.ended)
    await server.stop()

    assert (code, "compressed" in why) == ("3", True)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_the_encoding_is_known_by_how_a_message_begins(pack: Callable[[bytes], bytes]) -> None:
    """What is cut off, or becomes too large, is refused."""
    packed = pack(bytes(5000))

    assert await inflated_if_compressed(packed, 5000) == bytes(5000)
    assert await inflated_if_compressed(b"\x0a\x01a", 5000) == b"\x0a\x01a"
    with pytest.raises(MessageTooLarge):
        await inflated_if_compressed(packed, 4999)
    with pytest.raises(InvalidRequest, match="ends too early"):
        await inflated_if_compressed(packed[:-6], 5000)


async def test_no_message_begins_as_compressed_ones_do(serving: Serving) -> None:
    """Or it would be taken for one."""
    keys = {begin[0] for begin in COMPRESSED}
    assert keys == {3 << 3 | 7, 15 << 3}  # a type that does not exist, and field 15
    requests = {method.request for method in serving.methods}
    assert len(requests) > 10
    assert [request.DESCRIPTOR.full_name for request in requests if 15 in request.DESCRIPTOR.fields_by_number] == []


async def test_one_thread_inflates_and_few_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when too many wait is told so at once; the others are served, and then there is room again."""
    monkeypatch.setattr(vouch.server.transport.inflating, "MAX_WAITING", 3)
    assert len(LARGE) > AT_ONCE_BYTES

    waiting = [asyncio.create_task(inflated(LARGE, "gzip", 1 << 20)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="3 compressed messages wait to be inflated"):
        await inflated(LARGE, "gzip", 1 << 20)
    async with asyncio.timeout(20):
        assert await asyncio.gather(*waiting) == [NOISE] * 3
        assert await inflated(LARGE, "gzip", 1 << 20) == NOISE

    assert sum(thread.name.startswith("inflate") for thread in threading.enumerate()) == 1
