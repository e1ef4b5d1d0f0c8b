"""Some thousands of mutated messages and connections, other ones each time; `make fuzz` has a million.

A failure says the command that repeats it.
"""

import asyncio
import time
from pathlib import Path

import pytest

from tests.hostile.fuzz import (
    BEARS_CONNECTIONS,
    Failed,
    all_paths,
    check,
    check_server,
    connections,
    in_process,
    over_the_wire,
)
from tests.hostile.served import Server

SEED = time.time_ns() % 1_000_000
IN_PROCESS, ON_THE_WIRE, CONNECTIONS = 3000, 500, 1000


async def test_mutated_messages(tmp_path: Path) -> None:
    """Never INTERNAL nor UNKNOWN, and no exception's text; and some are answered, some refused."""
    codes = await in_process(SEED, range(IN_PROCESS), tmp_path)

    assert codes.total() == IN_PROCESS
    assert codes[0] > 100
    assert codes[3] > 100


def test_mutated_messages_and_connections_over_the_wire(server: Server, tmp_path: Path) -> None:
    """The same, and no worker ends, logs an error of ours, or grows."""
    workers, before = server.workers, server.resident_bytes
    paths = asyncio.run(all_paths(tmp_path))
    codes = asyncio.run(over_the_wire(SEED, range(ON_THE_WIRE), server, paths))

    assert codes.total() == ON_THE_WIRE
    if server.transport in BEARS_CONNECTIONS:
        assert connections(SEED, range(CONNECTIONS), server) == CONNECTIONS
    check_server(server, workers, before, SEED)


@pytest.mark.parametrize(
    ("told", "code"), [(b"the server failed; the reason is in", 13), (b"", 2), (b"<X object at 0x7f>", 3)]
)
def test_what_would_be_a_failure(told: bytes, code: int) -> None:
    """INTERNAL, UNKNOWN, or what Python says of itself; with the command that repeats it."""
    with pytest.raises(Failed, match="python -m tests.hostile.fuzz --seed 1 --message 2"):
        check(told, code, "--seed 1 --message 2")
