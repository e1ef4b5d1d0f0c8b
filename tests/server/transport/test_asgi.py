import asyncio
import gc
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from google.protobuf.message import Message

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import UNBOUNDED, Budget, worker_budget
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.call import Calls
from vouch.server.rpc.context import CANCELLED, CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.asgi import App
from vouch.server.transport.asgi_request import Event, timeout_s
from vouch.server.transport.intake import Intake

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
PREDICT = f"/{SERVICE.full_name}/Predict"
MAX_MESSAGE_BYTES, MAX_ANSWER_BYTES = 1000, 1_000_000


class Echo:
    """Answers with the model's name; its stream ends when nobody listens."""

    def __init__(self) -> None:
        self.context = CallContext()
        self.hang = False
        self.refuses = False
        self.times = 1
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.context = context
        self.began.set()
        try:
            if self.refuses:
                raise InvalidRequest("refused")
            if self.hang:
                await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return pb.PredictResponse(model=request.model * self.times)

    async def Evaluate(  # noqa: N802
        self, request: pb.EvaluateRequest, context: CallContext
    ) -> AsyncIterator[pb.EvaluateResponse]:
        try:
            yield pb.EvaluateResponse(model=request.model)
            self.began.set()
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def _unused(self, request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    ListModels = GetModel = PredictStream = _unused


def app(table: Iterable[Method], budget: Budget = UNBOUNDED) -> App:
    return App(Calls(table, Gate(), MAX_ANSWER_BYTES, budget=budget), Intake(MAX_MESSAGE_BYTES))


class Caller:
    """One call as an ASGI server would make it."""

    def __init__(self, *chunks: bytes, path: str = PREDICT, **headers: str) -> None:
        self.echo = Echo()
        self.sent: list[Event] = []
        self.gone = asyncio.Event()
        self._chunks = list(chunks)
        named = {"content-type": "application/grpc", "te": "trailers"} | headers
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
            "client": ("::1", 5),
            "extensions": {"http.response.trailers": {}},
        }

    async def receive(self) -> Event:
        if not self._chunks:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._chunks.pop(0), "more_body": bool(self._chunks)}

    async def send(self, event: Event) -> None:
        if self.gone.is_set():
            raise OSError("gone")
        self.sent.append(event)

    async def call(self) -> "Caller":
        await app(methods(SERVICE, self.echo))(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> tuple[int, str]:
        """grpc-status and grpc-message, wherever they stand."""
        headers = dict(header for event in self.sent for header in event.get("headers", ()))
        return int(headers[b"grpc-status"]), headers.get(b"grpc-message", b"").decode()

    @property
    def answer(self) -> str:
        body = b"".join(event.get("body", b"") for event in self.sent)
        assert int.from_bytes(body[1:5], "big") == len(body) - 5
        return pb.PredictResponse.FromString(body[5:]).model


def framed(content: bytes, compressed: bool = False) -> bytes:
    return bytes([compressed]) + len(content).to_bytes(4, "big") + content


REQUEST = pb.PredictRequest(model="tiny").SerializeToString()


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
