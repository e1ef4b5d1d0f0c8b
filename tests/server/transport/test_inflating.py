"""Inflation: one message at a time, and few that wait for it."""

import asyncio
import gzip
import threading

import pytest

import vouch.server.transport.inflating
from vouch.server.errors import Overloaded
from vouch.server.transport.inflating import AT_ONCE_BYTES, inflated

NOISE = bytes(range(256)) * 1000
LARGE = gzip.compress(NOISE, compresslevel=0)


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
