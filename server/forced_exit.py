"""Ends a process for certain, even if a thread never returns from a run or an unreachable disk."""

import logging
import os
import threading

from vouch.server.logs import event

log = logging.getLogger("vouch.server")


def end_within(seconds: float) -> None:
    """Ends this process with code 1 after this time, unless it has ended before."""
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    log.error(
        "process %d did not end within %g s after it should have, and is ended by force",
        *(os.getpid(), seconds),
        extra=event("ended_by_force"),
    )
    os._exit(1)
