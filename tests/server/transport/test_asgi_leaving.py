import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asgi_caller import (
    REQUEST,
    SERVICE,
    Caller,
    Echo,
    app,
    framed,
)
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.context import CANCELLED, CallContext
from vouch.server.rpc.method import methods
from vouch.server.transport.asgi_request import Event, timeout_s

LEAVING = [lambda caller, _: caller.gone.set(), lambda _, calling: calling.cancel()]
"""The ways in which a server tells that a caller has left: an event, and the end of the task."""


@pytest.mark.parametrize("leave", LEAVING)
@pytest.mark.parametrize("name", ["Predict", "Evaluate"])
async def test_a_caller_who_leaves_ends_the_service(
    name: str, leave: Callable[[Caller, asyncio.Task[Any]], Any]
) -> None:
    """Before the answer as well as within a stream that has nothing to say for long; and it is counted as cancelled."""
    caller = Caller(framed(REQUEST), path=f"/{SERVICE.full_name}/{name}")
    caller.echo.hang = True
    table = methods(SERVICE, caller.echo)
    calling = asyncio.create_task(app(table)(caller.scope, caller.receive, caller.send))
    async with asyncio.timeout(10):
        await caller.echo.began.wait()
        leave(caller, calling)
        await asyncio.wait((calling,))

    assert caller.echo.cancelled.is_set()
    (counted,) = [method.requests for method in table if method.path.endswith(f"/{name}")]
    assert [*counted.methods[f"/{SERVICE.full_name}/{name}"]] == [CANCELLED]


async def test_a_caller_who_leaves_while_it_sends_ends_the_call() -> None:
    """Nothing is answered to nobody."""
    caller = Caller()
    caller.gone.set()
    await caller.call()

    assert caller.sent == []


async def test_a_caller_who_leaves_before_the_end_of_its_request_is_not_answered() -> None:
    """Though the message was whole."""
    caller = Caller()
    events: list[Event] = [
        {"type": "http.request", "body": framed(REQUEST), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Event:
        return events.pop(0)

    await app(methods(SERVICE, caller.echo))(caller.scope, receive, caller.send)

    assert caller.sent == []
    assert not caller.echo.began.is_set()


async def test_a_deadline_is_held() -> None:
    """DEADLINE_EXCEEDED, and the service is cancelled."""
    caller = Caller(framed(REQUEST), grpc_timeout="1m")
    caller.echo.hang = True
    await caller.call()

    assert caller.status == (4, "the deadline passed before the answer was ready")
    assert caller.echo.cancelled.is_set()


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"40m", 0.04), (b"50u", 5e-5), (b"99999999n", 0.1)]
)
def test_timeouts_are_read(value: bytes, seconds: float) -> None:
    """In every unit."""
    assert timeout_s(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"1", b"S", b"-1S", b"1.5S", b"123456789S", b"1h"])
def test_what_is_no_timeout_is_an_error(value: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidRequest, match="expected a grpc-timeout"):
        timeout_s(value)


class FailsInTheEnd(Echo):
    """As a request that turns out to be none in the moment in which its caller leaves."""

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        try:
            return await super().Predict(request, context)
        finally:
            raise InvalidRequest("it is none")


@pytest.mark.parametrize("leave", LEAVING)
async def test_a_caller_who_leaves_as_its_call_fails_is_no_error_of_ours(
    leave: Callable[[Caller, asyncio.Task[Any]], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends nonsense and hangs up would fill the log with tracebacks of forgotten tasks."""
    caller = Caller(framed(REQUEST))
    caller.echo = FailsInTheEnd()
    caller.echo.hang = True
    calling = asyncio.create_task(caller.call())
    async with asyncio.timeout(10):
        await caller.echo.began.wait()
        leave(caller, calling)
        await asyncio.wait((calling,))
    del calling
    gc.collect()

    assert "never retrieved" not in caplog.text
