"""A worker on grpcio: `python -m vouch.server.worker_process`, started by the supervisor."""

import asyncio
import signal
import socket

from vouch.cli.loading import loading

with loading():
    import uvloop

    from vouch.server.control import Assignment, Channel, Ready, assignment, channel
    from vouch.server.errors import StartFailed
    from vouch.server.transport.grpcio import Listening, start_grpcio
    from vouch.server.transport.tls import tls_files
    from vouch.server.worker import worker_of


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
    tls = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    listening = Listening(shared=True, tls=tls)
    server = await start_grpcio(
        worker.methods(), worker.gate, settings.host, assigned.port, settings.max_message_bytes, listening
    )
    await worker.work(supervisor, server.stop)


if __name__ == "__main__":
    uvloop.run(run(assignment()))
