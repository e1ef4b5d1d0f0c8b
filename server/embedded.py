"""A worker within Envoy: the ASGI application `vouch.server.embedded:app`, in a process of the supervisor's."""

import asyncio
import os
import signal
import socket

from vouch.cli.loading import loading

with loading():
    from vouch.server.control import Assignment, Channel, Ready, assignment, channel
    from vouch.server.errors import StartFailed
    from vouch.server.transport.asgi import GrpcApp, Receive, Scope, Send
    from vouch.server.worker import worker_of


class Embedded:
    """An ASGI application with its lifespan; the worker comes to be when it starts."""

    def __init__(self) -> None:
        self._calls: GrpcApp | None = None
        self._work: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A call, or the application's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._calls is not None:
            await self._calls(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        assigned = assignment()
        supervisor = await channel(socket.socket(fileno=assigned.socket))
        self._work = asyncio.create_task(self._serve(assigned, supervisor), name="worker")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, assigned: Assignment, supervisor: Channel) -> None:
        """Until the supervisor says that it is enough, or is gone; then the process ends."""
        try:
            worker = worker_of(assigned)
            self._calls = GrpcApp(worker.methods(), worker.gate, assigned.settings.max_message_bytes)
            await worker.work(supervisor, _nothing)
        except StartFailed as err:
            supervisor.say(Ready(problem=str(err)))
            await supervisor.close()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


async def _nothing() -> None:
    """The listener is the process's, and ends with it."""


app = Embedded()
