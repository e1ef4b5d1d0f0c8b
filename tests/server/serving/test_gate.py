import asyncio

import pytest

from vouch.server.errors import Closed
from vouch.server.serving.gate import Gate


async def test_a_closing_gate_waits_for_those_inside_and_turns_others_away() -> None:
    """Close returns only when the last call is out; whoever comes meanwhile did nothing."""
    gate = Gate()
    with gate:
        closing = asyncio.create_task(gate.close(60))
        await asyncio.sleep(0)

        with pytest.raises(Closed, match="the server is draining"), gate:
            raise AssertionError("it was let in")
        assert not closing.done()

    async with asyncio.timeout(10):
        await closing


async def test_a_call_that_does_not_end_does_not_hold_the_gate_for_ever() -> None:
    """After the grace it closes all the same."""
    gate = Gate()
    with gate:
        async with asyncio.timeout(10):
            await gate.close(0.01)


async def test_calls_that_wait_for_more_are_told_while_they_are_there() -> None:
    """Once each, and not after they have left."""
    gate = Gate()
    told: list[str] = []
    with gate.when_closing(lambda: told.append("left")):
        pass
    with gate.when_closing(lambda: told.append("there")):
        await gate.close(0)

    assert told == ["there"]
