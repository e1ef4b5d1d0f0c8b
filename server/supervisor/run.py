"""A server from its start to its end, and the signals that stop it at any stage."""

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable

from vouch.cli.stopping import ONE_WISH_S, SIGNALS
from vouch.server.errors import StartFailed
from vouch.server.forced_exit import end_within
from vouch.server.logs import event
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.ahead import Ahead
from vouch.server.supervisor.supervisor import Supervisor

log = logging.getLogger("vouch.server")

EXIT_WITHIN_S = 10.0
"""Limit for the exit after serving has ended: reading an unreachable models folder may never return."""


async def run_supervisor(
    settings: ServeSettings, started: Callable[[Supervisor], None], ahead: Ahead | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends it immediately.

    Args:
        started: called when the workers take calls.
        ahead: the process that was started already.

    Raises:
        StartFailed: as in `Supervisor.start`, or workers cannot be kept ready.
    """
    supervisor = Supervisor(settings, ahead)
    signals = _Signals(supervisor)
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, signals.arrived, number)
    stopping = asyncio.create_task(signals.stop.wait(), name="wait for a signal")
    starting = asyncio.create_task(supervisor.start(), name="start")
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()  # it stops what it has started
        await asyncio.wait((starting,))
        log.info("stopped before it was ready", extra=event("stopped"))
        end_within(EXIT_WITHIN_S)
        return
    if starting.exception() is not None:
        end_within(EXIT_WITHIN_S)
    starting.result()
    started(supervisor)
    given_up = asyncio.create_task(supervisor.given_up(), name="wait until it gives up")
    await asyncio.wait((stopping, given_up), return_when=asyncio.FIRST_COMPLETED)
    reason = given_up.result() if given_up.done() else ""
    given_up.cancel()
    log.info(
        "draining: new calls are accepted for %g s, and accepted calls have %g s to finish",
        *(settings.drain_delay_s, settings.grace_s),
        extra=event("draining", delay_s=settings.drain_delay_s, grace_s=settings.grace_s),
    )
    await supervisor.stop()
    end_within(EXIT_WITHIN_S)
    log.info("stopped", extra=event("stopped"))
    if reason:
        raise StartFailed(reason)


class _Signals:
    """The first signal drains the server; others within `ONE_WISH_S` are ignored; a later one ends it immediately."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self._supervisor = supervisor
        self._first_at = math.inf

    def arrived(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if now - self._first_at > ONE_WISH_S:
            log.warning("%s again: ending immediately", number.name, extra=event("ended_at_once"))
            self._supervisor.kill()
            os._exit(1)
        self._first_at = min(self._first_at, now)
        self.stop.set()
