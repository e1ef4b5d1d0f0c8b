"""Numbered questions for counts, over a channel that has other messages too."""

import asyncio
from collections.abc import Callable
from itertools import count

from vouch.server.counting.counts import Counts


class Questions:
    """The questions that wait for their answers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Counts]] = {}

    async def ask(self, say: Callable[[int], None], timeout_s: float) -> Counts:
        """The answer.

        Args:
            say: sends the question with this number, which its answer must repeat.

        Raises:
            TimeoutError: no answer came in time, or the other side has closed.
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
        """Delivers an answer, if its question still waits."""
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(counts)

    def end(self) -> None:
        """Fails all questions, because the other side has closed."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(TimeoutError("the other side of the channel has closed"))
