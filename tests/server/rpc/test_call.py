"""The life of a call over every transport: who may call, what is known of callers, what ends it, as what it counts."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from tests.support.serving import Start
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import Overloaded
from vouch.server.rpc.call import Calls
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.serving.gate import Gate
from vouch.server.transport.limits import Listening

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]
CLASSIFIER = f"/{SERVICE.full_name}"
INFERENCE = "/inference.GRPCInferenceService"
LIMIT = 10_000
HELD_BYTES = 50_000
WITHIN_S = 30
"""For a call that is expected to end by itself."""


class Service:
    """Answers with as many signs as it is asked for, and keeps what it knows of its callers; or fails."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.seen: dict[str, tuple[str | bytes, ...]] = {}
        self.asked: tuple[str, ...] = ()
        self.contexts: list[CallContext] = []

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.contexts.append(context)
        context.hold.take("answers", HELD_BYTES)
        self.seen = {name: context.caller.headers(name) for name in self.asked}
        if self.failure is not None:
            raise self.failure
        return pb.PredictResponse(model="a" * int(request.model or "1"))

    async def Evaluate(  # noqa: N802
        self, request: pb.EvaluateRequest, context: CallContext
    ) -> AsyncIterator[pb.EvaluateResponse]:
        for length in (request.model or "1").split(","):
            yield pb.EvaluateResponse(model="a" * int(length))
        if self.failure is not None:
            raise self.failure

    async def _unused(self, request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    ListModels = GetModel = PredictStream = _unused


class Called:
    """A service that listens, and its callers' ends."""

    def __init__(self, service: Service, table: list[Method], gate: Gate, channel: grpc.aio.Channel) -> None:
        self.service = service
        self.gate = gate
        self._table = table
        self._channel = channel

    async def predict(self, model: str = "", **options: Any) -> str:
        call: Any = self._channel.unary_unary(f"{CLASSIFIER}/Predict")
        request = pb.PredictRequest(model=model).SerializeToString()
        return await ended(call(request, **{"timeout": WITHIN_S, **options}))

    async def evaluate(self, *lengths: int) -> tuple[int, str]:
        """How many answers came, and the end."""
        stream: Any = self._channel.unary_stream(f"{CLASSIFIER}/Evaluate")
        request = pb.EvaluateRequest(model=",".join(map(str, lengths))).SerializeToString()
        answers = 0
        try:
            async for _ in stream(request, timeout=WITHIN_S):
                answers += 1
        except grpc.aio.AioRpcError as err:
            return answers, f"{err.code().name}: {err.details()}"
        return answers, "OK"

    def counted(self) -> dict[str, list[int]]:
        """Method -> codes of its calls."""
        return {
            path.split("/")[-1]: [*codes] for method in self._table for path, codes in method.requests.methods.items()
        }


async def ended(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as err:
        return f"{err.code().name}: {err.details()}"
    return "OK"


@asynccontextmanager
async def called(start: Start, **listening: Any) -> AsyncIterator[Called]:
    service, gate = Service(), Gate()
    table = methods(SERVICE, service)
    server = await start(table, gate, Listening(max_message_bytes=LIMIT, **listening))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Called(service, table, gate, channel)
    await server.stop()


async def test_all_values_of_a_callers_own_header_are_there(start: Start) -> None:
    """In their order; also of names that begin as those of HTTP and gRPC do, which have none themselves."""
    own = [("tenant-id", "7"), ("team", "a"), ("hosted", "b"), ("content-types", "c"), ("colour", "red")]
    own += [("colour", "blue"), ("grpcish", "d")]
    binary = [("key-bin", b"\0\1"), ("key-bin", b"\xff"), ("key-bin", b"")]
    reserved = ("te", "content-type", "host", ":path", "grpc-timeout")
    async with called(start) as one:
        one.service.asked = (*dict(own), "key-bin", "other", *reserved)
        assert await one.predict(metadata=(*own, *binary)) == "OK"

    seen = one.service.seen
    assert {name: values for name, values in seen.items() if values} == {
        "tenant-id": ("7",),
        "team": ("a",),
        "hosted": ("b",),
        "content-types": ("c",),
        "colour": ("red", "blue"),
        "grpcish": ("d",),
        "key-bin": (b"\0\1", b"\xff", b""),
    }
    assert one.service.contexts[0].caller.peer.startswith("ipv4:127.0.0.1:")


async def test_who_may_not_call_is_told_before_anything_is_read(start: Start) -> None:
    """By a rule that knows what is called and the caller's headers; counted with the rule's code."""
    asked: list[str] = []

    def admit(method: Method, context: CallContext) -> None:
        asked.append(method.path)
        if context.caller.headers("key") != ("right",):
            raise Overloaded("not you")

    async with called(start, admit=admit) as one:
        refused = await one.predict(metadata=(("key", "wrong"),))
        admitted = await one.predict(metadata=(("key", "right"),))
        streamed = await one.evaluate(1)

    assert (refused, admitted) == ("RESOURCE_EXHAUSTED: not you", "OK")
    assert streamed == (0, "RESOURCE_EXHAUSTED: not you")
    assert asked == [f"{CLASSIFIER}/Predict"] * 2 + [f"{CLASSIFIER}/Evaluate"]
    assert len(one.service.contexts) == 1
    assert one.counted() == {"Predict": [8, 0], "Evaluate": [8]}


TOO_LARGE = "RESOURCE_EXHAUSTED: the answer has {:,} bytes, and the limit is 10,000; request less at a time"


async def test_an_answer_over_the_limit_is_refused_and_counted_so(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """By us, on every transport; answers of a stream that came before have gone out, and later calls are answered."""
    async with called(start) as one:
        fits = await one.predict(str(LIMIT - 3))
        unary = await one.predict(str(LIMIT - 2))
        streamed = await one.evaluate(10, 10, LIMIT, 10)
        after = await one.predict()

    assert (fits, after) == ("OK", "OK")
    assert unary == TOO_LARGE.format(LIMIT + 1)
    assert streamed == (2, TOO_LARGE.format(LIMIT + 3))
    assert one.counted() == {"Predict": [0, 8], "Evaluate": [8]}
    assert not caplog.records


@pytest.mark.parametrize("failure", [TimeoutError("of a lock"), TimeoutError(), OSError("disk")])
async def test_a_fault_of_ours_is_no_deadline_of_the_callers(
    start: Start, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """INTERNAL, whatever was raised; the caller had a deadline, and it had not come."""
    async with called(start) as one:
        one.service.failure = failure
        ends = [await one.predict(), (await one.evaluate(1))[1]]

    assert [end.partition(":")[0] for end in ends] == ["INTERNAL"] * 2
    assert one.counted() == {"Predict": [13], "Evaluate": [13]}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


@pytest.mark.parametrize(
    "ends", [{}, {"model": str(LIMIT)}, {"model": "no number"}, {"metadata": (("key", "wrong"),)}, {"timeout": 1e-6}]
)
async def test_what_a_call_held_is_given_back_however_it_ends(start: Start, ends: dict[str, Any]) -> None:
    """By an answer or by an error, of the call or of what it asks for."""
    budget = worker_budget(4 * HELD_BYTES)

    def admit(_method: Method, context: CallContext) -> None:
        context.hold.take("received", HELD_BYTES)
        if context.caller.headers("key") == ("wrong",):
            raise Overloaded("not you")

    async with called(start, admit=admit, budget=budget) as one:
        for _ in range(10):
            await one.predict(**ends)
        after = await one.predict()

    assert after == "OK"
    assert budget.held == 0


async def test_what_does_not_fit_the_budget_is_refused(start: Start) -> None:
    """As long as others hold it; a call alone may have all of it."""
    budget = worker_budget(HELD_BYTES + 1000)
    async with called(start, budget=budget) as one:
        with Hold(budget) as others:
            others.take("answers", 2000)
            refused = await one.predict()
        after = await one.predict()

    assert refused.startswith(f"RESOURCE_EXHAUSTED: {HELD_BYTES:,} more bytes (unwritten answers)")
    assert after == "OK"


class Leaving:
    """A call whose caller has left when the answer is written."""

    left = None
    peer = ""

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        return ()

    def check(self) -> None: ...

    def deadline(self) -> None: ...

    async def one(self, hold: Hold) -> bytes:
        return b""

    async def pieces(self, hold: Hold) -> AsyncIterator[list[bytes]]:
        yield [b""]

    async def write(self, *messages: Parts) -> None:
        raise CallerLeft

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        raise CallerLeft

    async def fail(self, status: Any) -> None:
        raise AssertionError("there is nobody to tell")


@pytest.mark.parametrize("name", ["Predict", "Evaluate"])
async def test_an_answer_that_could_not_be_written_is_counted_as_cancelled(name: str) -> None:
    """It was computed, and nobody has it."""
    table = {method.path: method for method in methods(SERVICE, Service())}

    await Calls(table.values(), Gate(), LIMIT).answer(f"{CLASSIFIER}/{name}", Leaving())

    (counted,) = table[f"{CLASSIFIER}/{name}"].requests.methods.values()
    assert [*counted] == [1]


async def test_only_answers_that_have_gone_out_count_as_answered() -> None:
    """A caller who leaves midway has what it has."""
    gone_out: list[int] = []

    async def answered(_requests: Any, _context: CallContext) -> AsyncGenerator[list[Parts], None]:
        for number in range(3):
            yield [(b"",)]
            gone_out.append(number)

    stream = next(one for one in methods(SERVICE, Service()) if one.path.endswith("/PredictStream"))
    table = [replace(stream, wire_stream=answered)]
    await Calls(table, Gate(), LIMIT).answer(stream.path, Leaving())

    assert gone_out == []
    assert [*stream.requests.methods[stream.path]] == [1]
