"""How long an event loop is kept from its other work."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

LOOK_S = 0.001


@dataclass
class Lag:
    """The longest time between two looks at the loop, which are a millisecond apart where nothing keeps it."""

    wall_s: float = 0.0
    """As a caller sees it; other processes add to it."""
    busy_s: float = 0.0
    """The loop's own work in it, which other processes do not change."""


@asynccontextmanager
async def measured_lag() -> AsyncIterator[Lag]:
    """Measures while the block runs."""
    lag = Lag()

    async def look() -> None:
        wall_s, busy_s = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(LOOK_S)
            lag.wall_s = max(lag.wall_s, time.perf_counter() - wall_s)
            lag.busy_s = max(lag.busy_s, time.thread_time() - busy_s)
            wall_s, busy_s = time.perf_counter(), time.thread_time()

    looking = asyncio.get_running_loop().create_task(look())
    await asyncio.sleep(0)
    try:
        yield lag
        await asyncio.sleep(2 * LOOK_S)
    finally:
        looking.cancel()
