"""Compressed messages over the wire, on each transport: read, and bounded by what they become."""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import asyncio
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from tests.hostile.frames import message
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import PREDICT, STREAM, echo
from tests.support.serving import Serving, Start
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import InvalidRequest, MessageTooLarge, Overloaded
from vouch.server.serving.gate import Gate
from vouch.server.transport.inflating import COMPRESSED, Inflater, encoding_of
from vouch.server.transport.limits import Listening

COMPRESSIONS = [grpc.Compression.Gzip, grpc.Compression.Deflate]
LIMIT = 1 << 20
NAME = "a" * 100_000
NOISE = bytes(range(256)) * 1000


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
        assert refused.value.details() == "the decompressed message has more than 1,048,576 bytes"


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
@pytest.mark.parametrize("content", [bytes(5000), NOISE, bytes(3_000_000)], ids=["small", "noise", "zeros"])
async def test_the_encoding_is_known_by_how_a_message_begins(pack: Callable[[bytes], bytes], content: bytes) -> None:
    """What is cut off, or becomes too large, is refused."""
    packed = pack(content)
    encoding = encoding_of(packed)

    assert packed.startswith(COMPRESSED)
    assert await Inflater(len(content), 1).inflated(packed, encoding, Hold(), "a") == content
    with pytest.raises(MessageTooLarge):
        await Inflater(len(content) - 1, 1).inflated(packed, encoding, Hold(), "a")
    with pytest.raises(InvalidRequest, match="is incomplete"):
        await Inflater(len(content), 1).inflated(packed[:-6], encoding, Hold(), "a")


async def test_no_message_begins_as_compressed_ones_do(serving: Serving) -> None:
    """Or it would be taken for one."""
    keys = {begin[0] for begin in COMPRESSED}
    assert keys == {3 << 3 | 7, 15 << 3}  # a type that does not exist, and field 15
    requests = {method.request for method in serving.methods}
    assert len(requests) > 10
    assert [request.DESCRIPTOR.full_name for request in requests if 15 in request.DESCRIPTOR.fields_by_number] == []


async def test_what_a_message_becomes_is_taken_from_the_budget_as_it_grows() -> None:
    """Three that do not fit together: the room for the last is never there, and nothing is made of it."""
    budget, inflater = worker_budget(10 << 20), Inflater(64 << 20, 1)
    budget.share()
    packed, holds = gzip.compress(bytes(2 << 20)), [Hold(budget) for _ in range(3)]
    for hold in holds[:2]:
        assert len(await inflater.inflated(packed, "gzip", hold, "a")) == hold.bytes == 2 << 20

    with pytest.raises(Overloaded, match=r"decompressed requests. do not fit now: .* and the limit is 10,485,760"):
        await inflater.inflated(packed, "gzip", holds[2], "a")
    assert holds[2].bytes < 2 << 20
    for hold in holds:
        hold.end()
    assert budget.held == 0


async def test_a_bomb_beyond_the_budget_is_refused_before_it_is_made() -> None:
    """Nobody else holds anything, and it can never fit."""
    budget = worker_budget(4 << 20)

    with pytest.raises(InvalidRequest, match="can never fit"), Hold(budget) as hold:
        await Inflater(64 << 20, 1).inflated(gzip.compress(bytes(60 << 20)), "gzip", hold, "a")
    assert budget.held == 0


async def test_one_caller_s_messages_wait_for_each_other_and_for_nobody_else() -> None:
    """Ten large ones of one caller, then a small one of another, which is there before the second of the ten."""
    inflater, ended = Inflater(64 << 20, 1), list[str]()
    large, small = gzip.compress(bytes(16 << 20)), gzip.compress(NOISE, compresslevel=0)

    async def send(message: bytes, caller: str) -> None:
        await inflater.inflated(message, "gzip", Hold(), caller)
        ended.append(caller)

    async with asyncio.timeout(30):
        await asyncio.gather(*[send(large, "many") for _ in range(10)], send(small, "one"))

    assert "one" in ended[:2]
