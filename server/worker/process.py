"""A worker: `python -m vouch.server.worker.process`, started by the supervisor."""

import asyncio
import logging
import os
import signal
import socket

from vouch.cli.loading import loading

with loading():
    import uvloop

    from vouch.server.errors import StartFailed
    from vouch.server.link.channel import Channel, channel
    from vouch.server.link.messages import Assignment, Ready, assignment
    from vouch.server.logs import event
    from vouch.server.transport.choice import chosen_transport, start_transport
    from vouch.server.transport.limits import Listening
    from vouch.server.transport.tls import tls_files
    from vouch.server.worker.heap import give_back, keep_large_pieces_apart
    from vouch.server.worker.worker import worker_of

log = logging.getLogger("vouch.server")


async def run(assigned: Assignment) -> None:
    """Serves until the supervisor says that it is enough, or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor is told, and tells
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    supervisor = await channel(socket.socket(fileno=assigned.socket))
    try:
        await _serve(assigned, supervisor)
    except StartFailed as err:
        supervisor.say(Ready(problem=str(err)))
        await supervisor.close()


async def _serve(assigned: Assignment, supervisor: Channel) -> None:
    settings, worker = assigned.settings, worker_of(assigned)
    listening = Listening(
        host=settings.host,
        port=assigned.port,
        shared=True,
        tls=tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca),
        max_message_bytes=settings.max_message_bytes,
        budget=worker.budget,
        cores=assigned.cores,
        max_connections=settings.max_connections,
        grace_s=settings.grace_s,
    )
    transport = chosen_transport(settings.transport)
    server = await start_transport(transport, worker.methods(), worker.gate, listening)
    giving = asyncio.create_task(give_back(), name="give memory back")
    working = asyncio.create_task(worker.work(supervisor, server), name="work")
    await asyncio.wait((working, server.ended), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        log.error("nothing listens any more: %s", server.ended.exception(), extra=event("listener_ended"))
        os._exit(1)
    await working
    giving.cancel()
    os._exit(0)  # connections of callers who do not read end with the process, whatever a transport waits for


if __name__ == "__main__":
    keep_large_pieces_apart()
    uvloop.run(run(assignment()))
