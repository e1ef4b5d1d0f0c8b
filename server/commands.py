"""`vouch serve`, `vouch verify` and `vouch sign`. Each loads only what it needs. `vouch serve` starts a process first,
so that both load at the same time. Imports nothing large.
"""

import signal
from collections.abc import Sequence

from vouch.cli.loading import loading


def serve(arguments: Sequence[str]) -> int:
    """Serves a models folder until it is stopped; returns the exit code."""
    import uvloop  # noqa: PLC0415 - signing needs no server

    from vouch.server.logs import start_log  # noqa: PLC0415 - as above

    start_log()  # first: if standard error is closed, no other file may get its descriptor
    return uvloop.run(_serve(arguments))


async def _serve(arguments: Sequence[str]) -> int:
    from vouch.server.supervisor.ahead import Ahead  # noqa: PLC0415 - as above

    ahead = Ahead()
    try:
        if not {"-h", "--help"} & set(arguments):
            await ahead.start()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the event loop's would wait until all is loaded
        with loading():
            from vouch.server.supervisor.command import serve  # noqa: PLC0415 - the probe loads at the same time
        return await serve(arguments, ahead)
    finally:
        await ahead.end()


def verify(arguments: Sequence[str]) -> int:
    """Recounts a bundle; returns the exit code: 1 if it does not reproduce its claim."""
    with loading():
        from vouch.server.model.command import verify  # noqa: PLC0415 - `vouch serve` starts sooner without
    return verify(arguments)


def sign(arguments: Sequence[str]) -> int:
    """Signs a bundle, or makes a key; returns the exit code."""
    with loading():
        from vouch.server.signing import sign  # noqa: PLC0415 - as above
    return sign(arguments)
