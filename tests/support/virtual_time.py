"""An event loop whose clock jumps to the next timer instead of waiting for it: hours pass in an instant, exactly.

For code that takes its time from the loop alone. Nothing in it really sleeps.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualTime(asyncio.SelectorEventLoop):
    """The loop; `now` may be set forward by a test, as if the process had been busy."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "all tasks wait for each other"
            self._loop.now += timeout
        return ready


def busy(seconds: float) -> None:
    """Lets time pass in which the loop does nothing else."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTime)
    loop.now += seconds


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs it to its end."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(main)
