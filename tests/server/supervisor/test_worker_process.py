"""A worker process as its supervisor sees it."""

import asyncio
import sys
from pathlib import Path

from vouch.bundle.accuracy import Accuracy
from vouch.server.lineup.lineup import LineUp, Model, RunPlan, Version
from vouch.server.link.channel import Ends, channel
from vouch.server.link.messages import Applied, Follow
from vouch.server.supervisor.states import Limits
from vouch.server.supervisor.worker_process import WorkerProcess

LIMITS = Limits(look_s=0.02, end_s=5.0)


def serving(number: int, version: int) -> LineUp:
    counted = Accuracy(correct=9, total=10)
    one = Version(version=version, path=Path("m"), digest=f"{version:064x}", served=counted, plan=RunPlan())
    return LineUp(number=number, complete=True, models=(Model(name="m", versions=(one,)),))


async def test_a_line_up_that_was_overtaken_says_nothing_of_what_is_served() -> None:
    """A worker answers the newest alone; what it serves is what that one says, whoever waited for which."""
    ours, theirs = Ends.pair()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")
    worker, end = WorkerProcess(process, await channel(ours), LIMITS), await channel(theirs)
    running: list[frozenset[tuple[str, int]]] = []

    async def follow(line_up: LineUp) -> int:
        applied = await worker.follow(line_up)
        running.append(worker.running)
        return applied.number

    following = [asyncio.create_task(follow(serving(number, version=number))) for number in (1, 2)]
    async with asyncio.timeout(20):
        async for order in end.heard():
            if isinstance(order, Follow) and order.line_up.number == 2:
                break
        end.say(Applied(number=2))
        answered = await asyncio.gather(*following)
    await end.close()
    worker.kill()
    async with asyncio.timeout(20):
        await worker.ended

    assert answered == [2, 2]
    assert running == [frozenset(), {("m", 2)}]
    assert worker.number == 2
