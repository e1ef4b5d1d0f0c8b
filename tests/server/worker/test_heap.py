"""Memory that was freed goes back to the system, though pieces behind it are in use."""

import asyncio
import ctypes

import pytest

from vouch.server.worker.heap import When, give_back, resident_bytes, trimmer

MIB = 1 << 20


@pytest.mark.skipif(trimmer() is None, reason="the C library is not glibc")
async def test_what_was_freed_is_given_back() -> None:
    """100 MB in small pieces, of which every hundredth stays."""
    trim = trimmer()
    assert trim is not None
    trim(0)  # or the pieces take what tests before this one have freed
    before = resident_bytes()
    giving = asyncio.create_task(give_back(trim, When(look_interval_s=0.05)))
    await asyncio.sleep(0)
    pieces = [bytes([number % 251]) * 16_000 for number in range(100 * MIB // 16_000)]
    assert resident_bytes() - before > 80 * MIB
    kept = pieces[::100]
    pieces.clear()
    async with asyncio.timeout(20):
        while resident_bytes() - before > 30 * MIB:
            await asyncio.sleep(0.05)

    assert kept
    assert not giving.done()
    giving.cancel()


@pytest.mark.skipif(trimmer() is None, reason="the C library is not glibc")
async def test_what_is_freed_after_a_first_time_is_given_back_too() -> None:
    """A process that waits for a processor looks idle while all of a burst is still in use. To free it is no work."""
    trimmed = asyncio.Event()
    trim = trimmer()
    assert trim is not None
    trim(0)
    before = resident_bytes()

    def noted(pad: int) -> int:
        loop.call_soon_threadsafe(trimmed.set)
        return trim(pad)

    loop = asyncio.get_running_loop()
    giving = asyncio.create_task(give_back(noted, When(look_interval_s=0.05, worked_s=60.0, worth_bytes=MIB)))
    await asyncio.sleep(0)
    pieces = [bytes([number % 251]) * 16_000 for number in range(100 * MIB // 16_000)]
    async with asyncio.timeout(20):
        await trimmed.wait()
    assert resident_bytes() - before > 80 * MIB
    kept = pieces[::100]
    pieces.clear()
    async with asyncio.timeout(20):
        while resident_bytes() - before > 30 * MIB:
            await asyncio.sleep(0.05)

    assert kept
    giving.cancel()


def test_another_c_library_has_no_such_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is given back, and nothing is missing."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    assert trimmer() is None
