"""`vouch serve`, `vouch verify` and `vouch sign`: each loads what it needs, `vouch serve` while what it has started
loads too. Imports nothing large.
"""

import signal
from collections.abc import Sequence

from vouch.cli.loading import loading


def serve(arguments: Sequence[str]) -> int:
    """Serves a models folder until it is told to stop; returns the exit code."""
    import uvloop  # noqa: PLC0415 - signing needs no server

    from vouch.server.logs import start_log  # noqa: PLC0415 - likewise

    start_log()  # first: where standard error is closed, what is opened next must not get its number
    return uvloop.run(_serve(arguments))


async def _serve(arguments: Sequence[str]) -> int:
    from vouch.server.supervisor.ahead import Ahead  # noqa: PLC0415 - as above

    ahead = Ahead()
    try:
        if not {"-h", "--help"} & set(arguments):
            await ahead.start()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the event loop's waits until all is loaded
        with loading():
            from vouch.server.supervisor.command import serve  # noqa: PLC0415 - what is ahead loads at the same time
        return await serve(arguments, ahead)
    finally:
        await ahead.end()


def verify(arguments: Sequence[str]) -> int:
    """Recounts a bundle; returns the exit code: 1 where it does not reproduce its claim."""
    with loading():
        from vouch.server.model.command import verify  # noqa: PLC0415 - `vouch serve` starts sooner without
    return verify(arguments)


def sign(arguments: Sequence[str]) -> int:
    """Signs a bundle, or makes a key; returns the exit code."""
    with loading():
        from vouch.server.signing import sign  # noqa: PLC0415 - as above
    return sign(arguments)
