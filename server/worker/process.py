"""A worker: `python -m vouch.server.worker.process`, started by the supervisor.

It connects to the supervisor first, and listens for calls when the supervisor sends `Listen`.
"""

import signal

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor handles them, and sends Stop
        signal.signal(number, signal.SIG_IGN)

import logging
import os
from collections.abc import Iterable
from functools import partial

from vouch.cli.loading import loading

with loading():
    import uvloop

    from vouch.server.budget import Budget
    from vouch.server.cores import keep_to
    from vouch.server.errors import StartFailed
    from vouch.server.link.channel import Channel, Ends, channel
    from vouch.server.link.messages import Assignment, assignment
    from vouch.server.link.messages import Listening as Answer
    from vouch.server.logs import event, start_log
    from vouch.server.model.session import require_provider
    from vouch.server.rpc.method import Method
    from vouch.server.serving.gate import Gate
    from vouch.server.transport.choice import Listener, chosen_transport, start_transport
    from vouch.server.transport.limits import CALL_GRACE_S, Listening, MakeHttp
    from vouch.server.transport.tls import TlsContents, inherited, tls_files
    from vouch.server.worker.heap import keep_large_pieces_apart
    from vouch.server.worker.worker import Worker

log = logging.getLogger("vouch.server")


async def run(assigned: Assignment) -> int:
    """Serves until the supervisor sends `Stop` or ends; returns the exit code."""
    start_log()
    supervisor = await channel(Ends.inherited(assigned.sockets))
    try:
        await _work(assigned, supervisor)
    except StartFailed as err:
        supervisor.say(Answer(problem=str(err)))
        await supervisor.close()
        return 1
    except Exception as err:
        log.critical("this worker failed: %s", err, exc_info=err, extra=event("worker_failed"))
        return 1
    return 0


async def _work(assigned: Assignment, supervisor: Channel) -> None:
    """Raises StartFailed if the provider is not available."""
    if assigned.pinned_to:
        keep_to(assigned.pinned_to)
    require_provider(assigned.settings.provider)
    last_good, held = inherited(assigned.tls), {one.digest: one.files for one in assigned.held}
    listen = partial(_listen, assigned, last_good)
    await Worker(assigned.settings, assigned.cores, supervisor, listen, held).work()


async def _listen(
    assigned: Assignment,
    last_good: TlsContents | None,
    methods: Iterable[Method],
    gate: Gate,
    budget: Budget,
    http: MakeHttp | None,
) -> Listener:
    """Raises StartFailed."""
    settings = assigned.settings
    listening = Listening(
        host=settings.host,
        port=assigned.port,
        shared=True,
        tls=tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca),
        last_good=last_good,
        max_message_bytes=settings.max_message_bytes,
        budget=budget,
        cores=assigned.cores,
        max_connections=settings.max_connections,
        max_connection_age_s=settings.connection_age_s,
        http=http,
        grace_s=CALL_GRACE_S,  # a drain ends sooner, when the process ends
    )
    return await start_transport(chosen_transport(settings.transport), methods, gate, listening)


async def _run_and_end(assigned: Assignment) -> None:
    """Runs and exits immediately, even if the transport still waits for callers who do not read."""
    os._exit(await run(assigned))


if __name__ == "__main__":
    keep_large_pieces_apart()
    uvloop.run(_run_and_end(assignment()))
