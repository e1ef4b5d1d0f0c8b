"""Calls that are reset, on both transports: a client loses none of its other calls with them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.support.serving import Start, start  # noqa: F401 - a fixture
from vouch.client import AsyncClient, CallFailed, Client
from vouch.client.connections import MAX_CONNECTIONS, MAX_LOAD, WINDOW_S, Connection, Connections
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.limits import Listening

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
LONG_S, SHORT_S, RESETS, OTHERS = 3.0, 0.05, 400, 5


class Slow:
    """Takes its time for every answer."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.calls[request.model] += 1
        await asyncio.sleep(LONG_S)
        return pb.PredictResponse(model=request.model, version=1, top_k=1, labels=["x"], probabilities=[1])

    PredictStream = ListModels = GetModel = Evaluate = Predict


async def test_deadlines_that_pass_cost_no_other_call(start: Start) -> None:  # noqa: F811
    """400 at once, over twice as many as h2corn bears on a connection; the others are answered the first time."""
    slow = Slow()
    server = await start(methods(SERVICE, slow), Gate(), Listening())
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        others = [asyncio.create_task(client.predict(b"x", model="other")) for _ in range(OTHERS)]
        await asyncio.sleep(0.2)
        in_vain = await asyncio.gather(
            *(client.predict(b"x", model="short", timeout_s=SHORT_S) for _ in range(RESETS)), return_exceptions=True
        )
        answers = await asyncio.gather(*others)
    await server.stop()

    assert {type(one) for one in in_vain} == {CallFailed}
    assert [answer.model for answer in answers] == ["other"] * OTHERS
    assert slow.calls["other"] == OTHERS


async def test_the_same_holds_for_threads_and_for_calls_that_are_cancelled(start: Start) -> None:  # noqa: F811
    """A thread's deadline passes, a task of asyncio is cancelled; there are never more connections than may be."""
    slow = Slow()
    server = await start(methods(SERVICE, slow), Gate(), Listening())
    address = f"127.0.0.1:{server.port}"

    def give_up(_: int) -> type[Exception] | None:
        try:
            client.predict(b"x", model="short", timeout_s=SHORT_S)
        except CallFailed as err:
            return type(err)
        return None

    with ThreadPoolExecutor(40) as threads, Client(address) as client:
        running = asyncio.get_running_loop().run_in_executor
        other = running(None, lambda: client.predict(b"x", model="other"))
        in_vain = await asyncio.gather(*(running(threads, give_up, number) for number in range(RESETS)))
        assert (await other).model == "other"
    async with AsyncClient(address) as concurrent:
        kept = asyncio.create_task(concurrent.predict(b"x", model="kept"))
        left = [asyncio.create_task(concurrent.predict(b"x", model="left")) for _ in range(RESETS)]
        await asyncio.sleep(0.5)
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=10)
        assert (await kept).model == "kept"
        assert len(concurrent._connections.channels) <= MAX_CONNECTIONS
    await server.stop()

    assert set(in_vain) == {CallFailed}
    assert (slow.calls["other"], slow.calls["kept"]) == (1, 1)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[Connections[Any], Callable[[float], None]]:
    """Connections to nobody, and what lets time pass."""
    now = [0.0]
    monkeypatch.setattr("vouch.client.connections.time.monotonic", lambda: now[0])
    connections: Connections[Any] = Connections(lambda: grpc.insecure_channel("127.0.0.1:1"))

    def passes(seconds: float) -> None:
        now[0] += seconds

    return connections, passes


class DeadlineExceeded(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.DEADLINE_EXCEEDED


def reset_one(connections: Connections[Any]) -> Connection[Any]:
    """A call whose deadline passes."""
    with pytest.raises(DeadlineExceeded), connections.one() as connection:
        raise DeadlineExceeded
    return connection


def test_one_connection_is_enough_for_calls_that_are_answered(
    opened: tuple[Connections[Any], Callable[[float], None]],
) -> None:
    """However many, one after the other."""
    connections, _ = opened
    for _ in range(2 * MAX_LOAD):
        with connections.one():
            pass

    assert len(connections.channels) == 1


def test_a_connection_with_many_resets_rests_until_they_are_long_ago(
    opened: tuple[Connections[Any], Callable[[float], None]],
) -> None:
    """Others are opened meanwhile, up to the limit; then all take their turns."""
    connections, passes = opened
    used = Counter(reset_one(connections) for _ in range(MAX_LOAD * MAX_CONNECTIONS))
    assert list(used.values()) == [MAX_LOAD] * MAX_CONNECTIONS
    reset_one(connections)
    assert len(connections.channels) == MAX_CONNECTIONS

    passes(WINDOW_S + 1)
    assert reset_one(connections).channel is connections.channels[0]
