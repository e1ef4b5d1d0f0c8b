"""Messages that never become whole: how long they may take, and how much they may hold, over all callers."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

import pytest

import vouch.server.transport.arriving
import vouch.server.transport.h2corn_settings
from tests.hostile.frames import PREDICT, message
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import echo
from vouch.server.budget import Budget, Hold, worker_budget
from vouch.server.errors import Overloaded
from vouch.server.serving.gate import Gate
from vouch.server.transport.arriving import Arriving
from vouch.server.transport.h2corn import H2cornServer, start_h2corn
from vouch.server.transport.limits import Listening

STREAM = "/vouch.v1.Classifier/PredictStream"
MOST = message(bytes(995))[:-1]
"""All but the last byte of a message."""


async def test_bytes_of_messages_that_are_not_whole_are_taken_from_the_budget() -> None:
    """A piece that does not fit beside others' is refused; what is whole is held on, until its call ends."""
    arriving, budget = Arriving(), worker_budget(7000)
    with Hold(budget) as one, Hold(budget) as other:
        with arriving.message(one) as arrival:
            arrival.came(2000)
            arrival.came(2000)
        refused = pytest.raises(Overloaded, match="3,064 more bytes .requests. do not fit now")
        with refused, arriving.message(other) as second:
            second.came(3000)
        held = budget.held

    assert held == 4128
    assert budget.held == 0


async def test_a_message_that_is_refused_for_an_older_one_keeps_nothing(circles: Callable[[], list[str]]) -> None:
    """Its pieces are free when its call ends."""
    arriving, budget, came = Arriving(), worker_budget(64_000), asyncio.Event()
    budget.share()

    async def young() -> str:
        try:
            with Hold(budget) as hold, arriving.message(hold) as arrival:
                arrival.came(20_000)
                came.set()
                await asyncio.Event().wait()
        except Overloaded:
            return "refused"
        return "whole"

    with Hold(budget) as hold, arriving.message(hold) as old:
        old.came(10_000)
        younger = asyncio.create_task(young())
        async with asyncio.timeout(10):
            await came.wait()
            old.came(20_000)
            assert await younger == "refused"
    del younger

    assert circles() == []


async def test_of_messages_that_come_together_the_first_become_whole() -> None:
    """The youngest is refused for a piece of an older one that has no room, and not every one of them."""
    arriving, budget, room = Arriving(), worker_budget(64_000), asyncio.Semaphore(0)
    budget.share()

    async def come() -> str:
        with Hold(budget) as hold:
            try:
                with arriving.message(hold) as arrival:
                    for _ in range(8):
                        arrival.came(1936)
                        await asyncio.sleep(0)
            except Overloaded as err:
                return str(err)
            await room.acquire()
            return "whole"

    coming = [asyncio.create_task(come()) for _ in range(10)]
    async with asyncio.timeout(30):
        await asyncio.wait(coming[2:])
        for _ in range(2):
            room.release()
        said = await asyncio.gather(*coming)

    assert said[:2] == ["whole", "whole"]
    assert all("do not fit" in one for one in said[2:])
    assert budget.held == 0


@pytest.fixture
def budget() -> Budget:
    """The server's."""
    return worker_budget(7000)


@pytest.fixture
async def server(budget: Budget) -> AsyncIterator[H2cornServer]:
    one = await start_h2corn(echo(), Gate(), Listening(budget=budget))
    yield one
    await one.stop()


async def begun(server: H2cornServer, path: str = PREDICT, said: bytes = MOST) -> RawCall:
    """A call that has sent this much of its body."""
    call = await asyncio.to_thread(RawCall, server.port, path)
    call.send(said)
    return call


async def ended(call: RawCall) -> tuple[str, str]:
    return await asyncio.to_thread(call.ended)


@pytest.mark.parametrize("path", [PREDICT, STREAM])
async def test_a_message_that_drips_is_ended(server: H2cornServer, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep it: DEADLINE_EXCEEDED."""
    monkeypatch.setattr(vouch.server.transport.arriving, "WHOLE_WITHIN_S", 1.0)
    call = await begun(server, path, MOST[:10])

    async def drip() -> None:
        for _ in range(100):
            await asyncio.sleep(0.1)
            call.send(b"\0")

    dripping = asyncio.create_task(drip())
    assert await ended(call) == ("4", "the request was not complete within 1 s")
    dripping.cancel()
    call.close()


@pytest.mark.parametrize("path", [PREDICT, STREAM])
async def test_too_many_bytes_of_messages_that_are_not_whole_are_refused(
    server: H2cornServer, budget: Budget, path: str
) -> None:
    """RESOURCE_EXHAUSTED for the one that does not fit; whole ones are answered all the while, and later all are."""
    waiting: list[RawCall] = []
    with ExitStack() as stack:
        for count in range(1, 6):
            waiting.append(stack.enter_context(await begun(server, path)))
            async with asyncio.timeout(30):
                while budget.held < count * len(MOST):  # it has come
                    await asyncio.sleep(0.01)
        late = stack.enter_context(await begun(server, path))
        status, text = await ended(late)
        whole = stack.enter_context(await begun(server, PREDICT, message(b"")))
        whole.send(b"", last=True)

        assert status == "8"
        pattern = r"[\d,]+ more bytes \(requests\) do not fit now: this worker uses 5,[34]\d\d bytes for its callers"
        assert re.match(pattern, text), text
        assert (await ended(whole))[0] == "0"
        for call in waiting[1:]:
            call.close()
        waiting[0].send(bytes(1), last=True)
        assert (await ended(waiting[0]))[0] == "3"  # a thousand zeros are no message


@pytest.mark.parametrize("sent", [MOST, message(b"")], ids=["most of a message", "all but the end"])
async def test_a_body_that_stands_still_is_ended(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 30 s; here, half a second."""
    monkeypatch.setattr(vouch.server.transport.h2corn_settings, "BODY_IDLE_S", 0.5)
    server = await start_h2corn(echo(), Gate(), Listening())
    call = await begun(server, PREDICT, sent)

    assert (await ended(call))[0] == "reset"
    call.close()
    await server.stop()
