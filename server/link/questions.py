"""Questions whose answers are counts, over a channel that also has other things to say: each has a number."""

import asyncio
from collections.abc import Callable
from itertools import count

from vouch.server.counting.counts import Counts


class Questions:
    """Those that wait for their answer. Belongs to one event loop."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Counts]] = {}

    async def ask(self, say: Callable[[int], None], timeout_s: float) -> Counts:
        """The answer.

        Args:
            say: puts the question, with the number that its answer has to bear.

        Raises:
            TimeoutError: it did not come in time, or nobody is there who could answer.
        """
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            say(number)
            async with asyncio.timeout(timeout_s):
                counts: Counts = await answer
                return counts
        finally:
            del self._waiting[number]

    def answered(self, number: int, counts: Counts) -> None:
        """Hands an answer to whoever waits for it, if anybody still does."""
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(counts)

    def end(self) -> None:
        """Nobody is there any more who could answer."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(TimeoutError("nobody is there to answer"))
