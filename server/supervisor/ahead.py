"""Starts the process that verifies a version. The first one starts before the supervisor's modules are loaded, so that
both load at the same time. Imports nothing large.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

from vouch.server.supervisor.import_path import import_path

MAX_WORD_BYTES = 1 << 19
"""Limit for one line of its output: enough for the most file names, the longest reason, and the most answers."""


async def start_probe(stderr: int = PIPE) -> Process:
    """Starts a process that waits for its task, one line on standard input. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "vouch.server.probe.process"),
        env=os.environ | {"PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))},
        stdin=PIPE,
        stdout=PIPE,
        stderr=stderr,
        limit=MAX_WORD_BYTES,
    )


async def end(process: Process) -> None:
    """Kills the process if it still runs, and waits for it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Ahead:
    """The process that was started early, until it is taken."""

    def __init__(self) -> None:
        self._probe: Process | None = None

    async def start(self) -> None:
        """Starts it; if that fails, there is none."""
        with suppress(OSError):
            self._probe = await start_probe()

    def take(self) -> Process | None:
        """The process, which the caller must end from now on; None if there is none."""
        process, self._probe = self._probe, None
        return process if process is not None and process.returncode is None else None

    async def end(self) -> None:
        """Ends it if it was not taken, which frees its memory."""
        if (process := self.take()) is not None:
            await end(process)
