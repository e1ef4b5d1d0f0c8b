"""The end of a process, for certain: also where a thread never returns, from a run or from a disk that is away."""

import logging
import os
import threading

from vouch.server.logs import event

log = logging.getLogger("vouch.server")


def end_within(seconds: float) -> None:
    """Ends this process with code 1 after so long, unless it has ended by itself before."""
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    log.error(
        "process %d has not ended within %g s of the time when it should, and is ended",
        *(os.getpid(), seconds),
        extra=event("ended_by_force"),
    )
    os._exit(1)
