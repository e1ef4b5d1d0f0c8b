"""Whether callers should use this worker: one value, which health reports and its watchers wait for."""

import asyncio
from collections.abc import AsyncIterator


class Readiness:
    """False at the start, and False for ever once draining."""

    def __init__(self) -> None:
        self._ready = False
        self._draining = False
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._ready and not self._draining

    @property
    def draining(self) -> bool:
        return self._draining

    def set(self, ready: bool) -> None:
        """Sets whether something is served."""
        self._ready = ready
        self._wake()

    def drain(self) -> None:
        """Not ready from now on; ends every `changes`."""
        self._draining = True
        self._wake()

    async def changes(self) -> AsyncIterator[bool]:
        """The value now and after each change; ends with the value False when the server drains."""
        last: bool | None = None
        while True:
            changed = self._changed
            if self.ready != last:
                last = self.ready
                yield last
            elif self._draining:
                return
            else:
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
