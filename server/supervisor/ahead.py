"""The process that verifies a version, and one of them started before the supervisor has loaded: both load at the same
time. Imports nothing large.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

from vouch.server.supervisor.import_path import import_path

MAX_WORD_BYTES = 1 << 19
"""A line that it says, with the names of the most files, a reason of the most characters, and the answers to the most
images."""


async def start_probe(stderr: int = PIPE) -> Process:
    """A process that waits for its task, a line on standard input. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "vouch.server.probe.process"),
        env=os.environ | {"PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))},
        stdin=PIPE,
        stdout=PIPE,
        stderr=stderr,
        limit=MAX_WORD_BYTES,
    )


async def end(process: Process) -> None:
    """Whatever it is at."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Ahead:
    """The process that was started ahead, until somebody takes it."""

    def __init__(self) -> None:
        self._probe: Process | None = None

    async def start(self) -> None:
        """Starts it; where that fails, there is none."""
        with suppress(OSError):
            self._probe = await start_probe()

    def take(self) -> Process | None:
        """It is the caller's from now on; None where there is none any more."""
        process, self._probe = self._probe, None
        return process if process is not None and process.returncode is None else None

    async def end(self) -> None:
        """Ends it, if nobody has taken it: it would hold its memory for nothing."""
        if (process := self.take()) is not None:
            await end(process)
